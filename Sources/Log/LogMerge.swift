// Recovery as a state machine: merges a pass with the log from its begin, and replays both into a
// target. The rule that makes this exact is the cursor rule:
//
//   Groups of the log are applied up to an image's asOf, then the image is installed, and so on. An
//   effect on a key before the cursor, which is the end of the last image, is applied. An effect on
//   a later key is skipped, because a later image contains it. State is always applied. After the
//   pass's end everything is applied.
//
// Effects are decided one by one, so a group may be applied in part: an image contains the skipped
// part.
//
// The caller reads files, and passes a batch of the file that the state machine requests; the batch
// must stay valid until the machine requests the next one of the same file. Work is done in turns
// of a limited size. On the target's thread.

import Store

package final class LogMerge {
  package enum Wish: Equatable {
    /// The next batch of the pass, or `passEnded`.
    case pass
    /// The next batch of the log, or `logEnded`.
    case log
    /// Another turn.
    case turn
    /// The log has ended; everything is applied.
    case nothing
  }

  /// Behind the last record of the log that counts: the state is that at this position.
  package private(set) var position: LogPosition
  /// Effects, keys of images and elements of lists, so far.
  package private(set) var workDone = 0

  private let target: any ReplayTarget
  private var pass: PassReplay?
  /// Where passes begin that are compared one after another.
  private var comparisons: ArraySlice<LogPosition> = []
  /// Passes that were completely merged or compared.
  package private(set) var passesEnded = 0
  private var records: Batch.Records?
  /// The number of groups whose first keys are read together, before they are replayed one by one.
  static let keysAheadMax = Store.prefetchMax
  /// How many of the next records were looked at.
  private var recordsAhead = 0
  /// A record that was read and not processed yet.
  private var pending: Record?
  /// Where the next record begins; nil before the first batch.
  private var recordStart: LogPosition?
  private var isLogEnded = false
  private let effects = EffectReader()

  /// - Parameters:
  ///   - begin: the begin of the pass; nil: there is none, and the log is complete from 0.
  ///   - passBytes: of the pass's file. Limits the memory that is reserved for its announced keys.
  package init(
    into target: any ReplayTarget, passBegin begin: LogPosition?, passBytes: UInt64 = .max
  ) {
    self.target = target
    position = begin ?? 0
    if let begin {
      let keysMax = Int(clamping: passBytes / UInt64(PassFormat.keyBytesMin))
      pass = PassReplay(.installs, begin: begin, keysMax: keysMax, target)
    }
  }

  /// Compares a later pass with the complete state: the next batches of a pass belong to it. Its
  /// begin must be at or after the state's position.
  package func compare(passBegin begin: LogPosition) throws(ReplayFault) {
    guard pass == nil, begin >= position else {
      throw ReplayFault(.imageOutOfOrder, at: begin)
    }
    pass = PassReplay(.compares, begin: begin, keysMax: 0, target)
  }

  /// Compares later passes one after another, each as soon as the previous one has ended, or at
  /// once if there is none. Ascending; the passed batches belong to pass number `passesEnded`.
  package func compare(passBegins begins: [LogPosition]) throws(ReplayFault) {
    comparisons = begins[...]
    if pass == nil { try beginComparison() }
  }

  private func beginComparison() throws(ReplayFault) {
    if let begin = comparisons.popFirst() { try compare(passBegin: begin) }
  }

  /// Whether there is no pass that is merged or compared.
  package var hasPassEnded: Bool { pass == nil }

  // MARK: - What the caller reads

  package func givePass(_ batch: Batch) { pass?.records = batch.records }

  /// The file of the pass has no more batches.
  package func passEnded() throws(ReplayFault) {
    if pass != nil { throw ReplayFault(.passIncomplete, at: position) }
  }

  package func giveLog(_ batch: Batch) throws(ReplayFault) {
    let isNext = recordStart.map { $0 == batch.position } ?? (batch.position <= position)
    guard isNext else { throw ReplayFault(.logMissing, at: batch.position) }
    recordStart = batch.position
    records = batch.records
    recordsAhead = 0
  }

  /// The last file of the log has no more batches.
  package func logEnded() { isLogEnded = true }

  // MARK: - Turns

  /// Continues until this amount of work is done, or something must be read.
  package func advance(work: Int) throws(ReplayFault) -> Wish {
    let end = workDone + max(1, work)
    while workDone < end {
      let wish = if let pass { try advance(pass) } else { try advanceLog(upTo: .max) }
      if let wish { return wish }
    }
    return .turn
  }

  private func advance(_ pass: PassReplay) throws(ReplayFault) -> Wish? {
    guard let asOf = pass.neededAsOf else { return try pass.read() ? nil : .pass }
    guard position >= asOf else {
      let wish = try advanceLog(upTo: asOf)
      if wish == .nothing { throw ReplayFault(.imageBehindLog, at: asOf) }
      return wish
    }
    guard position == asOf else { throw ReplayFault(.imageOutOfOrder, at: asOf) }
    workDone += 1
    try pass.perform()
    if pass.hasEnded {
      self.pass = nil
      passesEnded += 1
      try beginComparison()
    }
    return nil
  }

  /// - Returns: nil if a record was processed.
  private func advanceLog(upTo limit: LogPosition) throws(ReplayFault) -> Wish? {
    guard let record = nextRecord(), let start = recordStart else {
      guard isLogEnded else { return .log }
      // The state is newer than the log: an image's, or that at the begin of the pass.
      if let recordStart, recordStart < position {
        throw ReplayFault(.imageBehindLog, at: position)
      }
      return .nothing
    }
    // The begin of the pass contains the earlier state.
    if record.end > position {
      // A pass begins, and takes images, between records.
      guard start == position, record.end <= limit else {
        throw ReplayFault(.imageOutOfOrder, at: min(limit, position))
      }
      try replay(record)
      position = record.end
    }
    pending = nil
    recordStart = record.end
    return nil
  }

  private func nextRecord() -> Record? {
    if pending == nil {
      if recordsAhead == 0 { readAhead() }
      recordsAhead -= 1
      pending = records?.next()
    }
    return pending
  }

  /// Lets the target prefetch memory for the next records of the batch.
  private func readAhead() {
    guard var following = records else { return recordsAhead = 1 }
    withUnsafeTemporaryAllocation(of: KeyAhead.self, capacity: Self.keysAheadMax) { keys in
      var keyCount = 0
      recordsAhead = 0
      while recordsAhead < Self.keysAheadMax, let record = following.next() {
        recordsAhead += 1
        guard record.type == RecordType.group.rawValue, let key = EffectReader.firstKey(of: record)
        else { continue }
        keys.initializeElement(at: keyCount, to: key)
        keyCount += 1
      }
      if keyCount > 1 { target.prefetch(UnsafeBufferPointer(rebasing: keys[..<keyCount])) }
    }
    // The end of a batch is requested like a record.
    recordsAhead = max(1, recordsAhead)
  }

  private func replay(_ record: Record) throws(ReplayFault) {
    workDone += 1
    do throws(LogDefect) {
      guard let type = try record.knownType() else { return }
      if let state = try StateRecord(type: type, payload: record.payload) {
        return target.adopt(state)
      }
      guard type == .group, record.slot != BatchFormat.noSlot else { throw .badField }
    } catch {
      throw ReplayFault(.defect(error), at: record.end)
    }
    try replayGroup(record)
  }

  private func replayGroup(_ record: Record) throws(ReplayFault) {
    var reader = ByteReader(record.payload)
    repeat {
      let effect: Effect
      do throws(LogDefect) {
        effect = try effects.next(&reader, slot: Int(record.slot))
      } catch {
        throw ReplayFault(.defect(error), at: record.end)
      }
      do throws(Effect.Corruption) {
        try replay(effect)
      } catch {
        throw ReplayFault(.effect(error), at: record.end)
      }
      workDone += 1
    } while !reader.isAtEnd
  }

  /// The cursor rule.
  private func replay(_ effect: Effect) throws(Effect.Corruption) {
    guard let pass, pass.mode == .installs else { return try target.apply(effect) }
    let cursor = pass.cursor
    if case .empty = effect.change {
      let table = ImageCursor(slot: effect.slot, database: effect.database)
      if (table.slot, table.database) < (cursor.slot, cursor.database) {
        try target.apply(effect)
      } else if table < cursor {
        try target.emptyPart(effect)
      } else {
        try target.skip(effect)
      }
    } else if cursor.isBehind(
      slot: effect.slot, database: effect.database, hash: target.hash(of: effect.key),
      key: effect.key)
    {
      try target.apply(effect)
    } else {
      try target.skip(effect)
    }
  }
}
