// The pace of passes, in a simulation of bytes: what is on disk while a store is written to.

import Testing

@testable import Log

private let mebi = 1 << 20

@Suite struct PassPacingTests {
  @Test(arguments: [0, 1, 10, 64, 256, 1_000, 10_000])
  func whereAllIsOverwrittenAgainAndAgainTheBoundHolds(liveMebi: Int) {
    var disk = DiskModel(live: liveMebi * mebi)
    disk.overwrite(bytes: max(2_000, 20 * liveMebi) * mebi)
    #expect(disk.most <= 3 * liveMebi * mebi + 256 * mebi)
    #expect(disk.passes >= 2 && disk.waitSteps == 0)
    // Passes take a third more than the log at most; of little data next to nothing.
    #expect(disk.passBytes <= disk.logBytes / 3 * 4)
    #expect(disk.passes <= disk.logBytes / (64 * mebi) + 1)
  }

  @Test(arguments: [1, 100, 2_000])
  func whereTheDiskTakesAPassSlowlyWritersWaitAndTheBoundHolds(liveMebi: Int) {
    var disk = DiskModel(live: liveMebi * mebi)
    disk.passPerStep = disk.step / 2
    disk.overwrite(bytes: max(1_000, 8 * liveMebi) * mebi)
    #expect(disk.most <= 3 * liveMebi * mebi + 256 * mebi)
    #expect(disk.passes >= 2)
    if liveMebi > 1_000 { #expect(disk.waitSteps > 0) }
  }

  @Test(arguments: [1, 2, 10])
  func dataThatGrowsKeepsWithinTheBound(bytesPerNewByte: Int) {
    var disk = DiskModel(live: 0)
    for _ in 0..<2_000 {
      disk.live += mebi
      disk.overwrite(bytes: bytesPerNewByte * mebi)
      #expect(disk.now <= 3 * disk.live + 256 * mebi)
    }
    #expect(disk.passBytes <= disk.logBytes / 3 * 4)
    #expect(disk.passes < 64)
    // Where nothing is overwritten there is nothing to gain.
    #expect((disk.passes == 0) == (bytesPerNewByte == 1))
  }

  @Test func whenMuchIsDeletedItsRoomComesBackAndThenThereIsPeace() {
    var disk = DiskModel(live: 4_000 * mebi)
    disk.overwrite(bytes: 20_000 * mebi)
    disk.live = 10 * mebi
    disk.overwrite(bytes: 2_000 * mebi)
    let passes = disk.passes
    #expect(disk.now <= 3 * disk.live + 256 * mebi)
    disk.overwrite(bytes: 64 * mebi)
    #expect(disk.passes <= passes + 1)
  }

  @Test func aGuessThatIsFarTooLowDoesNotMakeOnePassFollowTheOther() {
    var disk = DiskModel(live: 1_000 * mebi)
    disk.guessed = 1 * mebi
    disk.overwrite(bytes: 2_000 * mebi)
    #expect(disk.passes <= 2_000 / 16)
  }

  @Test func aPassEndsThoughNothingIsWritten() {
    let hour = PassPacing.bytesAllowed(logGrowth: 0, nanos: 3_600_000_000_000)
    #expect(hour > 14_000 * mebi)
    #expect(PassPacing.bytesAllowed(logGrowth: 10, nanos: 0) == 40)
    #expect(PassPacing.bytesAllowed(logGrowth: 0, nanos: .max) > 0)
  }

  @Test func whatAPassWouldHaveIsGuessedFromTheLastOne() {
    var live = LiveBytes()
    #expect(live.guess(storeUsed: 500) == 500)
    live.passEnded(bytes: 300, storeUsed: 600)
    #expect(live.guess(storeUsed: 1_000) == 500)
    live.passEnded(bytes: 0, storeUsed: 0)
    #expect(live.guess(storeUsed: 0) == 0)
  }
}

/// What the files of a log take while data is overwritten: a complete pass, segments that are kept
/// whole and have their room set aside, the next segment, and the pass that is made.
private struct DiskModel {
  let step: Int
  var live: Int
  /// What is taken for `live`.
  var guessed: Int?
  /// What the disk takes of a pass in the time of a step of the log.
  var passPerStep = Int.max
  private(set) var passes = 0
  private(set) var passBytes = 0
  private(set) var logBytes = 0
  private(set) var waitSteps = 0
  private(set) var most = 0

  private var position = 0
  /// Begins and sizes of segments, the last one written to.
  private var segments: [(begin: Int, size: Int)] = [(0, 1 << 20)]
  /// What was set aside for the last segment.
  private var full = 1 << 20
  private var pass: (begin: Int, bytes: Int) = (0, 0)
  private var making: (begin: Int, bytes: Int)?

  init(live: Int) {
    self.live = live
    step = max(64 << 10, live / 2_000)
  }

  var now: Int {
    let next = min(64 << 20, full * 2)
    return pass.bytes + (making?.bytes ?? 0) + segments.reduce(next) { $0 + $1.size }
  }

  private var pacing: PassPacing {
    PassPacing(live: guessed ?? live, pass: pass.bytes, log: position - pass.begin)
  }

  mutating func overwrite(bytes: Int) {
    let end = position + bytes
    while position < end {
      if let making, pacing.writersWait(taken: making.bytes) {
        waitSteps += 1
      } else {
        appendStep()
      }
      passStep()
      most = max(most, now)
    }
  }

  private mutating func appendStep() {
    position += step
    logBytes += step
    if let last = segments.last, position >= last.begin + last.size { beginSegment() }
  }

  private mutating func beginSegment() {
    let last = segments.count - 1
    let size = min(64 << 20, full * 2)
    // One that ends early gives its rest back.
    segments[last].size = min(full, position - segments[last].begin)
    full = size
    segments.append((position, size))
  }

  private mutating func passStep() {
    guard let making else {
      if pacing.begins { self.making = (position, 0) }
      return
    }
    let allowed = PassPacing.bytesAllowed(logGrowth: position - making.begin, nanos: 0)
    let isWaiting = pacing.writersWait(taken: making.bytes)
    let wanted = isWaiting ? live : min(live, allowed)
    let bytes = min(max(0, wanted - making.bytes), passPerStep)
    self.making?.bytes += bytes
    passBytes += bytes
    if making.bytes + bytes >= live { completePass() }
  }

  private mutating func completePass() {
    guard let making else { return }
    pass = making
    self.making = nil
    passes += 1
    // A new segment names the pass; those that end before its begin go.
    beginSegment()
    let kept = segments.indices.first { index in
      index + 1 == segments.count || segments[index + 1].begin > pass.begin
    }
    segments.removeFirst(kept ?? 0)
  }
}
