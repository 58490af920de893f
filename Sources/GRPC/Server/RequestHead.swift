// Reads what a server needs from a request's header block, in one pass. Pure; the pointers it
// returns point into the block.

import HTTP2

/// The fields of a request that decide what happens to it.
struct RequestHead {
  var path = UnsafeRawBufferPointer(start: nil, count: 0)
  var isPost = false
  /// GET or HEAD: how pages are requested.
  var pageMethod: PageMethod?
  var isGRPC = false
  var timeout: UnsafeRawBufferPointer?
  /// How the messages may be encoded; nil: in a way that isn't supported.
  var encoding: MessageEncoding? = .identity
  /// The position of the field `authorization` in the block.
  var authorization = AuthorizationPlace.none

  init(_ block: HeaderBlock) {
    for index in 0..<block.count {
      let name = block.name(at: index)
      switch name.count {
      case 5 where name.equals(":path"):
        path = block.value(at: index)
      case 7 where name.equals(":method"):
        isPost = block.value(at: index).equals("POST")
        if !isPost { pageMethod = PageMethod(block.value(at: index)) }
      case 12 where name.equals("content-type"):
        isGRPC = Self.isGRPC(block.value(at: index))
      case 12 where name.equals("grpc-timeout"):
        timeout = block.value(at: index)
      case 13 where name.equals("authorization"):
        authorization = authorization == .none ? .field(index) : .several
      case 13 where name.equals("grpc-encoding"):
        encoding = Self.encoding(block.value(at: index))
      default:
        break
      }
    }
  }

  private static func encoding(_ value: UnsafeRawBufferPointer) -> MessageEncoding? {
    if value.equals("identity") { return .identity }
    return value.equals("gzip") ? .gzip : nil
  }

  /// `application/grpc`, alone or with a subtype or a parameter; not `application/grpc-web`, which
  /// is another protocol.
  private static func isGRPC(_ value: UnsafeRawBufferPointer) -> Bool {
    let wanted = ("application/grpc" as StaticString).bytes
    guard value.count >= wanted.count,
      UnsafeRawBufferPointer(rebasing: value[..<wanted.count]).equals("application/grpc")
    else { return false }
    guard value.count > wanted.count else { return true }
    let next = value[wanted.count]
    return next == UInt8(ascii: "+") || next == UInt8(ascii: ";")
  }
}

/// The field of a request that identifies the caller.
enum AuthorizationPlace: Equatable {
  case none
  case field(Int)
  /// More than once: none of them counts.
  case several
}

extension UnsafeRawBufferPointer {
  /// Whether the bytes are those of the literal.
  func equals(_ literal: StaticString) -> Bool {
    guard count == literal.utf8CodeUnitCount else { return false }
    guard let base = baseAddress else { return true }
    return memoryIsEqual(base, UnsafeRawPointer(literal.utf8Start), count)
  }
}

/// Compares without Foundation; the lengths here are those of header fields. Eight bytes at once;
/// the last load overlaps the one before it.
@inline(__always)
func memoryIsEqual(_ first: UnsafeRawPointer, _ second: UnsafeRawPointer, _ count: Int) -> Bool {
  @inline(__always)
  func isEqual<Word: FixedWidthInteger & BitwiseCopyable>(at offset: Int, _: Word.Type) -> Bool {
    first.loadUnaligned(fromByteOffset: offset, as: Word.self)
      == second.loadUnaligned(fromByteOffset: offset, as: Word.self)
  }
  guard count >= 8 else {
    if count >= 4 {
      return isEqual(at: 0, UInt32.self) && isEqual(at: count &- 4, UInt32.self)
    }
    for offset in 0..<count where !isEqual(at: offset, UInt8.self) { return false }
    return true
  }
  var offset = 0
  while offset < count &- 8 {
    guard isEqual(at: offset, UInt64.self) else { return false }
    offset &+= 8
  }
  return isEqual(at: count &- 8, UInt64.self)
}
