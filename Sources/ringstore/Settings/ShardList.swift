// A router's list of shards, each as ID=HOST:PORT[,weight=W].

import Placement
import TextForms

package enum ShardList {
  /// The most shards of a cluster.
  package static let countMax = SlotMap.shardCountMax

  /// - Parameter origin: where the entries were written, for messages.
  package static func parse(
    _ entries: [String], origin: String
  ) throws(ConfigurationError) -> [ShardDescription] {
    guard entries.count <= countMax else {
      throw ConfigurationError(
        "\(origin) lists \(entries.count) shards; a cluster has 1 to \(countMax).")
    }
    var shards: [ShardDescription] = []
    for entry in entries {
      let shard = try parse(entry, origin: origin)
      if shards.contains(where: { $0.id == shard.id }) {
        throw ConfigurationError("\(origin) lists the shard '\(shard.id)' more than once.")
      }
      if let other = shards.first(where: { $0.address == shard.address }) {
        throw ConfigurationError(
          "\(origin) gives the shards '\(other.id)' and '\(shard.id)' one address, "
            + "\(shard.address).")
      }
      shards.append(shard)
    }
    return shards
  }

  /// Checks that an id may be a shard's.
  static func checkIsFree(_ id: String) throws(ConfigurationError) {
    guard id != ShardDescription.routerName else {
      throw ConfigurationError("\(PlacementError.reservedID(id)).")
    }
  }

  private static func parse(
    _ entry: String, origin: String
  ) throws(ConfigurationError) -> ShardDescription {
    guard let equals = entry.firstIndex(of: "=") else {
      throw ConfigurationError(
        "\(origin) must be ID=HOST:PORT or ID=HOST:PORT,weight=W, not '\(entry)'.")
    }
    let id = String(entry[..<equals])
    guard PlainName.isValid(id.utf8) else {
      throw ConfigurationError(
        "the id in \(origin) must be \(PlainName.form), not '\(id)' as in '\(entry)'.")
    }
    try checkIsFree(id)
    let parts = entry[entry.index(after: equals)...].split(
      separator: ",", omittingEmptySubsequences: false)
    guard let address = parts.first.flatMap({ HostPort(String($0)) }) else {
      throw ConfigurationError(
        "the address of shard '\(id)' in \(origin) must be HOST:PORT with a port from 1 to 65535 "
          + "(an IPv6 address in brackets), not '\(parts.first ?? "")'.")
    }
    return ShardDescription(
      id: id, address: address.description,
      weight: try weight(parts.dropFirst(), id: id, origin: origin))
  }

  private static func weight(
    _ options: ArraySlice<Substring>, id: String, origin: String
  ) throws(ConfigurationError) -> Double {
    guard let option = options.first else { return 1 }
    guard options.count == 1, option.hasPrefix("weight=") else {
      throw ConfigurationError(
        "shard '\(id)' in \(origin) must be ID=HOST:PORT or ID=HOST:PORT,weight=W; "
          + "',\(options.joined(separator: ","))' is not an option.")
    }
    let text = option.dropFirst("weight=".count)
    guard let weight = Double(text), weight.isFinite, weight > 0 else {
      throw ConfigurationError(
        "the weight of shard '\(id)' in \(origin) must be a number above 0, not '\(text)'.")
    }
    return weight
  }
}
