// The calls of the standard services: their numbers in this process, and the permissions. Values;
// any thread.

import Commands
import GRPC
import RingstoreAPI

package enum StandardMethod: Int, CaseIterable, Sendable {
  case healthCheck = 30_000
  case healthList, healthWatch
  case reflection, reflectionAlpha
  case topChannels, servers, server, serverSockets, channel, subchannel, socket

  /// `:path`.
  package var path: String {
    switch self {
    case .healthCheck: GRPCHealth.Health.check
    case .healthList: GRPCHealth.Health.list
    case .healthWatch: GRPCHealth.Health.watch
    case .reflection: GRPCReflection.ServerReflection.serverReflectionInfo
    case .reflectionAlpha: GRPCReflectionAlpha.ServerReflection.serverReflectionInfo
    case .topChannels: GRPCChannelz.Channelz.getTopChannels
    case .servers: GRPCChannelz.Channelz.getServers
    case .server: GRPCChannelz.Channelz.getServer
    case .serverSockets: GRPCChannelz.Channelz.getServerSockets
    case .channel: GRPCChannelz.Channelz.getChannel
    case .subchannel: GRPCChannelz.Channelz.getSubchannel
    case .socket: GRPCChannelz.Channelz.getSocket
    }
  }

  /// Whether every caller may make the call, even on a node with users: probes have no user, and
  /// reflection's data is public in this repository. Channelz shows the connected clients, and is
  /// for administrators.
  package var isOpenToAll: Bool {
    switch self {
    case .healthCheck, .healthList, .healthWatch, .reflection, .reflectionAlpha: true
    default: false
    }
  }

  private var kind: ServerMethod.Kind {
    switch self {
    case .healthWatch, .reflection, .reflectionAlpha: .streaming
    default: .unary
    }
  }

  /// Whether a node serves it even if clients have all the connections that they may have.
  private var isReserved: Bool { self != .reflection && self != .reflectionAlpha }

  private static let byPath = Dictionary(uniqueKeysWithValues: allCases.map { ($0.path, $0) })

  /// Whether the number is one of these calls'.
  package static func contains(_ methodID: Int) -> Bool {
    CallNumbers.standard.contains(methodID)
  }

  /// The method behind a path, or nil if it is none of these. O(length of path).
  package static func method(path: UnsafeRawBufferPointer) -> ServerMethod? {
    guard let method = byPath[String(decoding: path, as: UTF8.self)] else { return nil }
    return ServerMethod(id: method.rawValue, kind: method.kind, isReserved: method.isReserved)
  }
}

/// The services of a node by their full names.
enum ServedServices {
  /// Those whose calls are about keys.
  static let ofKeys = [
    V1.KeyStore.name, Legacy.KeyStore.name, Legacy.KVStore.name,
  ]

  private static let others = [
    V1.Cluster.name, GRPCHealth.Health.name, GRPCReflection.ServerReflection.name,
    GRPCReflectionAlpha.ServerReflection.name, GRPCChannelz.Channelz.name,
  ]

  /// In the order of their names.
  static func all(servesLink: Bool) -> [String] {
    (ofKeys + others + (servesLink ? [LinkV1.Link.name] : [])).sorted()
  }
}
