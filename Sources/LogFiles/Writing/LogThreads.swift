// Runs each of the two lanes on a thread. A thread sleeps until its lane gets work or its next work
// is due. `finish` ends both, after `close` or a failure.

internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

package final class LogThreads: Sendable {
  private let output: LogFileOutput
  private let alarms: [LogFileOutput.Lane: LaneAlarm]
  private let threads: Mutex<[pthread_t]>

  /// Why there is no thread; a code of the system.
  package struct NoThread: Error, Sendable {
    package let code: Int32
  }

  package init(_ output: LogFileOutput) throws(NoThread) {
    self.output = output
    let lanes = LogFileOutput.Lane.allCases
    let alarms = Dictionary(uniqueKeysWithValues: lanes.map { ($0, LaneAlarm()) })
    self.alarms = alarms
    threads = Mutex([])
    output.setWakeLane { alarms[$0]?.ring() }
    for lane in lanes {
      guard let alarm = alarms[lane] else { continue }
      do throws(NoThread) {
        let thread = try Self.start { [output] in Self.run(lane, output, alarm) }
        threads.withLock { $0.append(thread) }
      } catch {
        finish()
        throw error
      }
    }
  }

  private static func run(_ lane: LogFileOutput.Lane, _ output: LogFileOutput, _ alarm: LaneAlarm) {
    while !alarm.isFinished {
      let now = nowNanos()
      guard let at = output.due(lane, now: now) else {
        alarm.wait(nanos: nil)
        continue
      }
      if at > now {
        alarm.wait(nanos: at - now)
        continue
      }
      output.perform(lane, now: now)
      // Where loops and lanes share a core, a loop that has become ready should not wait for the
      // end of this thread's time slice, which is milliseconds.
      if lane == .background { sched_yield() }
    }
  }

  /// Ends the threads after the steps that they are at, and waits for that.
  package func finish() {
    for alarm in alarms.values { alarm.finish() }
    for thread in threads.withLock({ threads in
      defer { threads = [] }; return threads
    }) {
      pthread_join(thread, nil)
    }
    output.setWakeLane { _ in }
  }

  /// Nanoseconds of a clock that is never set.
  static func nowNanos() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private static func start(_ body: @escaping @Sendable () -> Void) throws(NoThread) -> pthread_t {
    let work = Unmanaged.passRetained(Body(body))
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { work in
        // Signals are for the process's main thread.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, nil)
        work.map { Unmanaged<Body>.fromOpaque($0).takeRetainedValue().run() }
        return nil
      }, work.toOpaque())
    if code != 0 {
      work.release()
      throw NoThread(code: code)
    }
    return thread
  }
}

/// The wake-up of a lane's thread. A ring before the sleep is not lost.
///
/// Sendable although it has state: `hasRung` is used under the mutex only, and the mutex and the
/// condition are made for use by several threads.
private final class LaneAlarm: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var hasRung = false
  private var isEnding = false

  init() {
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  private func locked<R>(_ body: () -> R) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }

  var isFinished: Bool { locked { isEnding } }

  func ring() {
    let isFirst = locked {
      defer { hasRung = true }
      return !hasRung
    }
    // Without the lock, which the sleeper needs at once.
    if isFirst { pthread_cond_signal(condition) }
  }

  func finish() {
    locked {
      isEnding = true
      hasRung = true
      pthread_cond_signal(condition)
    }
  }

  /// Sleeps until a ring, or for so long.
  func wait(nanos: UInt64?) {
    locked {
      var until = timespec()
      if let nanos {
        let at = LogThreads.nowNanos() &+ min(nanos, 3_600_000_000_000)
        until = timespec(tv_sec: Int(at / 1_000_000_000), tv_nsec: Int(at % 1_000_000_000))
      }
      while !hasRung {
        if nanos == nil {
          pthread_cond_wait(condition, mutex)
        } else if pthread_cond_timedwait(condition, mutex, &until) != 0 {
          break
        }
      }
      hasRung = false
    }
  }
}
