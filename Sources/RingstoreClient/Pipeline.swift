// Many commands on one stream: sent in batches, with replies in any order, returned in the order of
// the commands. Commands are pulled only as fast as the node accepts them and the reader takes
// their outcomes, so nothing accumulates in between.

internal import GRPC
internal import NIOCore
internal import RingstoreAPI

extension RingstoreClient {
  /// How many commands of a pipeline are pulled ahead of its reader, by default.
  public static let pendingMaxDefault = 1_024

  /// Sends commands over one stream as they arrive, and returns their outcomes one by one, in the
  /// order of the commands: one for each command.
  ///
  /// Commands on the same key run in the order given; others in any order. Nothing is sent before
  /// the first outcome is requested. When the stream breaks, each command without a reply fails,
  /// `isOutcomeUnknown` says which of them may have run, and later ones fail without being sent: to
  /// continue, begin a new pipeline. Nothing is sent a second time. An error of `commands` is
  /// thrown after the outcomes of those before it.
  ///
  /// - Parameters:
  ///   - commands: pulled by a separate task, which is cancelled when the iterator is dropped.
  ///   - pendingMax: the maximum number of commands that are pulled and whose outcomes are not
  ///     taken, 1 to 10,000.
  ///   - options: its timeout is for each command; it begins when the node gets the command.
  public func pipeline<Commands: AsyncSequence & Sendable>(
    _ commands: Commands, pendingMax: Int = RingstoreClient.pendingMaxDefault,
    options: RingstoreCallOptions = .standard
  ) -> RingstorePipeline<Commands> where Commands.Element == RingstoreCommand {
    let timeout = options.timeout ?? configuration.timeout
    var limits = PipelineLimits(requestBytesMax: configuration.maxMessageBytes)
    limits.pendingMax = min(max(pendingMax, 1), PipelineLimits.commandsMax)
    limits.timeoutMillis = UInt32(clamping: max(TimeAmount(timeout).nanoseconds / 1_000_000, 1))
    return RingstorePipeline(
      client: self, commands: commands, database: database(options),
      metadata: metadata(options), limits: limits, patience: timeout, streamTimeout: nil)
  }

  /// Sends many commands over one stream, far cheaper than one call each.
  ///
  /// Commands on the same key run in the order given; others in any order. Not atomic: each command
  /// has its own outcome, at its own position in the result. When the stream breaks, the commands
  /// without a reply fail one by one, and `isOutcomeUnknown` says which of them may have run.
  /// Nothing is sent a second time.
  ///
  /// - Parameters:
  ///   - batchSize: most commands in one message, 1 to 10,000.
  ///   - options: its timeout is for all commands together.
  public func pipeline(
    _ commands: [RingstoreCommand], batchSize: Int = 128,
    options: RingstoreCallOptions = .standard
  ) async -> [Result<RingstoreReply, RingstoreError>] {
    guard !commands.isEmpty else { return [] }
    var limits = PipelineLimits(requestBytesMax: configuration.maxMessageBytes)
    limits.pendingMax = PipelineLimits.commandsMax
    limits.batchCountMax = min(max(batchSize, 1), PipelineLimits.commandsMax)
    let pipeline = RingstorePipeline(
      client: self, commands: CommandArray(commands), database: database(options),
      metadata: metadata(options), limits: limits, patience: nil,
      streamTimeout: options.timeout ?? configuration.timeout)
    var outcomes: [Result<RingstoreReply, RingstoreError>] = []
    outcomes.reserveCapacity(commands.count)
    for await outcome in pipeline { outcomes.append(outcome) }
    // Where the task was cancelled, the last commands were not even looked at.
    while outcomes.count < commands.count { outcomes.append(.failure(.cancelled)) }
    return outcomes
  }
}

/// The outcomes of a pipeline's commands.
public struct RingstorePipeline<Commands: AsyncSequence & Sendable>: AsyncSequence, Sendable
where Commands.Element == RingstoreCommand {
  public typealias Element = Result<RingstoreReply, RingstoreError>
  public typealias Failure = Commands.Failure

  let client: RingstoreClient
  let commands: Commands
  let database: UInt32
  let metadata: Metadata
  let limits: PipelineLimits
  /// How long the node may leave a command without a reply.
  let patience: Duration?
  /// The deadline of the stream as a whole.
  let streamTimeout: Duration?

  public func makeAsyncIterator() -> Iterator { Iterator(pipeline: self) }

  /// Reads outcomes; for one task at a time. Cancelling that task, or dropping the iterator, ends
  /// the pipeline.
  public struct Iterator: AsyncIteratorProtocol {
    let pipeline: RingstorePipeline
    private var session: PipelineSession<Commands>?

    init(pipeline: RingstorePipeline) { self.pipeline = pipeline }

    public mutating func next() async throws(Commands.Failure) -> Element? {
      try await next(isolation: nil)
    }

    public mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws(Commands.Failure) -> Element? {
      let session = session ?? PipelineSession(pipeline)
      self.session = session
      return try await session.next()
    }
  }
}

/// Commands that are there already.
struct CommandArray: AsyncSequence, Sendable {
  typealias Element = RingstoreCommand
  typealias Failure = Never

  private let commands: [RingstoreCommand]

  init(_ commands: [RingstoreCommand]) { self.commands = commands }

  func makeAsyncIterator() -> Iterator { Iterator(rest: commands[...]) }

  struct Iterator: AsyncIteratorProtocol {
    fileprivate var rest: ArraySlice<RingstoreCommand>

    mutating func next() async -> RingstoreCommand? { rest.popFirst() }

    mutating func next(isolation actor: isolated (any Actor)?) async -> RingstoreCommand? {
      rest.popFirst()
    }
  }
}
