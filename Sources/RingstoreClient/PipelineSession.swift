// One pipeline in progress: its stream and the tasks that feed and drain it. Owned by the iterator;
// when that is dropped, the tasks are cancelled and the stream is ended. Safe to use from every
// thread.

internal import GRPC
internal import NIOCore
internal import RingstoreAPI
import Synchronization

final class PipelineSession<Commands: AsyncSequence & Sendable>: Sendable
where Commands.Element == RingstoreCommand {
  private let flow: PipelineFlow
  private let stream: ClientStream
  private let tasks: [Task<Void, Never>]
  private let failure = FailureBox<Commands.Failure>()

  init(_ pipeline: RingstorePipeline<Commands>) {
    let flow = PipelineFlow(pipeline.limits)
    let stream = pipeline.client.channel.stream(
      path: V1.KeyStore.pipeline.path, metadata: pipeline.metadata,
      timeout: pipeline.streamTimeout.map { TimeAmount($0) }, encoding: pipeline.client.encoding)
    self.flow = flow
    self.stream = stream
    var tasks = [
      Task { [failure] in
        await Self.pull(pipeline.commands, pipeline.database, into: flow, failure)
      },
      Task { await PipelineTasks.send(flow, on: stream) },
      Task { await PipelineTasks.receive(flow, from: stream) },
    ]
    if let patience = pipeline.patience {
      tasks.append(Task { await PipelineTasks.watch(flow, stream, patience) })
    }
    self.tasks = tasks
  }

  deinit { cancel() }

  /// The next outcome; nil after the last one.
  func next() async throws(Commands.Failure) -> PipelineQueue.Outcome? {
    let outcome = await withTaskCancellationHandler {
      await flow.next()
    } onCancel: {
      cancel()
    }
    if outcome == nil, let failure = failure.take() { throw failure }
    return outcome
  }

  private func cancel() {
    flow.abandon()
    for task in tasks { task.cancel() }
    stream.cancel()
  }

  private static func pull(
    _ commands: Commands, _ database: UInt32, into flow: PipelineFlow,
    _ failure: FailureBox<Commands.Failure>
  ) async {
    var iterator = commands.makeAsyncIterator()
    do throws(Commands.Failure) {
      while let command = try await iterator.next(isolation: nil) {
        guard await flow.add(command, database: database) else { break }
      }
    } catch {
      failure.put(error)
    }
    flow.sourceEnded()
  }
}

/// Why the commands ended early, from the task that pulls to the reader.
private final class FailureBox<Failure: Error>: Sendable {
  private let failure = Mutex<Failure?>(nil)

  func put(_ error: Failure) { failure.withLock { $0 = error } }

  func take() -> Failure? {
    failure.withLock { failure in
      defer { failure = nil }
      return failure
    }
  }
}

/// The part of a pipeline's tasks that doesn't depend on the source of its commands.
private enum PipelineTasks {
  static func send(_ flow: PipelineFlow, on stream: ClientStream) async {
    do throws(RPCStatus) {
      while let batch = await flow.nextBatch() {
        try await stream.send { $0.writeImmutableBuffer(batch) }
      }
      stream.halfClose()
    } catch {
      // The receiver gets the same status.
    }
  }

  static func receive(_ flow: PipelineFlow, from stream: ClientStream) async {
    var messages = stream.messages.makeAsyncIterator()
    var end = RPCStatus(.internal, "The stream ended without a reply to this command.")
    do throws(RPCStatus) {
      while true {
        await flow.repliesWanted()
        guard let message = try await messages.next() else { break }
        guard flow.take(message) else {
          end = RPCStatus(.internal, "The replies can't be decoded.")
          stream.cancel()
          break
        }
      }
    } catch {
      end = error
    }
    flow.streamEnded(end, mayHaveRun: stream.processed != .no)
  }

  /// Ends the stream if the node has left a command without a reply for too long. The node itself
  /// enforces each deadline; this is for a node that no longer works.
  static func watch(_ flow: PipelineFlow, _ stream: ClientStream, _ patience: Duration) async {
    let pause = max(patience, .milliseconds(100))
    var last: PipelineFlow.Pulse?
    while !Task.isCancelled {
      let pulse = flow.pulse
      if let pulse, pulse == last {
        flow.streamEnded(
          RPCStatus(.deadlineExceeded, "The node has stopped replying."), mayHaveRun: true)
        stream.cancel()
        return
      }
      last = pulse
      do {
        try await Task.sleep(for: pause)
      } catch {
        return
      }
    }
  }
}
