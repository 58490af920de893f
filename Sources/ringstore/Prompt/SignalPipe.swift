// Signals as bytes in a pipe, so that a thread that waits for something else can wait for them as
// well. The handlers run on any thread and only write; one thread reads.

import Glibc

/// What a signal means at a prompt.
enum PromptSignal: UInt8 {
  /// Ctrl-C.
  case interrupt
  /// The process must end, or the terminal has gone.
  case end
  /// The terminal has another size.
  case resize
  /// The process was stopped and continues; other programs may have changed the terminal meanwhile.
  case resume

  fileprivate init?(number: Int32) {
    switch number {
    case SIGINT: self = .interrupt
    case SIGTERM, SIGHUP: self = .end
    case SIGWINCH: self = .resize
    case SIGCONT: self = .resume
    default: return nil
    }
  }
}

/// Two descriptors; what is written into one is read from the other.
struct DescriptorPair: Sendable {
  let readEnd: Int32
  let writeEnd: Int32

  /// nil if the process has no descriptors left. A full pipe refuses rather than blocks.
  static func make() -> DescriptorPair? {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return nil }
    for end in ends {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
    return DescriptorPair(readEnd: ends[0], writeEnd: ends[1])
  }

  func write(_ byte: UInt8) {
    var byte = byte
    _ = Glibc.write(writeEnd, &byte, 1)
  }

  /// The next byte, if there is one.
  func read() -> UInt8? {
    var byte: UInt8 = 0
    return Glibc.read(readEnd, &byte, 1) == 1 ? byte : nil
  }
}

enum SignalPipe {
  /// One for the process, as its signals are. Never closed.
  private static let pair = DescriptorPair.make()

  /// From here on the signals of a prompt arrive through the pipe. False if that isn't possible.
  static func install() -> Bool {
    // Made here, so that a handler never is the first to touch it.
    guard pair != nil else { return false }
    for number in [SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGCONT] {
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { number in
        let failure = errno
        if let signal = PromptSignal(number: number) { SignalPipe.pair?.write(signal.rawValue) }
        errno = failure
      }
      action.sa_flags = SA_RESTART
      guard sigaction(number, &action, nil) == 0 else { return false }
    }
    return true
  }

  static func next() -> PromptSignal? { pair?.read().flatMap(PromptSignal.init(rawValue:)) }

  /// Waits until a signal has arrived or the other descriptor can be read; returns whether it can.
  static func wait(orFor descriptor: Int32) -> Bool {
    var events = [
      pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
      pollfd(fd: pair?.readEnd ?? -1, events: Int16(POLLIN), revents: 0),
    ]
    while poll(&events, nfds_t(events.count), -1) < 0, errno == EINTR {}
    return events[0].revents != 0
  }
}
