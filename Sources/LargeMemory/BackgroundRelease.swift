// Returns large pieces of memory to the system outside the event loops, like Redis's lazyfree
// thread. Unmapping 64 MiB takes 5 ms, a loop's time for thousands of calls.
//
// One thread for the process, started with the first block; it sleeps while there is nothing to do.
// It returns the pages a piece at a time and lets others run in between, so that it holds the
// system's lock on the address space only for a short time. Its priority is that of the loops: a
// thread of lower priority could be suspended while it holds a lock of malloc that a loop waits
// for.
//
// Many small blocks need another method: malloc keeps the pages between the remaining blocks. After
// many connections have gone, or a large part of a store, the same thread makes malloc return whole
// pages (`trimSoon`). malloc locks each of its arenas meanwhile, a few milliseconds for 100 MiB, so
// that is done rarely, and only after a delay.
//
// The waiting memory is limited: above `waitingBytesMax` memory is freed by the thread that
// releases it. Waiting blocks stay reachable, so leak checkers report nothing if the process ends
// meanwhile.
//
// Any thread; the state is behind a mutex, which is never held for longer than an append.

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Darwin)
  internal import Darwin
#endif

package enum BackgroundRelease {
  /// Bytes that may wait to be returned.
  package static let waitingBytesMax = 256 << 20

  /// Frees a block that came from `UnsafeMutableRawPointer.allocate`, with an alignment of at most
  /// 16: later if it is large, at once if it is not or if too much waits already. O(1) unless freed
  /// at once.
  package static func free(_ block: UnsafeMutableRawPointer, byteCount: Int) {
    if byteCount >= LargeBlock.bytesMin, Releaser.shared.take(block, byteCount) { return }
    block.deallocate()
  }

  /// Makes malloc return the free pages between its blocks, after `trimDelaySeconds`, and at most
  /// once in `trimIntervalSeconds`. Call it after freeing much memory in small blocks. O(1).
  package static func trimSoon() {
    Releaser.shared.trimSoon()
  }

  /// See `trimSoon`.
  package static let trimDelaySeconds = 2
  package static let trimIntervalSeconds = 10

  /// Waits until all requests of `trimSoon` are done. Returns how often malloc has returned pages
  /// so far. For tests.
  package static func finishTrim() -> Int {
    Releaser.shared.finishTrim()
  }

  /// Waits until everything that was handed over has been returned; for tests.
  package static func finish() {
    Releaser.shared.finish()
  }

  /// Bytes handed over that were not returned yet.
  package static var waitingBytes: Int { Releaser.shared.waitingBytes }
}

private final class Releaser: @unchecked Sendable {
  // Sendable although it has state: `blocks` and `bytes` are used under the mutex only, the rest is
  // set before another thread has the object.
  static let shared = Releaser()

  /// Pages are returned in pieces of this many bytes.
  private static let pieceBytes = 1 << 20

  private struct Block {
    let start: UnsafeMutableRawPointer
    let byteCount: Int
  }

  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let hasWork = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let hasFinished = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var blocks: [Block] = []
  private var bytes = 0
  /// When malloc should return pages, and when it last did, in seconds of the system's monotonic
  /// clock; nil: never.
  private var trimDue: Int?
  private var trimmed: Int?
  private var isTrimming = false
  private var trims = 0
  /// False if no thread could be started: then every block is freed by its owner.
  private var hasThread = false

  private init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(hasWork, nil)
    pthread_cond_init(hasFinished, nil)
    hasThread = Self.startThread(for: self)
  }

  /// Takes over a block, unless too much waits.
  func take(_ start: UnsafeMutableRawPointer, _ byteCount: Int) -> Bool {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    guard hasThread, bytes + byteCount <= BackgroundRelease.waitingBytesMax else { return false }
    bytes += byteCount
    blocks.append(Block(start: start, byteCount: byteCount))
    if blocks.count == 1 { pthread_cond_signal(hasWork) }
    return true
  }

  func trimSoon() {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    guard hasThread else { return }
    let earliest = trimmed.map { $0 + BackgroundRelease.trimIntervalSeconds } ?? 0
    trimDue = max(Self.nowSeconds() + BackgroundRelease.trimDelaySeconds, earliest)
    pthread_cond_signal(hasWork)
  }

  func finishTrim() -> Int {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while trimDue != nil || isTrimming { pthread_cond_wait(hasFinished, mutex) }
    return trims
  }

  var waitingBytes: Int {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return bytes
  }

  func finish() {
    pthread_mutex_lock(mutex)
    while bytes > 0 { pthread_cond_wait(hasFinished, mutex) }
    pthread_mutex_unlock(mutex)
  }

  // MARK: - The thread

  private static func startThread(for releaser: Releaser) -> Bool {
    #if canImport(Darwin)
      var thread: pthread_t?
    #else
      var thread = pthread_t()
    #endif
    let argument = Unmanaged.passUnretained(releaser).toOpaque()
    let code = pthread_create(&thread, nil, runReleaser, argument)
    guard code == 0 else { return false }
    #if canImport(Darwin)
      if let thread { pthread_detach(thread) }
    #else
      pthread_detach(thread)
    #endif
    return true
  }

  func run() -> Never {
    // Signals are for the threads that wait for them.
    var everySignal = sigset_t()
    sigfillset(&everySignal)
    pthread_sigmask(SIG_SETMASK, &everySignal, nil)
    while true {
      for block in takeWork() {
        give(block)
        pthread_mutex_lock(mutex)
        bytes -= block.byteCount
        if bytes == 0 { pthread_cond_broadcast(hasFinished) }
        pthread_mutex_unlock(mutex)
      }
      trimIfDue()
    }
  }

  /// The blocks that wait; none if malloc is to be trimmed instead.
  private func takeWork() -> [Block] {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while blocks.isEmpty, !isTrimDue {
      guard let trimDue else {
        pthread_cond_wait(hasWork, mutex)
        continue
      }
      // The condition's clock is the wall clock; a jump of it only moves the trim.
      var until = timespec()
      clock_gettime(CLOCK_REALTIME, &until)
      until.tv_sec += max(1, trimDue - Self.nowSeconds())
      pthread_cond_timedwait(hasWork, mutex, &until)
    }
    let taken = blocks
    blocks = []
    return taken
  }

  private var isTrimDue: Bool {
    trimDue.map { $0 <= Self.nowSeconds() } ?? false
  }

  private func trimIfDue() {
    pthread_mutex_lock(mutex)
    isTrimming = isTrimDue
    if isTrimming { (trimDue, trimmed) = (nil, Self.nowSeconds()) }
    pthread_mutex_unlock(mutex)
    guard isTrimming else { return }
    SystemPages.trim()
    pthread_mutex_lock(mutex)
    isTrimming = false
    trims += 1
    pthread_cond_broadcast(hasFinished)
    pthread_mutex_unlock(mutex)
  }

  private static func nowSeconds() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec
  }

  private func give(_ block: Block) {
    var offset = 0
    while offset < block.byteCount {
      let piece = min(Self.pieceBytes, block.byteCount - offset)
      SystemPages.discard(block.start + offset, byteCount: piece)
      offset += piece
      sched_yield()
    }
    block.start.deallocate()
  }
}

#if canImport(Darwin)
  private func runReleaser(_ argument: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    Unmanaged<Releaser>.fromOpaque(argument).takeUnretainedValue().run()
  }
#else
  private func runReleaser(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<Releaser>.fromOpaque(argument).takeUnretainedValue().run()
  }
#endif
