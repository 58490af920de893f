// State of the process as a whole.

import GRPC
import Glibc
import Logging
import Synchronization

enum ProcessState {
  /// A closed peer must be an error of one write, not the end of the process.
  static func ignoreBrokenPipes() {
    signal(SIGPIPE, SIG_IGN)
  }

  /// SIGQUIT ends a node at once, the system's default. Swift's runtime may have taken the signal
  /// to print a trace, and the node would continue.
  static func restoreQuitSignal() {
    signal(SIGQUIT, SIG_DFL)
  }

  /// A process may be started with stdin, stdout or stderr closed. The next file or connection then
  /// would get that number, and our output. Each gets a stand-in that refuses its use instead.
  static func keepStandardDescriptors() {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
      // The lowest free number is this one, since those below are open.
      _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
    }
  }

  /// Every connection needs a descriptor; the soft limit is often 1024.
  static func raiseDescriptorLimit(_ logger: Logger) {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    guard limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
      logger.warning(
        "the limit of open files stays as it is", metadata: ["errno": "\(errno)"])
      return
    }
    logger.debug("limit of open files raised", metadata: ["limit": "\(limit.rlim_max)"])
  }

  /// How the descriptors that there are now are divided.
  ///
  /// - Parameter outgoing: connections that the process makes itself.
  static func descriptorShares(
    outgoing: Int, _ asked: ConnectionsAsked, _ logs: NodeLogs
  ) -> DescriptorShares {
    var limit = rlimit()
    let isKnown = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
    let descriptors = isKnown ? Int(clamping: limit.rlim_cur) : Int(Int32.max)
    let shares = DescriptorPlan.shares(descriptors: descriptors, outgoing: outgoing, asked)
    if shares.isLowered {
      logs.logger("ringstore.process").warning(
        "max_connections is more than the limit of open files allows",
        metadata: [
          "max_connections": "\(shares.clients.maxConnections)", "open_files": "\(descriptors)",
        ])
    }
    return shares
  }

  /// The environment. A variable that isn't UTF-8 is repaired; none of ours is.
  static func environment() -> [String: String] {
    var variables: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
      let pair = String(cString: text).split(
        separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if pair.count == 2, variables[String(pair[0])] == nil {
        variables[String(pair[0])] = String(pair[1])
      }
      entry += 1
    }
    return variables
  }

  /// Whether the data of this process can't be kept any more.
  private static let dataFailure = Mutex(false)

  /// The status of a process that ends: a failure if it could not keep its data, even if its end
  /// was requested before that.
  static func status(_ status: Int32) -> Int32 {
    dataFailure.withLock { $0 } ? EXIT_FAILURE : status
  }

  /// Ends the process because its data can't be kept any more. Its last replies go out first.
  /// - Parameter pause: how long callers have to read their last replies.
  static func end(after pause: Duration, _ logs: NodeLogs) {
    dataFailure.withLock { $0 = true }
    Task.detached {
      try? await Task.sleep(for: pause)
      logs.flush()
      _exit(EXIT_FAILURE)
    }
  }
}
