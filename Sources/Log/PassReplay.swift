// The pass's side of a merge: reads its records and, when the log has reached an image's asOf,
// installs the image, or compares it with the state.

import Store

final class PassReplay {
  enum Mode {
    case installs
    case compares
  }

  let mode: Mode
  /// The end of the last image.
  private(set) var cursor = ImageCursor()
  private(set) var hasEnded = false
  var records: Batch.Records?
  /// The position that the log must reach before `perform`; nil: `read` first.
  private(set) var neededAsOf: LogPosition?

  private let begin: LogPosition
  /// More can't be in the pass.
  private let keysMax: Int
  private let target: any ReplayTarget
  private var hasBegun = false
  // What was read and is not done with: one of them.
  private var beginning: PassBegin?
  private var image: ImageReader?
  private var part: ImagePart?
  /// Behind the record that was read last.
  private var position: LogPosition = 0
  /// The list of the image whose elements are read.
  private var openList: (key: ReplayKey, count: Int)?
  private var parts: Parts?
  /// Counts of the records read so far.
  private var seen: PassEnd
  private var keysBeforeImage: UInt64 = 0

  /// The elements of a list in parts, so far.
  private struct Parts {
    let slot: Int
    let database: Int
    let key: [UInt8]
    let asOf: LogPosition
    var count = 0

    init(_ part: ImagePart) {
      slot = part.key.slot
      database = part.key.database
      key = Array(part.key.key)
      asOf = part.asOf
    }

    func isOf(_ key: ReplayKey) -> Bool {
      slot == key.slot && database == key.database && key.key.elementsEqual(self.key)
    }
  }

  init(_ mode: Mode, begin: LogPosition, keysMax: Int, _ target: any ReplayTarget) {
    self.mode = mode
    self.keysMax = keysMax
    self.begin = begin
    self.target = target
    seen = PassEnd(lastAsOf: begin, images: 0, keys: 0)
  }

  private func fault(_ reason: ReplayFault.Reason) -> ReplayFault {
    ReplayFault(reason, at: position)
  }

  /// Calls `body`, which reads bytes.
  private func reading<R>(_ body: () throws(LogDefect) -> R) throws(ReplayFault) -> R {
    do throws(LogDefect) {
      return try body()
    } catch {
      throw fault(.defect(error))
    }
  }

  /// Calls `body`, which changes the target.
  private func changing(_ body: () throws(Effect.Corruption) -> Void) throws(ReplayFault) {
    do throws(Effect.Corruption) {
      try body()
    } catch {
      throw fault(.effect(error))
    }
  }

  // MARK: - Records

  /// Reads the head of the next record.
  /// - Returns: false if a batch is needed.
  func read() throws(ReplayFault) -> Bool {
    guard let record = records?.next() else {
      records = nil
      return false
    }
    position = record.end
    guard let type = try reading(record.knownType) else { return true }
    guard hasBegun || type == .passBegin else {
      throw fault(.outOfPlace(type: record.type))
    }
    switch type {
    case .passBegin where !hasBegun: try begin(record.payload)
    case .image: try beginImage(record.payload)
    case .imagePart: try beginPart(record.payload)
    case .passEnd: try end(record.payload)
    default: throw fault(.outOfPlace(type: record.type))
    }
    return true
  }

  private func begin(_ payload: UnsafeRawBufferPointer) throws(ReplayFault) {
    let record = try reading { () throws(LogDefect) in try PassBegin(payload) }
    guard record.begin == begin else { throw fault(.imageOutOfOrder) }
    hasBegun = true
    beginning = record
    neededAsOf = begin
  }

  private func beginImage(_ payload: UnsafeRawBufferPointer) throws(ReplayFault) {
    let image = try reading { () throws(LogDefect) in try ImageReader(payload) }
    guard image.from == cursor, image.asOf >= seen.lastAsOf else {
      throw fault(.imageOutOfOrder)
    }
    if let parts, parts.asOf != image.asOf { throw fault(.partsDiffer) }
    self.image = image
    keysBeforeImage = seen.keys
    needAsOf(image.asOf)
  }

  private func beginPart(_ payload: UnsafeRawBufferPointer) throws(ReplayFault) {
    let part = try reading { () throws(LogDefect) in try ImagePart(payload) }
    guard part.asOf >= seen.lastAsOf else { throw fault(.imageOutOfOrder) }
    let parts = parts ?? Parts(part)
    guard parts.isOf(part.key), parts.asOf == part.asOf, parts.count == part.first else {
      throw fault(.partsDiffer)
    }
    self.parts = parts
    self.part = part
    needAsOf(part.asOf)
  }

  private func needAsOf(_ asOf: LogPosition) {
    seen.lastAsOf = asOf
    neededAsOf = asOf
  }

  private func end(_ payload: UnsafeRawBufferPointer) throws(ReplayFault) {
    let end = try reading { () throws(LogDefect) in try PassEnd(payload) }
    guard end == seen, parts == nil, cursor == target.end else { throw fault(.passIncomplete) }
    hasEnded = true
    // Once more, so that the merge sees it.
    neededAsOf = seen.lastAsOf
  }

  // MARK: - Work

  /// One step of the record that was read: a key, or an element of a list.
  func perform() throws(ReplayFault) {
    if image != nil {
      try performImage()
    } else if part != nil {
      try performPart()
    } else if let beginning {
      if mode == .installs { for state in beginning.state { target.adopt(state) } }
      self.beginning = nil
      neededAsOf = nil
    }
  }

  private func performPart() throws(ReplayFault) {
    guard let key = part?.key else { return }
    if let element = try reading({ () throws(LogDefect) in try part?.nextElement() }) {
      try add(element, key, .inParts)
      parts?.count += 1
    } else {
      part = nil
      neededAsOf = nil
    }
  }

  private func performImage() throws(ReplayFault) {
    if let openList {
      let element = try reading { () throws(LogDefect) in try image?.nextElement() }
      guard let element else {
        self.openList = nil
        return try put(.list(count: openList.count, .whole), openList.key)
      }
      return try add(element, openList.key, .whole)
    }
    switch try reading({ () throws(LogDefect) in try image?.next() }) {
    case .section(let slot, let database, let keys):
      if mode == .installs, keys > 0 {
        target.reserve(keys: min(keys, keysMax), slot: slot, database: database)
      }
    case .key(let key, .bytes(let bytes)): try put(.bytes(bytes), key)
    case .key(let key, .integer(let number)): try put(.integer(number), key)
    case .key(let key, .list(let count)): openList = (key, count)
    case .key(let key, .listInParts(let count)):
      guard let parts, parts.isOf(key), parts.count == count else { throw fault(.partsDiffer) }
      self.parts = nil
      try put(.list(count: count, .inParts), key)
    case .end(let end): try endImage(at: end)
    case nil: break
    }
  }

  private func add(
    _ element: UnsafeRawBufferPointer, _ key: ReplayKey, _ form: ListForm
  ) throws(ReplayFault) {
    switch mode {
    case .installs:
      try changing { () throws(Effect.Corruption) in
        try target.addElement(element, of: key, form)
      }
    case .compares: target.compareElement(element, of: key, form)
    }
  }

  private func put(_ value: ReplayValue, _ key: ReplayKey) throws(ReplayFault) {
    seen.keys += 1
    switch mode {
    case .installs:
      try changing { () throws(Effect.Corruption) in try target.install(value, key) }
    case .compares:
      guard !target.matches(value, key) else { return }
      throw fault(.stateDiffers(slot: key.slot, database: key.database, key: Array(key.key)))
    }
  }

  private func endImage(at end: ImageCursor) throws(ReplayFault) {
    guard let from = image?.from, end >= from, end <= target.end, parts == nil else {
      throw fault(.imageOutOfOrder)
    }
    let keys = Int(seen.keys - keysBeforeImage)
    if mode == .compares, target.keyCount(from: from, to: end) != keys {
      throw fault(.stateDiffers(slot: from.slot, database: from.database, key: nil))
    }
    cursor = end
    seen.images += 1
    image = nil
    neededAsOf = nil
  }
}
