// Gives large pieces of memory back to the system away from the event loops, as Redis's lazyfree
// thread does. To unmap 64 MiB takes 5 ms, a loop's time for thousands of calls.
//
// One thread for the process, started with the first block and asleep while there is nothing to do.
// It gives the pages back a piece at a time and lets others run in between, so that it holds the
// system's lock on the address space only for short. Its priority is that of the loops: a thread of
// lower priority could be put aside while it holds a lock of malloc that a loop waits for.
//
// Many small blocks are another matter: malloc keeps the pages between those that are left. After a
// crowd of connections has gone, or much of what a store held, the same thread has malloc give back
// whole pages (`trimSoon`). malloc locks each of its arenas meanwhile, a few milliseconds for 100
// MiB, so that is done once things have calmed down, and seldom.
//
// What waits is bounded: past `waitingBytesMax` memory is freed by the thread that releases it.
// It waits in memory that is reachable, so a process that ends meanwhile has lost nothing.
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
  /// Bytes that may wait to be given back.
  package static let waitingBytesMax = 256 << 20

  /// Frees a block that came from `UnsafeMutableRawPointer.allocate`, with an alignment of at most
  /// 16: later if it is large, at once if it is not or if too much waits already. O(1) but then.
  package static func free(_ block: UnsafeMutableRawPointer, byteCount: Int) {
    if byteCount >= LargeBlock.bytesMin, Releaser.shared.take(block, byteCount) { return }
    block.deallocate()
  }

  /// Has malloc give back the free pages between its blocks, in `trimDelaySeconds`, and at most
  /// once in `trimIntervalSeconds`. For who has freed much in small blocks. O(1).
  package static func trimSoon() {
    Releaser.shared.trimSoon()
  }

  /// See `trimSoon`.
  package static let trimDelaySeconds = 2
  package static let trimIntervalSeconds = 10

  /// Waits until nothing that `trimSoon` asked for is left to do. Returns how often malloc has
  /// given pages back so far. For tests.
  package static func finishTrim() -> Int {
    Releaser.shared.finishTrim()
  }

  /// Waits until all that was handed over has been given back; for tests.
  package static func finish() {
    Releaser.shared.finish()
  }

  /// Bytes handed over that were not given back yet.
  package static var waitingBytes: Int { Releaser.shared.waitingBytes }
}

private final class Releaser: @unchecked Sendable {
  // Sendable although it has state: `blocks` and `bytes` are used under the mutex only, the rest is
  // set before another thread has the object.
  static let shared = Releaser()

  /// Pages are given back in pieces of this many bytes.
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
  /// When malloc is to give pages back, and when it has last done so, in seconds of the system's
  /// monotonic clock; nil: not at all.
  private var trimDue: Int?
  private var trimmed: Int?
  private var isTrimming = false
  private var trims = 0
  /// False where the system gave no thread: then every block is freed by its owner.
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

  /// The blocks that wait; none where malloc is to be trimmed instead.
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
