// Accepting while the system has no descriptors or no memory: then a listening socket stays
// readable, and a loop that retries at once does nothing else. On the listening channel's loop.

import Logging
import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Stops accepting for a while when the system can't, and logs it once.
final class AcceptPause: ChannelInboundHandler {
  typealias InboundIn = any Channel
  typealias InboundOut = any Channel

  /// The first pause, and the longest: each is twice the one before.
  static let pauseNanosMin: Int64 = 100_000_000
  static let pauseNanosMax: Int64 = 1_000_000_000

  private let logger: Logger
  private let setAccepting: (any Channel, Bool) -> Void
  private var pauseNanos = pauseNanosMin
  private var isFailing = false
  private var timer: Scheduled<Void>?

  /// - Parameter setAccepting: enables or disables a listening channel. Delaying its reads isn't
  ///   enough: a failed read is still pending for SwiftNIO, which retries it.
  init(
    logger: Logger,
    setAccepting: @escaping (any Channel, Bool) -> Void = {
      try? $0.syncOptions?.setOption(.autoRead, value: $1)
    }
  ) {
    self.logger = logger
    self.setAccepting = setAccepting
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if isFailing {
      isFailing = false
      pauseNanos = Self.pauseNanosMin
      logger.notice("accepting connections again")
    }
    context.fireChannelRead(data)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard let error = error as? IOError, Self.isShortage(error.errnoCode) else {
      return context.fireErrorCaught(error)
    }
    if !isFailing {
      isFailing = true
      logger.warning("no connection can be accepted", metadata: ["error": "\(error)"])
    }
    guard timer == nil else { return }
    let channel = context.channel
    setAccepting(channel, false)
    timer = context.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(pauseNanos)) {
      [self] in
      timer = nil
      setAccepting(channel, true)
    }
    pauseNanos = min(2 * pauseNanos, Self.pauseNanosMax)
  }

  func channelInactive(context: ChannelHandlerContext) {
    timer?.cancel()
    timer = nil
    context.fireChannelInactive()
  }

  private static func isShortage(_ code: CInt) -> Bool {
    [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code)
  }
}
