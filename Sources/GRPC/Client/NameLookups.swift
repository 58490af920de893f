// Looking up the addresses of hosts, for connections. The system's lookup blocks, for many seconds
// where a name server doesn't reply; so each has its own thread, and a host whose name can't be
// found delays no other. (NIO's own resolver does the lookups of an event loop one by one: a shard
// that was back could not be found while that of a missing one was looked up.)
//
// A lookup that began a moment ago is shared by further attempts on its host. An older one may be
// stuck or return an old result, so a new one is started in addition, up to a limit. Results are
// not cached. Thread-safe.

import Dispatch
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

final class NameLookups: Sendable {
  typealias Addresses = Result<[SocketAddress], any Error>
  typealias Lookup = @Sendable (_ host: String, _ port: Int) -> Addresses

  /// Of the whole process: what can be shared is the same for all event loops.
  static let shared = NameLookups(lookup: SystemLookup.addresses)

  /// How long after its beginning a lookup serves further attempts.
  static let sharedFor = TimeAmount.seconds(1)
  /// Lookups of one host at a time, each a blocked thread; past it attempts share the newest.
  static let lookupsPerHostMax = 4

  private struct Key: Hashable {
    let host: String
    let port: Int
  }

  private struct Running {
    let number: UInt64
    let begin: NIODeadline
    var waiting: [EventLoopPromise<[SocketAddress]>]
  }

  private struct State {
    var running: [Key: [Running]] = [:]
    var numberLast: UInt64 = 0
  }

  private let state = NIOLockedValueBox(State())
  private let lookup: Lookup
  private let clock: @Sendable () -> NIODeadline

  init(lookup: @escaping Lookup, clock: @escaping @Sendable () -> NIODeadline = { .now() }) {
    self.lookup = lookup
    self.clock = clock
  }

  /// The host's addresses, IPv4 and IPv6.
  func addresses(
    host: String, port: Int, on eventLoop: any EventLoop
  ) -> EventLoopFuture<[SocketAddress]> {
    let key = Key(host: host, port: port)
    let promise = eventLoop.makePromise(of: [SocketAddress].self)
    if let number = join(key, promise) {
      // A serial queue of its own gets a thread of its own, whatever else blocks in the process.
      DispatchQueue(label: "ringstore.lookup").async { [self] in
        let addresses = lookup(host, port)
        for promise in finish(key, number) { promise.completeWith(addresses) }
      }
    }
    return promise.futureResult
  }

  /// Has the promise wait for a lookup. Returns the number of a new one that must be begun.
  private func join(_ key: Key, _ promise: EventLoopPromise<[SocketAddress]>) -> UInt64? {
    let now = clock()
    return state.withLockedValue { state in
      var running = state.running[key] ?? []
      if let newest = running.indices.last,
        now - running[newest].begin < Self.sharedFor || running.count >= Self.lookupsPerHostMax
      {
        running[newest].waiting.append(promise)
        state.running[key] = running
        return nil
      }
      state.numberLast &+= 1
      running.append(Running(number: state.numberLast, begin: now, waiting: [promise]))
      state.running[key] = running
      return state.numberLast
    }
  }

  /// Takes an ended lookup off the list and returns those who wait for it.
  private func finish(_ key: Key, _ number: UInt64) -> [EventLoopPromise<[SocketAddress]>] {
    state.withLockedValue { state in
      guard var running = state.running[key],
        let index = running.firstIndex(where: { $0.number == number })
      else { return [] }
      let waiting = running.remove(at: index).waiting
      state.running[key] = running.isEmpty ? nil : running
      return waiting
    }
  }
}

/// One attempt's view of the lookups, as NIO requires it: both families, in parallel.
struct HostResolver: Resolver, Sendable {
  let lookups: NameLookups
  let eventLoop: any EventLoop

  func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
    lookups.addresses(host: host, port: port, on: eventLoop)
      .map { $0.filter { if case .v4 = $0 { true } else { false } } }
  }

  func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
    lookups.addresses(host: host, port: port, on: eventLoop)
      .map { $0.filter { if case .v6 = $0 { true } else { false } } }
  }

  /// A lookup can't be taken back; what it finds is dropped.
  func cancelQueries() {}
}

private enum SystemLookup {
  static func addresses(_ host: String, _ port: Int) -> NameLookups.Addresses {
    var hints = addrinfo()
    #if canImport(Glibc)
      hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #else
      hints.ai_socktype = SOCK_STREAM
    #endif
    hints.ai_protocol = Int32(IPPROTO_TCP)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, "\(port)", &hints, &list)
    guard code == 0 else {
      return .failure(LookupFailure(text: String(cString: gai_strerror(code))))
    }
    defer { freeaddrinfo(list) }
    var found: [SocketAddress] = []
    var next = list
    while let entry = next?.pointee {
      next = entry.ai_next
      guard let address = entry.ai_addr else { continue }
      let bytes = UnsafeRawPointer(address)
      switch entry.ai_family {
      case AF_INET: found.append(SocketAddress(bytes.load(as: sockaddr_in.self), host: host))
      case AF_INET6: found.append(SocketAddress(bytes.load(as: sockaddr_in6.self), host: host))
      default: continue
      }
    }
    return .success(found)
  }
}

/// Why a name has no address, in the system's words.
struct LookupFailure: Error, Sendable {
  let text: String
}
