// Reload: the router reads its list of shards again, and the cluster changes to it. One loop makes
// the change; the others get the new map from the shards, as other routers do.

import Commands
import NIOCore
import NodeCore
import Placement
import RingstoreAPI

extension RouterService {
  func administer(
    _ command: CommandID, _ message: UnsafeRawBufferPointer
  ) throws(CallError) -> EventLoopFuture<ByteBuffer>? {
    command == .acceptLoss ? try acceptLoss(message) : try reload(message)
  }

  private func reload(
    _ message: UnsafeRawBufferPointer
  ) throws(CallError) -> EventLoopFuture<ByteBuffer> {
    let request = try V1.ReloadRequest(decoding: message)
    if request.hasUnknownField { throw .unknownField }
    let (loops, isPlan) = (loops, request.planOnly)
    let response = eventLoop.makePromise(of: ByteBuffer.self)
    response.completeWithTask {
      switch await loops.reload(isPlan: isPlan) {
      case .success(let report): return report.message
      case .failure(let refusal):
        throw CallError(
          code: .failedPrecondition, message: "The shards stay as they are: \(refusal.sentence).")
      }
    }
    return response.futureResult
  }

  /// Makes the change on this loop. Calls back on the loop with the result.
  func change(to list: [ShardDescription], isPlan: Bool) -> EventLoopFuture<MapChangeReport> {
    let promise = eventLoop.makePromise(of: MapChangeReport.self)
    core.change(to: list, isPlan: isPlan) { promise.completeWith($0.mapError { $0 as any Error }) }
    eventHandled()
    return promise.futureResult
  }

  func readdress(_ list: [ShardDescription]) {
    core.readdress(list)
    eventHandled()
  }
}

extension RouterLoops {
  /// Reads the list of shards again, and has one loop change the cluster to it.
  func reload(isPlan: Bool) async -> Result<MapChangeReport, MapChangeRefusal> {
    guard let readList else {
      return .failure(.init("this router's list of shards can't be changed"))
    }
    do {
      let list = try await readList()
      let services = all
      guard let first = services.first else { return .failure(.init("the router is starting")) }
      let report = try await first.eventLoop.flatSubmit {
        first.value.change(to: list, isPlan: isPlan)
      }.get()
      if !isPlan {
        for service in services.dropFirst() {
          try await service.eventLoop.submit { service.value.readdress(list) }.get()
        }
      }
      return .success(report)
    } catch let refusal as MapChangeRefusal {
      return .failure(refusal)
    } catch {
      // Its description is a sentence; so is what the refusal becomes.
      let sentence = "\(error)"
      return .failure(.init(sentence.hasSuffix(".") ? String(sentence.dropLast()) : sentence))
    }
  }
}

extension MapChangeReport {
  fileprivate var message: ByteBuffer {
    typealias Field = V1.ReloadResponse.Field
    var message = ByteBuffer()
    message.write(Field.epoch, epoch)
    for id in added { message.write(Field.added, id) }
    for id in dropped { message.write(Field.dropped, id) }
    for id in readdressed { message.write(Field.readdressed, id) }
    for move in moves {
      typealias Field = V1.ReloadResponse.Move.Field
      let entry = message.beginLengthDelimited(V1.ReloadResponse.Field.moves)
      message.write(Field.from, move.from)
      message.write(Field.to, move.to)
      message.write(Field.slots, UInt64(move.slots))
      message.endLengthDelimited(entry)
    }
    message.write(Field.obstacle, obstacle)
    return message
  }
}
