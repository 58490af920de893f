// Messages that arrived in gzip: inflated whole, up to the size limit of a message. The result is
// valid during its delivery. None of it is on the path of other calls.

import NIOCore

extension GRPCServerHandler {
  /// - Throws: if the message is not valid gzip, or exceeds the size limit of a message.
  func inflate(_ message: UnsafeRawBufferPointer) throws(MessageFramingError) -> ByteBuffer {
    try loop.gzip.inflate(message, limit: configuration.maxMessageBytes)
  }

  /// Delivers a message that was inflated: the service can't keep the block that it arrived in.
  func deliver(
    _ inflated: ByteBuffer, _ call: ServerCall, _ body: (UnsafeRawBufferPointer) -> Void
  ) {
    call.extras?.isInflated = true
    inflated.withUnsafeReadableBytes(body)
    call.extras?.isInflated = false
  }

  /// Gives the service a message of a streaming call, which arrived in gzip.
  ///
  /// - Returns: why the call ends instead; nil: it doesn't.
  func deliverInflated(
    _ call: ServerCall, _ message: UnsafeRawBufferPointer
  ) throws(MessageFramingError) -> RPCStatus? {
    if let refusal = service.refusal(of: call) { return refusal }
    let inflated = try inflate(message)
    deliver(inflated, call) { service.stream(call, received: $0) }
    return nil
  }

  /// Gives the service the message of a unary call, which arrived in gzip.
  func handInflated(_ call: ServerCall, _ message: UnsafeRawBufferPointer) {
    if let refusal = service.refusal(of: call) { return reject(call, refusal) }
    do throws(MessageFramingError) {
      let inflated = try inflate(message)
      tally.received()
      deliver(inflated, call) { plain in
        call.state.introduce()
        call.state.halfClose()
        call.state.beginDelivery()
        service.unary(call, message: plain)
        call.state.endDelivery()
      }
    } catch {
      reject(call, error.status(limit: configuration.maxMessageBytes))
    }
  }
}
