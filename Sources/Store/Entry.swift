// One key with its value: a packed block on the store's heap.
//
//   entry    = word(version:56 | flags:3 | kind:5)  clock:u32  lengths:u32(payload:15 | key:17)
//              key bytes  expiry:i64 where the key expires  payload bytes
//   payload  = the value's bytes          kind bytes, up to `inlineMax`
//            | Int64                      kind integer
//            | address:8 length:8         kind blob: a larger value (Blob.swift)
//            | address:8                  kind list: the list's directory (List.swift)
//
// A kind is a type in one of its memory layouts; 32 are possible. One flag means that the key
// expires. The clock is the time of the last look-up (AccessClock). Expiry and payload are not
// aligned. A view on memory that the store owns; on the thread of the store.

import TextForms

struct Entry {
  /// Without gaps, so that reading one costs nothing. In memory only: may be numbered again.
  enum Kind: UInt8, CaseIterable {
    case bytes = 0
    case integer = 1
    case blob = 2
    case list = 3
  }

  private static let kindMask: UInt8 = 0x1f
  /// Its weight times 8 is the size of the expiry.
  private static let expiresFlag: UInt8 = 0x20
  private static let expiryBytes = 8
  static let versionMax: UInt64 = 1 << 56 - 1

  static let headerBytes = 16
  /// The longest value inside the entry.
  static let inlineMax = 2048

  private static let keyLengthBits: UInt32 = 17
  private static let keyLengthMask: UInt32 = (1 << keyLengthBits) - 1

  let base: UnsafeMutableRawPointer

  @inline(__always)
  init(_ base: UnsafeMutableRawPointer) { self.base = base }

  /// A new entry; the caller fills the payload.
  init(
    on heap: Heap, key: UnsafeRawBufferPointer, kind: Kind, payloadCount: Int, version: UInt64,
    expiry: Expiry, clock: UInt32
  ) {
    base = heap.allocate(
      Entry.bytes(key: key.count, payload: payloadCount, expires: expiry != .never))
    self.clock = clock
    setLengths(key: key.count, payload: payloadCount)
    setHead(version, kind, expiry)
    copyBytes(key, to: base + Entry.headerBytes)
  }

  var version: UInt64 { base.load(as: UInt64.self) >> 8 }

  @inline(__always)
  var kind: Kind {
    Kind(rawValue: base.load(as: UInt8.self) & Entry.kindMask).unsafelyUnwrapped
  }

  /// Whether the whole value is in the entry.
  @inline(__always)
  var isWhole: Bool { kind == .bytes || kind == .integer }

  @inline(__always)
  var expires: Bool { base.load(as: UInt8.self) & Entry.expiresFlag != 0 }

  @inline(__always)
  var expiry: Expiry {
    guard expires else { return .never }
    return Expiry(
      unixMillis: base.loadUnaligned(
        fromByteOffset: Entry.headerBytes &+ keyCount, as: Int64.self))
  }

  /// The size of the expiry, without a branch.
  @inline(__always)
  private var expiryBytes: Int { Int((base.load(as: UInt8.self) & Entry.expiresFlag) >> 2) }

  /// When a call last looked the key up.
  var clock: UInt32 {
    get { base.load(fromByteOffset: 8, as: UInt32.self) }
    nonmutating set { base.storeBytes(of: newValue, toByteOffset: 8, as: UInt32.self) }
  }

  @inline(__always)
  var keyCount: Int {
    Int(base.load(fromByteOffset: 12, as: UInt32.self) & Entry.keyLengthMask)
  }

  @inline(__always)
  var payloadCount: Int {
    Int(base.load(fromByteOffset: 12, as: UInt32.self) >> Entry.keyLengthBits)
  }

  var byteCount: Int {
    Entry.bytes(key: keyCount, payload: payloadCount, expires: expires)
  }

  @inline(__always)
  static func bytes(key: Int, payload: Int, expires: Bool) -> Int {
    headerBytes + key + payload + (expires ? expiryBytes : 0)
  }

  @inline(__always)
  var key: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base + Entry.headerBytes, count: keyCount)
  }

  @inline(__always)
  var payload: UnsafeMutableRawPointer {
    base + (Entry.headerBytes &+ keyCount &+ expiryBytes)
  }

  /// A new value. The lengths are set; the begin of the payload depends on the expiry.
  @inline(__always)
  func setHead(_ version: UInt64, _ kind: Kind, _ expiry: Expiry) {
    var low = kind.rawValue
    if expiry != .never {
      low |= Entry.expiresFlag
      base.storeBytes(
        of: expiry.unixMillis, toByteOffset: Entry.headerBytes &+ keyCount, as: Int64.self)
    }
    base.storeBytes(of: version << 8 | UInt64(low), as: UInt64.self)
  }

  /// The same value, changed: kind and flags stay.
  @inline(__always)
  func setVersion(_ version: UInt64) {
    base.storeBytes(of: version << 8 | UInt64(base.load(as: UInt8.self)), as: UInt64.self)
  }

  func setPayloadCount(_ count: Int) { setLengths(key: keyCount, payload: count) }

  private func setLengths(key: Int, payload: Int) {
    assert(key <= Int(Entry.keyLengthMask) && payload <= Entry.inlineMax)
    let lengths = UInt32(payload) << Entry.keyLengthBits | UInt32(key)
    base.storeBytes(of: lengths, toByteOffset: 12, as: UInt32.self)
  }

  /// The number; only of kind integer.
  var integer: Int64 {
    get { payload.loadUnaligned(as: Int64.self) }
    nonmutating set { payload.storeBytes(of: newValue, as: Int64.self) }
  }

  /// Bytes of a string; 0 of anything else.
  var stringLength: Int {
    switch kind {
    case .bytes: payloadCount
    case .integer:
      withUnsafeTemporaryAllocation(byteCount: DecimalInteger.digitsMax, alignment: 1) {
        DecimalInteger.format(integer, into: $0.baseAddress.unsafelyUnwrapped)
      }
    case .blob: blob.count
    case .list: 0
    }
  }

  /// The value's separate block; only of kind blob.
  var blob: Blob {
    get {
      let address = payload.loadUnaligned(as: UInt.self)
      let count = payload.loadUnaligned(fromByteOffset: 8, as: Int.self)
      return Blob(UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped, count: count)
    }
    nonmutating set {
      payload.storeBytes(of: UInt(bitPattern: newValue.base), as: UInt.self)
      payload.storeBytes(of: newValue.count, toByteOffset: 8, as: Int.self)
    }
  }

  /// The list; only of kind list.
  var list: List {
    get {
      let address = payload.loadUnaligned(as: UInt.self)
      return List(UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped)
    }
    nonmutating set {
      payload.storeBytes(of: UInt(bitPattern: newValue.base), as: UInt.self)
    }
  }

  /// Whether the key is `other`: compares words first; the last word overlaps.
  @inline(__always)
  func hasKey(_ other: UnsafeRawBufferPointer) -> Bool {
    let count = keyCount
    guard count == other.count else { return false }
    guard let theirs = other.baseAddress else { return true }
    let ours = base + Entry.headerBytes
    var offset = 0
    if count >= 8 {
      let last = count &- 8
      while offset < last {
        if !wordsMatch(ours, theirs, offset) { return false }
        offset &+= 8
      }
      return wordsMatch(ours, theirs, last)
    }
    while offset < count {
      let left = ours.load(fromByteOffset: offset, as: UInt8.self)
      if left != theirs.load(fromByteOffset: offset, as: UInt8.self) { return false }
      offset &+= 1
    }
    return true
  }
}

@inline(__always)
private func wordsMatch(
  _ left: UnsafeMutableRawPointer, _ right: UnsafeRawPointer, _ offset: Int
) -> Bool {
  left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    == right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
}

/// Copies `source`, which may be empty, to `target`.
@inline(__always)
func copyBytes(_ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer) {
  if let start = source.baseAddress { target.copyMemory(from: start, byteCount: source.count) }
}

extension Entry {
  @inline(__always)
  var valueType: Store.ValueType { kind.valueType }
}

extension Entry.Kind {
  @inline(__always)
  var valueType: Store.ValueType {
    switch self {
    case .bytes, .integer, .blob: .string
    case .list: .list
    }
  }
}
