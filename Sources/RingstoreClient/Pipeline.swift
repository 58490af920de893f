// Many commands on one stream: sent in batches, answered in any order, handed back in the order of
// the commands. Sending waits while the node takes no more, so nothing piles up in between.

package import GRPC
package import NIOCore
internal import RingstoreAPI

extension RingstoreClient {
  /// Sends many commands over one stream, far cheaper than one call each.
  ///
  /// Commands on the same key run in the order given; others in any order. Not atomic: each command
  /// has its own outcome, at its own place in the answer. When the stream breaks, the commands
  /// without an answer fail one by one, and `isOutcomeUnknown` says which of them may have run.
  /// Nothing is sent a second time.
  ///
  /// - Parameters:
  ///   - batchSize: commands in one message, 1 to 10,000.
  ///   - options: its timeout is for all commands together.
  public func pipeline(
    _ commands: [RingstoreCommand], batchSize: Int = 128,
    options: RingstoreCallOptions = .standard
  ) async -> [Result<RingstoreReply, RingstoreError>] {
    guard !commands.isEmpty else { return [] }
    let stream = channel.stream(
      path: CommandTable[.pipeline].path,
      timeout: TimeAmount(options.timeout ?? configuration.timeout))
    let batches = PipelineBatches(
      commands: commands, countMax: min(max(batchSize, 1), 10_000), database: database(options))
    async let sent = Self.send(batches, on: stream)
    var outcomes = PipelineOutcomes(commands)
    var end: RPCStatus?
    do throws(RPCStatus) {
      var messages = stream.messages.makeAsyncIterator()
      while let message = try await messages.next() {
        if !message.withUnsafeReadableBytes({ outcomes.take($0) }) {
          end = RPCStatus(.internal, "The replies can't be decoded.")
          stream.cancel()
          break
        }
      }
    } catch {
      end = error
    }
    return outcomes.finish(
      end ?? RPCStatus(.internal, "The stream ended without an answer to this command."),
      sentCount: await sent, mayHaveRun: stream.processed != .no)
  }

  /// Sends every batch. Returns how many commands were handed over; fewer than all if the stream
  /// has ended meanwhile, and then its reader is told why.
  private static func send(_ batches: PipelineBatches, on stream: ClientStream) async -> Int {
    var count = 0
    do throws(RPCStatus) {
      while let batch = batches.next(after: count) {
        // Counted first: what fails while it is handed over may have been sent all the same.
        count = batch.end
        try await stream.send { $0.writeImmutableBuffer(batch.message) }
      }
      stream.halfClose()
    } catch {
      // The reader of the replies gets the same status.
    }
    return count
  }
}

/// Cuts commands into CallBatch messages. A call's id is its command's place, counted from 1.
package struct PipelineBatches: Sendable {
  /// A message is closed when it has grown past this size, well below every node's limit.
  package static let bytesMax = 1 << 20

  let commands: [RingstoreCommand]
  let countMax: Int
  let database: UInt32

  package init(commands: [RingstoreCommand], countMax: Int, database: UInt32) {
    self.commands = commands
    self.countMax = countMax
    self.database = database
  }

  /// The batch that begins at `start`, and where it ends; nil where there are no more commands.
  package func next(after start: Int) -> (message: ByteBuffer, end: Int)? {
    guard start < commands.count else { return nil }
    var message = ByteBuffer()
    var request = ByteBuffer()
    var end = start
    repeat {
      let command = commands[end]
      request.clear()
      command.writeRequest(database: database, into: &request)
      request.withUnsafeReadableBytes {
        message.writeCall(
          .pipeline, id: UInt64(end) + 1, method: UInt32(command.id.rawValue), request: $0)
      }
      end += 1
    } while end < commands.count && end - start < countMax
      && message.readableBytes + commands[end].sizeEstimate <= Self.bytesMax
    return (message, end)
  }
}

/// Collects the replies and puts them into the order of the commands.
package struct PipelineOutcomes {
  private let commands: [RingstoreCommand]
  private var outcomes: [Result<RingstoreReply, RingstoreError>?]

  package init(_ commands: [RingstoreCommand]) {
    self.commands = commands
    outcomes = Array(repeating: nil, count: commands.count)
  }

  /// Takes the replies of one ReplyBatch. Returns false where it can't be decoded.
  package mutating func take(_ message: UnsafeRawBufferPointer) -> Bool {
    var batch = ReplyBatchReader(message)
    do throws(WireError) {
      while let reply = try batch.next() {
        // An id that we never gave out is nobody's answer.
        guard reply.id >= 1, reply.id <= UInt64(commands.count) else { return false }
        let place = Int(reply.id) - 1
        outcomes[place] = outcome(of: reply, to: commands[place])
      }
      return true
    } catch {
      return false
    }
  }

  private func outcome(
    of reply: ReplyView, to command: RingstoreCommand
  ) -> Result<RingstoreReply, RingstoreError> {
    let description = CommandTable[command.id]
    if let error = reply.error { return .failure(RingstoreError(error, command: description)) }
    do throws(WireError) {
      return .success(try RingstoreReply(command.id, response: reply.response))
    } catch {
      return .failure(.undecodable(description))
    }
  }

  /// The outcomes of all commands, once the stream has ended with `status`.
  ///
  /// - Parameters:
  ///   - sentCount: the commands from this place on were never handed over.
  ///   - mayHaveRun: whether a node can have seen the others.
  package func finish(
    _ status: RPCStatus, sentCount: Int, mayHaveRun: Bool
  ) -> [Result<RingstoreReply, RingstoreError>] {
    outcomes.enumerated().map { place, outcome in
      if let outcome { return outcome }
      var error = CallError(code: status.code, message: status.message, details: status.details)
      error.doNotRetry = true
      return .failure(
        RingstoreError(
          error, command: CommandTable[commands[place].id],
          wasExecutable: mayHaveRun && place < sentCount))
    }
  }
}
