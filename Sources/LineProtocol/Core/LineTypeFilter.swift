// SCAN with TYPE: a page of the Keys call holds keys of every type, so the type of each key is
// requested, a bounded number at a time. Belongs to one session, on its event loop.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI

final class LineTypeFilter {
  /// Type calls in progress at once.
  static let callsMax = 64

  private let line: LineCall
  private let type: V1.ValueType
  private let deadlineNanos: UInt64
  private let database: UInt32
  /// Told the reply; nil once that was done.
  private var done: ((ByteBuffer) -> Void)?
  private var response = ByteBuffer()
  private var keys: [Range<Int>] = []
  private var isWanted: [Bool] = []
  private var calls: [Int: LocalCall] = [:]
  private var next = 0
  private var underWay = 0
  private var isSending = false

  init(
    _ line: LineCall, _ type: V1.ValueType, deadlineNanos: UInt64,
    done: @escaping (ByteBuffer) -> Void
  ) {
    self.line = line
    self.type = type
    self.deadlineNanos = deadlineNanos
    self.done = done
    database = line.request.withUnsafeReadableBytes { (try? V1.KeysRequest($0))?.database ?? 0 }
  }

  /// Takes the page of keys, or the error in its stead.
  func begin(_ outcome: Result<ByteBuffer, CallError>, on session: LineSession) {
    switch outcome {
    case .failure(let error): finish(error)
    case .success(let response):
      self.response = response
      let isMessage = response.withUnsafeReadableBytes { bytes in
        guard let view = try? V1.KeysResponse(bytes) else { return false }
        keys = view.keys.map { Self.range(of: $0, in: bytes) }
        return true
      }
      guard isMessage else { return finish(.internalError("The reply can't be decoded.")) }
      isWanted = Array(repeating: false, count: keys.count)
      sendMore(on: session)
    }
  }

  /// Requests more types, up to the maximum in progress. Replies may arrive from within.
  func sendMore(on session: LineSession) {
    guard !isSending, done != nil else { return }
    isSending = true
    while done != nil, next < keys.count, underWay < Self.callsMax, session.mayCall {
      let index = next
      next += 1
      underWay += 1
      let call = response.withUnsafeReadableBytes { bytes in
        let key = UnsafeRawBufferPointer(rebasing: bytes[keys[index]])
        return session.port.call(
          Command.type.call(V1.Key(key: key, database: database)),
          session.context(deadlineNanos), for: session
        ) { [weak self] outcome in
          self?.ended(index, outcome, on: session)
        }
      }
      if let call, !call.isOver { calls[index] = call }
    }
    isSending = false
    if underWay == 0, next == keys.count { finish() }
  }

  func cancel(on port: any LocalDispatcher) {
    done = nil
    for call in calls.values { port.cancel(call) }
    calls.removeAll()
  }

  private func ended(
    _ index: Int, _ outcome: Result<CallReply, CallError>, on session: LineSession
  ) {
    underWay -= 1
    calls[index] = nil
    switch outcome {
    case .success(let reply):
      isWanted[index] = V1.TypeResponse(reply)?.type == type
      sendMore(on: session)
    case .failure(let error):
      let port = session.port
      finish(error)
      cancel(on: port)
    }
  }

  private func finish() {
    guard let done else { return }
    self.done = nil
    done(
      LineCommands.written { reply in
        response.withUnsafeReadableBytes { bytes in
          let wanted = keys.indices.filter { isWanted[$0] }.map {
            UnsafeRawBufferPointer(rebasing: bytes[keys[$0]])
          }
          do throws(LineError) {
            guard let view = try? V1.KeysResponse(bytes) else { return }
            try LineCursor.write(page: view, keys: wanted, into: &reply)
          } catch {
            reply.writeLine(error: error)
          }
        }
      })
  }

  private func finish(_ error: CallError) {
    guard let done else { return }
    self.done = nil
    done(LineCommands.written { $0.writeLine(error: LineError(error)) })
  }

  private static func range(
    of key: UnsafeRawBufferPointer, in message: UnsafeRawBufferPointer
  ) -> Range<Int> {
    guard let first = message.baseAddress, let start = key.baseAddress else { return 0..<0 }
    let offset = first.distance(to: start)
    return offset..<offset + key.count
  }
}
