// The path of every unary call: encode, send, read the reply or turn the status into an error.

package import GRPC
internal import NIOCore
package import RingstoreAPI

extension RingstoreClient {
  /// Sends one command on one key and reads its reply. A command that waits for a value does so
  /// beside the timeout.
  public func run(
    _ command: RingstoreCommand, options: RingstoreCallOptions = .standard
  ) async throws(RingstoreError) -> RingstoreReply {
    var request = ByteBuffer()
    command.writeRequest(database: database(options), into: &request)
    var options = options
    options.timeout = (options.timeout ?? configuration.timeout) + command.wait
    return try await call(command.rpc, request, options) { response throws(WireError) in
      try RingstoreReply(command.rpc, response: response)
    }
  }

  /// Sends an encoded request; `decode` reads the response, which is lent for that time only.
  func call<Reply>(
    _ rpc: RPC, _ request: ByteBuffer, _ options: RingstoreCallOptions,
    decode: (UnsafeRawBufferPointer) throws(WireError) -> Reply
  ) async throws(RingstoreError) -> Reply {
    if let error = requestTooLong(request.readableBytes) { throw error }
    let response: ByteBuffer
    do throws(RPCStatus) {
      response = try await channel.unary(
        path: rpc.path, metadata: metadata(options),
        timeout: TimeAmount(options.timeout ?? configuration.timeout),
        encoding: encoding, retrySafe: rpc.isReadOnly
      ) { $0.writeImmutableBuffer(request) }
    } catch {
      throw RingstoreError(error, of: rpc)
    }
    do throws(WireError) {
      return try response.withBytes(decode)
    } catch {
      throw .undecodable(rpc)
    }
  }

  /// Why a request of this many bytes is not sent; nil: it is. A node would only refuse it, and the
  /// refusal could not be distinguished from a reply that is too long.
  func requestTooLong(_ bytes: Int) -> RingstoreError? {
    guard bytes > configuration.maxMessageBytes else { return nil }
    return .requestTooLong(bytes, max: configuration.maxMessageBytes)
  }

  func database(_ options: RingstoreCallOptions) -> UInt32 {
    options.database ?? configuration.database
  }
}

extension RingstoreError {
  /// The failure of a unary call.
  package init(_ status: RPCStatus, of rpc: RPC) {
    var error = CallError(code: status.code, message: status.message, details: status.details)
    if status.pushbackMillis.map({ $0 < 0 }) ?? false { error.doNotRetry = true }
    self.init(error, of: rpc)
  }
}

extension ByteBuffer {
  /// `withUnsafeReadableBytes` with a typed error.
  func withBytes<Reply>(
    _ body: (UnsafeRawBufferPointer) throws(WireError) -> Reply
  ) throws(WireError) -> Reply {
    let outcome: Result<Reply, WireError> = withUnsafeReadableBytes { bytes in
      do throws(WireError) {
        return .success(try body(bytes))
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }
}
