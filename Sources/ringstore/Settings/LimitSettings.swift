// From settings to the limits of nodes. A setting of another kind of node is ignored, even if a
// variable sets it.

import RingstoreAPI
import RouterNode
import Store
import TextForms

extension SettingSources {
  private static let mebibyte = 1 << 20
  /// The average memory of a call that waits for a value, if very many may wait.
  private static let bytesPerParkedCall = 1 << 10
  /// Sizes of memory: 1 MiB to 64 GiB.
  static let memorySizes = mebibyte...(64 << 30)
  /// An empty shard takes about half a MiB.
  private static let memoryLimits = (4 * mebibyte)...(16 << 40)

  func limits() throws(ConfigurationError) -> Limits {
    var limits = Limits()
    // The store's own limits: keys of 64 KiB and values of 64 MiB.
    limits.maxMessageBytes = try size(
      .maxMessageBytes, 1_024...(64 << 20), default: limits.maxMessageBytes)
    limits.maxKeyBytes = try size(.maxKeyBytes, 1...65_536, default: limits.maxKeyBytes)
    limits.maxItems = try integer(.maxItems, 1...1_000_000, default: limits.maxItems)
    limits.databases = UInt32(try integer(.databases, 1...1_024, default: Int(limits.databases)))
    limits.replyMemoryBytesMax = try size(
      .replyMemoryBytes, Self.memorySizes, default: limits.replyMemoryBytesMax)
    try readClientMemory(into: &limits)
    guard limits.maxKeyBytes < limits.maxMessageBytes else {
      throw ConfigurationError(
        "max_key_bytes (\(limits.maxKeyBytes)) must be below max_message_bytes "
          + "(\(limits.maxMessageBytes)): a message must have room for a key.")
    }
    limits.hashSeed = try hashSeed()
    if kind.settings.contains(.maxPinnedSeconds) { try readWhatIsHeld(into: &limits) }
    if kind.settings.contains(.largeReplyMemoryBytes) {
      limits.largeReplyMemoryBytesMax = try size(
        .largeReplyMemoryBytes, Self.memorySizes, default: limits.largeReplyMemoryBytesMax)
    }
    return limits
  }

  /// How much memory the keys and values of a shard may use.
  func memoryLimit() throws(ConfigurationError) -> MemoryLimit {
    var memory = MemoryLimit()
    let bytes = try size(.maxMemory, Self.memoryLimits, orZero: true, default: 0)
    if bytes > 0 { memory.bytes = bytes }
    ledger.note(.evictionPolicy, default: .text(memory.policy.rawValue))
    if let found = try text(.evictionPolicy) {
      guard let policy = EvictionPolicy(rawValue: found.value) else {
        let policies = EvictionPolicy.allCases.map(\.rawValue).joined(separator: ", ")
        throw ConfigurationError(
          "\(found.origin) must be one of \(policies), not '\(found.value)'.")
      }
      memory.policy = policy
    }
    guard memory.policy == .noEviction || bytes > 0 else {
      throw ConfigurationError(
        "eviction_policy is \(memory.policy.rawValue), but max_memory sets no limit.")
    }
    return memory
  }

  private func readWhatIsHeld(into limits: inout Limits) throws(ConfigurationError) {
    limits.maxPinnedBytes = try size(
      .maxPinnedBytes, Self.memorySizes, default: limits.maxPinnedBytes)
    limits.viewNanosMax = try nanoseconds(
      .maxPinnedSeconds, 1...3_600, default: limits.viewNanosMax)
    limits.parkedCallsMax = try integer(
      .maxParkedCalls, 0...1_000_000, default: limits.parkedCallsMax)
    limits.parkedBytesMax = max(
      limits.parkedBytesMax, limits.parkedCallsMax * Self.bytesPerParkedCall)
  }

  private func readClientMemory(into limits: inout Limits) throws(ConfigurationError) {
    let threads =
      kind.settings.contains(.threads)
      ? try integer(.threads, Self.threadCounts, default: 1) : 1
    let least = limits.clientMemoryBytesMin(threads: threads)
    limits.clientMemoryBytes = try size(
      .clientMemoryBytes, Self.memorySizes, default: max(least, limits.clientMemoryBytes))
    guard limits.clientMemoryBytes >= least else {
      throw ConfigurationError(
        "client_memory_bytes (\(limits.clientMemoryBytes)) must be at least \(least): eight of the "
          + "longest messages (max_message_bytes) for each thread.")
    }
  }

  /// The limits of a router's links.
  package func linkLimits() throws(ConfigurationError) -> LinkLimits {
    var limits = LinkLimits()
    limits.silenceNanosMax = try nanoseconds(
      .linkTimeoutSeconds, 2...60, default: limits.silenceNanosMax)
    limits.waitNanosMax = try nanoseconds(
      .overloadWaitSeconds, 1...600, default: limits.waitNanosMax)
    limits.callsInFlightMax = try integer(
      .maxCallsPerShard, 1...1_000_000, default: limits.callsInFlightMax)
    limits.bytesInFlightMax = try size(
      .maxBytesPerShard, Self.memorySizes, default: limits.bytesInFlightMax)
    return limits
  }

  /// A setting in seconds.
  func nanoseconds(
    _ setting: Setting, _ range: ClosedRange<Int>, default value: UInt64
  ) throws(ConfigurationError) -> UInt64 {
    let second: UInt64 = 1_000_000_000
    return UInt64(try integer(setting, range, default: Int(value / second))) * second
  }
}
