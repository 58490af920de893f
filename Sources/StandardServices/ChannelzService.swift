// grpc.channelz.v1: the node's server, its connections with their counts, and the links of a router
// as channels. Reports are collected from all event loops for each call, and lists are divided into
// pages of `pageMax`. On the node's event loop; keeps nothing.
//
// Numbers of things: 1 is the server, 2 its listening socket, those of connections begin at
// `firstConnection`, those of links at `firstChannel`.

import GRPC
import NIOCore
import RingstoreAPI

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

final class ChannelzService {
  private static let serverID: Int64 = 1
  private static let listenSocketID: Int64 = 2
  private static let firstConnection: Int64 = 1_000
  private static let firstChannel: Int64 = 1 << 40
  /// Most entries of one page; the public implementations have as many.
  private static let pageMax = 100

  private unowned let node: any StandardServicesNode
  private let eventLoop: any EventLoop
  var connections: NodeConnections?

  init(node: any StandardServicesNode, eventLoop: any EventLoop) {
    self.node = node
    self.eventLoop = eventLoop
  }

  /// - Throws: if the request is no valid message.
  func reply(
    _ call: ServerCall, _ method: StandardMethod, _ request: UnsafeRawBufferPointer
  ) throws(WireError) {
    switch method {
    case .servers:
      typealias Field = GRPCChannelz.GetServersRequest.Field
      let start = try MessageFields.number(Field.startServerID, in: request)
      withServer(call) { Self.writeServers(from: start, $0, to: call) }
    case .server:
      typealias Field = GRPCChannelz.GetServerRequest.Field
      let id = try MessageFields.number(Field.serverID, in: request)
      withServer(call) { Self.writeServer(id, $0, to: call) }
    case .serverSockets:
      typealias Field = GRPCChannelz.GetServerSocketsRequest.Field
      let id = try MessageFields.number(Field.serverID, in: request)
      let start = try MessageFields.number(Field.startSocketID, in: request)
      let most = try MessageFields.number(Field.maxResults, in: request)
      withServer(call) { Self.writeSockets(of: id, from: start, most: most, $0, to: call) }
    case .socket:
      typealias Field = GRPCChannelz.GetSocketRequest.Field
      let id = try MessageFields.number(Field.socketID, in: request)
      withServer(call) { Self.writeSocket(id, $0, to: call) }
    case .topChannels:
      typealias Field = GRPCChannelz.GetTopChannelsRequest.Field
      let start = try MessageFields.number(Field.startChannelID, in: request)
      let most = try MessageFields.number(Field.maxResults, in: request)
      withLinks(call) { Self.writeChannels(from: start, most: most, $0, to: call) }
    case .channel:
      typealias Field = GRPCChannelz.GetChannelRequest.Field
      let id = try MessageFields.number(Field.channelID, in: request)
      withLinks(call) { Self.writeChannel(id, $0, to: call) }
    case .subchannel:
      call.fail(RPCStatus(.notFound, "there are no subchannels here"))
    default: call.fail(RPCStatus(.unimplemented))
    }
  }

  /// Calls `body` to reply once the reports are complete, unless the call has ended by then.
  private func replyLater<Report: Sendable>(
    _ call: ServerCall, _ report: EventLoopFuture<Report>, _ body: @escaping (Report) -> Void
  ) {
    let pending = PendingReply()
    call.context = pending
    let bound = NIOLoopBound((call, pending, body), eventLoop: eventLoop)
    report.whenComplete { outcome in
      let (call, pending, body) = bound.value
      guard call.context === pending else { return }
      switch outcome {
      case .success(let report): body(report)
      case .failure(let error): call.fail(RPCStatus(.unavailable, "\(error)"))
      }
    }
  }

  private func withServer(_ call: ServerCall, _ body: @escaping (ServerReport) -> Void) {
    guard let report = connections?.serverReport(on: eventLoop) else {
      return call.fail(RPCStatus(.unavailable, "the node has just started"))
    }
    replyLater(call, report, body)
  }

  private func withLinks(_ call: ServerCall, _ body: @escaping ([LinkReport]) -> Void) {
    replyLater(call, node.linkReports() ?? eventLoop.makeSucceededFuture([]), body)
  }

  // MARK: - Servers

  private static func writeServers(from start: Int64, _ server: ServerReport, to call: ServerCall) {
    typealias Field = GRPCChannelz.GetServersResponse.Field
    call.respond { buffer in
      if start <= serverID { write(server, as: Field.server, to: &buffer) }
      buffer.write(Field.end, true)
    }
  }

  private static func writeServer(_ id: Int64, _ server: ServerReport, to call: ServerCall) {
    guard id == serverID else { return call.fail(notFound("server", id)) }
    call.respond { write(server, as: GRPCChannelz.GetServerResponse.Field.server, to: &$0) }
  }

  private static func write(
    _ server: ServerReport, as field: BytesField, to buffer: inout ByteBuffer
  ) {
    typealias Data = GRPCChannelz.ServerData.Field
    let message = buffer.beginLengthDelimited(field)
    let ref = buffer.beginLengthDelimited(GRPCChannelz.Server.Field.ref)
    buffer.write(GRPCChannelz.ServerRef.Field.serverID, serverID)
    buffer.write(GRPCChannelz.ServerRef.Field.name, server.address?.shown ?? "")
    buffer.endLengthDelimited(ref)
    let data = buffer.beginLengthDelimited(GRPCChannelz.Server.Field.data)
    buffer.write(Data.callsStarted, Int64(server.calls.started))
    buffer.write(Data.callsSucceeded, Int64(server.calls.succeeded))
    buffer.write(Data.callsFailed, Int64(server.calls.failed))
    buffer.endLengthDelimited(data)
    write(
      socket: listenSocketID, server.address?.shown ?? "",
      as: GRPCChannelz.Server.Field.listenSocket, to: &buffer)
    buffer.endLengthDelimited(message)
  }

  // MARK: - Sockets

  private static func id(of connection: ConnectionReport) -> Int64 {
    firstConnection &+ Int64(truncatingIfNeeded: connection.id)
  }

  private static func writeSockets(
    of server: Int64, from start: Int64, most: Int64, _ report: ServerReport, to call: ServerCall
  ) {
    guard server == serverID else { return call.fail(notFound("server", server)) }
    typealias Field = GRPCChannelz.GetServerSocketsResponse.Field
    let rest = report.connections.filter { id(of: $0) >= start }.sorted { $0.id < $1.id }
    let page = rest.prefix(pageSize(most))
    call.respond { buffer in
      for one in page {
        write(socket: id(of: one), one.remote?.shown ?? "", as: Field.socketRef, to: &buffer)
      }
      buffer.write(Field.end, page.count == rest.count)
    }
  }

  private static func write(
    socket id: Int64, _ name: String, as field: BytesField, to buffer: inout ByteBuffer
  ) {
    let ref = buffer.beginLengthDelimited(field)
    buffer.write(GRPCChannelz.SocketRef.Field.socketID, id)
    buffer.write(GRPCChannelz.SocketRef.Field.name, name)
    buffer.endLengthDelimited(ref)
  }

  private static func writeSocket(_ id: Int64, _ report: ServerReport, to call: ServerCall) {
    typealias Field = GRPCChannelz.Socket.Field
    let connection = report.connections.first { Self.id(of: $0) == id }
    guard connection != nil || id == listenSocketID else {
      return call.fail(notFound("socket", id))
    }
    let local = connection?.local ?? report.address
    call.respond { buffer in
      let message = buffer.beginLengthDelimited(GRPCChannelz.GetSocketResponse.Field.socket)
      let name = (connection?.remote ?? local)?.shown ?? ""
      write(socket: id, name, as: Field.ref, to: &buffer)
      if let connection { write(connection, to: &buffer) }
      write(local, as: Field.local, to: &buffer)
      write(connection?.remote, as: Field.remote, to: &buffer)
      buffer.endLengthDelimited(message)
    }
  }

  private static func write(_ connection: ConnectionReport, to buffer: inout ByteBuffer) {
    typealias Field = GRPCChannelz.SocketData.Field
    let data = buffer.beginLengthDelimited(GRPCChannelz.Socket.Field.data)
    buffer.write(Field.streamsStarted, Int64(connection.calls.started))
    buffer.write(Field.streamsSucceeded, Int64(connection.calls.succeeded))
    buffer.write(Field.streamsFailed, Int64(connection.calls.failed))
    buffer.write(Field.messagesSent, Int64(connection.messagesSent))
    buffer.write(Field.messagesReceived, Int64(connection.messagesReceived))
    buffer.write(Field.keepAlivesSent, Int64(connection.keepAlivesSent))
    buffer.endLengthDelimited(data)
  }

  private static func write(
    _ address: SocketAddress?, as field: BytesField, to buffer: inout ByteBuffer
  ) {
    guard let address, let port = address.port else { return }
    typealias Part = GRPCChannelz.Address.TcpIpAddress.Field
    let outer = buffer.beginLengthDelimited(field)
    let inner = buffer.beginLengthDelimited(GRPCChannelz.Address.Field.tcpipAddress)
    switch address {
    case .v4(let v4):
      withUnsafeBytes(of: v4.address.sin_addr) { buffer.write(Part.ipAddress, $0) }
    case .v6(let v6):
      withUnsafeBytes(of: v6.address.sin6_addr) { buffer.write(Part.ipAddress, $0) }
    default: break
    }
    buffer.write(Part.port, Int64(port))
    buffer.endLengthDelimited(inner)
    buffer.endLengthDelimited(outer)
  }

  // MARK: - Channels

  private static func writeChannels(
    from start: Int64, most: Int64, _ links: [LinkReport], to call: ServerCall
  ) {
    typealias Field = GRPCChannelz.GetTopChannelsResponse.Field
    let first = min(max(start, firstChannel) - firstChannel, Int64(links.count))
    let page = links.dropFirst(Int(first)).prefix(pageSize(most))
    call.respond { buffer in
      for (index, link) in zip(page.indices, page) {
        write(link, firstChannel + Int64(index), as: Field.channel, to: &buffer)
      }
      buffer.write(Field.end, page.endIndex == links.endIndex)
    }
  }

  private static func writeChannel(_ id: Int64, _ links: [LinkReport], to call: ServerCall) {
    guard id >= firstChannel, id - firstChannel < links.count else {
      return call.fail(notFound("channel", id))
    }
    let link = links[Int(id - firstChannel)]
    call.respond {
      write(link, id, as: GRPCChannelz.GetChannelResponse.Field.channel, to: &$0)
    }
  }

  private static func write(
    _ link: LinkReport, _ id: Int64, as field: BytesField, to buffer: inout ByteBuffer
  ) {
    typealias Data = GRPCChannelz.ChannelData.Field
    let message = buffer.beginLengthDelimited(field)
    let ref = buffer.beginLengthDelimited(GRPCChannelz.Channel.Field.ref)
    buffer.write(GRPCChannelz.ChannelRef.Field.channelID, id)
    buffer.write(GRPCChannelz.ChannelRef.Field.name, link.name)
    buffer.endLengthDelimited(ref)
    let data = buffer.beginLengthDelimited(GRPCChannelz.Channel.Field.data)
    let state = buffer.beginLengthDelimited(Data.state)
    buffer.write(GRPCChannelz.ChannelConnectivityState.Field.state, link.state)
    buffer.endLengthDelimited(state)
    buffer.write(Data.target, link.target)
    buffer.write(Data.callsStarted, Int64(link.calls.started))
    buffer.write(Data.callsSucceeded, Int64(link.calls.succeeded))
    buffer.write(Data.callsFailed, Int64(link.calls.failed))
    if let nanos = link.sinceLastCallNanos {
      write(momentBefore: nanos, as: Data.lastCallStartedTimestamp, to: &buffer)
    }
    buffer.endLengthDelimited(data)
    buffer.endLengthDelimited(message)
  }

  /// A moment of the past as google.protobuf.Timestamp: seconds and nanoseconds of the wall clock.
  private static func write(
    momentBefore nanos: UInt64, as field: BytesField, to buffer: inout ByteBuffer
  ) {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let (second, ago) = (Int64(1_000_000_000), Int64(clamping: nanos))
    let moment = max(0, Int64(now.tv_sec) &* second &+ Int64(now.tv_nsec) &- ago)
    let message = buffer.beginLengthDelimited(field)
    buffer.write(IntField(1), moment / second)
    buffer.write(IntField(2), moment % second)
    buffer.endLengthDelimited(message)
  }

  // MARK: - What they share

  private static func pageSize(_ most: Int64) -> Int {
    most > 0 ? Int(min(most, Int64(pageMax))) : pageMax
  }

  private static func notFound(_ what: String, _ id: Int64) -> RPCStatus {
    RPCStatus(.notFound, "there is no \(what) \(id)")
  }
}

/// Marks a call that waits for reports, as its context. A report that finds another mark there, or
/// none, is too late.
final class PendingReply {}
