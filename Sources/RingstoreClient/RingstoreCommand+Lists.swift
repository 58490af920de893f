// Calls on one list, as values.

internal import RingstoreAPI

extension RingstoreCommand {
  /// Puts values in front of a list one after another. Reply: `.status`, whose count is the
  /// list's length.
  ///
  /// - Parameter onlyIfPresent: a list that isn't there is not made; the reply is then not `ok`.
  public static func lPush(
    _ key: some RingstoreBytes, _ values: [some RingstoreBytes], onlyIfPresent: Bool = false
  ) -> Self {
    push(V1.KeyStore.lPush, key, values, onlyIfPresent)
  }

  /// Puts values at the end of a list. Reply: `.status`, whose count is the list's length.
  ///
  /// - Parameter onlyIfPresent: a list that isn't there is not made; the reply is then not `ok`.
  public static func rPush(
    _ key: some RingstoreBytes, _ values: [some RingstoreBytes], onlyIfPresent: Bool = false
  ) -> Self {
    push(V1.KeyStore.rPush, key, values, onlyIfPresent)
  }

  private static func push(
    _ rpc: RPC, _ key: some RingstoreBytes, _ values: [some RingstoreBytes], _ onlyIfPresent: Bool
  ) -> Self {
    Self(rpc) { request in
      key.ringstoreBytes.withUnsafeBytes {
        V1.ListInsert(key: $0, onlyIfPresent: onlyIfPresent).write(into: &request)
      }
      for value in values {
        value.ringstoreBytes.withUnsafeBytes { request.append(V1.ListInsert.Field.values, $0) }
      }
    }
  }

  /// Takes the first value of a list away. Reply: `.value`.
  public static func lPop(_ key: some RingstoreBytes) -> Self { Self(V1.KeyStore.lPop, key) }

  /// Takes the last value of a list away. Reply: `.value`.
  public static func rPop(_ key: some RingstoreBytes) -> Self { Self(V1.KeyStore.rPop, key) }

  /// Removes up to `count` values from the head of a list. Reply: `.list`.
  public static func lPop(_ key: some RingstoreBytes, count: Int) -> Self {
    popMany(V1.KeyStore.lPopMany, key, count)
  }

  /// Takes the last values of a list away, the last one first. Reply: `.list`.
  public static func rPop(_ key: some RingstoreBytes, count: Int) -> Self {
    popMany(V1.KeyStore.rPopMany, key, count)
  }

  private static func popMany(_ rpc: RPC, _ key: some RingstoreBytes, _ count: Int) -> Self {
    Self(rpc) { request in
      key.ringstoreBytes.withUnsafeBytes {
        V1.PopManyRequest(key: $0, count: UInt32(clamping: count)).write(into: &request)
      }
    }
  }

  /// Counts the values of a list. Reply: `.status`, whose count is the length.
  public static func lLen(_ key: some RingstoreBytes) -> Self { Self(V1.KeyStore.lLen, key) }

  /// Reads a range of a list; start and stop are included, negative ones count from the end.
  /// Reply: `.list`.
  public static func lRange(_ key: some RingstoreBytes, _ start: Int64, _ stop: Int64) -> Self {
    range(V1.KeyStore.lRange, key, start, stop)
  }

  /// Keeps a range of a list and removes the rest. Reply: `.status`, whose count is the new length.
  public static func lTrim(_ key: some RingstoreBytes, _ start: Int64, _ stop: Int64) -> Self {
    range(V1.KeyStore.lTrim, key, start, stop)
  }

  private static func range(
    _ rpc: RPC, _ key: some RingstoreBytes, _ start: Int64, _ stop: Int64
  ) -> Self {
    Self(rpc) { request in
      key.ringstoreBytes.withUnsafeBytes {
        V1.ListRange(key: $0, start: start, stop: stop).write(into: &request)
      }
    }
  }

  /// Reads one value of a list; a negative index counts from the end. Reply: `.value`.
  public static func lIndex(_ key: some RingstoreBytes, _ index: Int64) -> Self {
    Self(V1.KeyStore.lIndex) { request in
      key.ringstoreBytes.withUnsafeBytes {
        V1.ListIndexRequest(key: $0, index: index).write(into: &request)
      }
    }
  }

  /// Replaces one value of a list; a negative index counts from the end. Reply: `.status`, whose
  /// count is the length.
  public static func lSet(
    _ key: some RingstoreBytes, _ index: Int64, to value: some RingstoreBytes
  ) -> Self {
    Self(V1.KeyStore.lSet) { request in
      key.ringstoreBytes.withUnsafeBytes { key in
        value.ringstoreBytes.withUnsafeBytes {
          V1.ListSetRequest(key: key, index: index, value: $0).write(into: &request)
        }
      }
    }
  }

  /// Removes values that are equal to one: `count` from the head, or from the tail if it is
  /// negative, or all (0). Reply: `.status`, whose count is how many were removed.
  public static func lRem(
    _ key: some RingstoreBytes, _ value: some RingstoreBytes, count: Int64 = 0
  ) -> Self {
    Self(V1.KeyStore.lRem) { request in
      key.ringstoreBytes.withUnsafeBytes { key in
        value.ringstoreBytes.withUnsafeBytes {
          V1.ListRemoveRequest(key: key, count: count, value: $0).write(into: &request)
        }
      }
    }
  }

  /// Puts a value in front of the first one that is equal to `pivot`, or after it. Reply:
  /// `.status`, not `ok` if there is no pivot, whose count is the length.
  public static func lInsert(
    _ key: some RingstoreBytes, _ value: some RingstoreBytes, _ side: RingstoreListSide,
    _ pivot: some RingstoreBytes
  ) -> Self {
    Self(V1.KeyStore.lInsert) { request in
      key.ringstoreBytes.withUnsafeBytes { key in
        pivot.ringstoreBytes.withUnsafeBytes { pivot in
          value.ringstoreBytes.withUnsafeBytes {
            V1.ListInsertRequest(key: key, pivot: pivot, value: $0, after: side == .after)
              .write(into: &request)
          }
        }
      }
    }
  }

  /// Finds the positions of values that are equal to one. Reply: `.positions`.
  ///
  /// - Parameters:
  ///   - rank: with which of them it begins: 1 is the first, -1 the first from the tail.
  ///   - count: the maximum number of positions; 0: all.
  ///   - maxLength: how many values of the list are looked at; 0: all.
  public static func lPos(
    _ key: some RingstoreBytes, _ value: some RingstoreBytes, rank: Int64 = 1, count: Int64 = 1,
    maxLength: Int64 = 0
  ) -> Self {
    Self(V1.KeyStore.lPos) { request in
      key.ringstoreBytes.withUnsafeBytes { key in
        value.ringstoreBytes.withUnsafeBytes {
          V1.ListPositionRequest(
            key: key, value: $0, rank: rank, count: count, maxLength: maxLength
          ).write(into: &request)
        }
      }
    }
  }

  /// Removes a value from one end of a list and puts it at an end of another list in the same slot,
  /// or of the same list. Reply: `.value`.
  ///
  /// - Parameter waiting: how long it waits for a value if there is none, up to a day.
  public static func lMove(
    _ source: some RingstoreBytes, _ from: RingstoreListEnd,
    to destination: some RingstoreBytes, _ to: RingstoreListEnd, waiting: Duration = .zero
  ) -> Self {
    Self(V1.KeyStore.lMove) { request in
      source.ringstoreBytes.withUnsafeBytes { source in
        destination.ringstoreBytes.withUnsafeBytes {
          V1.ListMoveRequest(
            key: source, destination: $0, from: from.listEnd, to: to.listEnd,
            waitMillis: UInt32(clamping: waiting.wholeMillis)
          ).write(into: &request)
        }
      }
    }
  }
}

/// One end of a list.
public enum RingstoreListEnd: Sendable, Hashable {
  case head
  case tail

  var listEnd: V1.ListEnd { self == .tail ? .tail : .head }
}

/// Where a value goes, beside another.
public enum RingstoreListSide: Sendable, Hashable {
  case before
  case after
}
