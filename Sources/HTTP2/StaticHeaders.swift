// Constant header fields, built once in nghttp2's form and never copied again. Immutable, so any
// thread may use them.

internal import CNGHTTP2

/// An immutable list of header fields for blocks that are sent over and over.
///
/// nghttp2 keeps pointers into it until a frame is on the wire: keep it in a `static let`.
package final class StaticHeaders: @unchecked Sendable {
  // Sendable although it holds pointers: nothing is written after init.
  let fields: UnsafeMutablePointer<nghttp2_nv>
  let count: Int

  /// Lays out the fields, in this order.
  package init(_ list: [(StaticString, StaticString)]) {
    count = list.count
    fields = .allocate(capacity: max(1, list.count))
    for (index, (name, value)) in list.enumerated() {
      let flags = NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue
      (fields + index).initialize(
        to: nghttp2_nv(
          name: UnsafeMutablePointer(mutating: name.utf8Start),
          value: UnsafeMutablePointer(mutating: value.utf8Start),
          namelen: name.utf8CodeUnitCount, valuelen: value.utf8CodeUnitCount,
          flags: UInt8(truncatingIfNeeded: flags)))
    }
  }

  deinit {
    fields.deallocate()
  }
}
