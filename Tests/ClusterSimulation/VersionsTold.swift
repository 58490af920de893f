// Which version of a key stood for which value, as clients were told: no key has a version twice,
// also not after a restart of its shard.
//
// Owns what was told. A value; one thread.

struct VersionsTold {
  private struct Version: Hashable {
    let key: [UInt8]
    let number: UInt64
  }

  private var values: [Version: [UInt8]] = [:]

  /// A reply has told a version. Returns another value that had it.
  mutating func note(_ item: SimulatedCall.Item, _ reply: KeyReply) -> String? {
    guard case .versioned(let told, let number) = reply else { return nil }
    let value: [UInt8]
    switch told {
    case .value(let held?): value = held
    case .done where item.call.model === CommandModel.setIfVersion: value = item.call.words[0]
    default: return nil
    }
    let version = Version(key: item.key, number: number)
    guard let before = values.updateValue(value, forKey: version), before != value else {
      return nil
    }
    return HistoryOperation.text(before)
  }
}
