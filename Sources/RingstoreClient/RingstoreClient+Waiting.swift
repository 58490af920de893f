// Pops that wait for a value: a worker calls once and gets the next one.

internal import RingstoreAPI

extension RingstoreCommand {
  /// Removes the first value of the first list that has one, and waits for one if none has. Reply:
  /// `.value`, which names its key if there are several; nil when the time has passed.
  ///
  /// - Parameters:
  ///   - keys: one at least; they must share a slot, so several need the same {hash tag}.
  ///   - waiting: up to a day.
  public static func lPop(firstOf keys: [some RingstoreBytes], waiting: Duration) -> Self {
    pop(V1.KeyStore.lPop, keys, waiting)
  }

  /// As `lPop(firstOf:waiting:)`, of the last values.
  public static func rPop(firstOf keys: [some RingstoreBytes], waiting: Duration) -> Self {
    pop(V1.KeyStore.rPop, keys, waiting)
  }

  private static func pop(
    _ rpc: RPC, _ keys: [some RingstoreBytes], _ waiting: Duration
  ) -> Self {
    Self(rpc) { request in
      for (place, key) in keys.enumerated() {
        key.ringstoreBytes.withUnsafeBytes {
          request.append(place == 0 ? V1.PopRequest.Field.key : V1.PopRequest.Field.otherKeys, $0)
        }
      }
      request.write(V1.PopRequest.Field.waitMillis, UInt64(UInt32(clamping: waiting.wholeMillis)))
    }
  }
}

extension RingstoreClient {
  /// Removes the first value and returns it, and waits for one if there is none; nil when the time
  /// has passed. Waiting calls are served in the order of their arrival.
  ///
  /// No value is returned twice. If this call is cancelled just when it gets a value, that value is
  /// lost; if that matters, move values to another list instead.
  ///
  /// - Parameters:
  ///   - waiting: up to a day, beside the timeout.
  /// - Throws: SHARD_UNAVAILABLE if the shard or the router drains; then nothing was removed.
  public func lPop(
    _ key: some RingstoreBytes, waiting: Duration, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [UInt8]? {
    try await run(.lPop(firstOf: [key], waiting: waiting), options: options).value()
  }

  /// As `lPop(_:waiting:)`, of the last value.
  public func rPop(
    _ key: some RingstoreBytes, waiting: Duration, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> [UInt8]? {
    try await run(.rPop(firstOf: [key], waiting: waiting), options: options).value()
  }
}
