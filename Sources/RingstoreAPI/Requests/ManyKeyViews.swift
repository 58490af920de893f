// Requests about many keys: MGetRequest, MDeleteRequest, MSetRequest and MLRangeRequest are all one
// repeated message in field 1. Every item is read once when the view is made, so walking can't
// fail.

/// A request that is a list of smaller requests of type `Item`.
package struct ItemsView<Item: RequestView>: RequestView {
  package private(set) var count = 0
  package private(set) var hasUnknownField = false
  package private(set) var unservedField: String?

  private let message: UnsafeRawBufferPointer

  package init(_ message: UnsafeRawBufferPointer) throws(WireError) {
    self.message = message
    var reader = WireReader(message)
    while let tag = try reader.nextTag() {
      guard tag == .bytes(1) else {
        try reader.skip(tag)
        hasUnknownField = true
        continue
      }
      let item = try Item(try reader.readBytes())
      count += 1
      if item.hasUnknownField { hasUnknownField = true }
      if unservedField == nil { unservedField = item.unservedField }
    }
  }

  /// The items in request order: `count` of them. Walking them allocates nothing.
  package var items: Items { Items(encoded: encodedItems) }

  /// Each item's own bytes, to be passed on untouched: an item is itself a Get, Delete, Set
  /// or LRange request.
  package var encodedItems: RepeatedBytes { RepeatedBytes(message, field: 1) }

  package struct Items: Sequence, IteratorProtocol {
    private var encoded: RepeatedBytes.Iterator

    init(encoded: RepeatedBytes) {
      self.encoded = encoded.makeIterator()
    }

    package mutating func next() -> Item? {
      guard let bytes = encoded.next() else { return nil }
      return try? Item(bytes)
    }
  }
}

package typealias MGetView = ItemsView<KeyView>
package typealias MDeleteView = ItemsView<KeyView>
package typealias MSetView = ItemsView<KeyValueView>
package typealias MLRangeView = ItemsView<ListRangeView>
