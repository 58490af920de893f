// What a message says of itself, field by field, in words that both codecs share.

import RingstoreAPI
import SwiftProtobuf

/// One of our messages.
package protocol ReadByUs: WireMessage {
  func facts() throws -> String
  /// The same message made of its fields, with repeated ones in memory of their own.
  func remade(in arena: Arena) -> Self
}

/// SwiftProtobuf's message of the same kind.
package protocol ReadBySwiftProtobuf: Message {
  func facts() throws -> String
  /// At any level.
  var hasUnknownField: Bool { get }
}

/// A list of facts under construction: fields that have their default say nothing.
struct Facts {
  private var lines: [String] = []

  var text: String { "{\(lines.joined(separator: " "))}" }

  mutating func add(_ field: String, _ value: String) {
    lines.append("\(field)=\(value)")
  }

  mutating func add(_ field: String, _ values: [String]) {
    lines.append("\(field)=\(values)")
  }

  /// A map, of which the last entry of a key counts.
  mutating func add(_ field: String, _ entries: [(key: String, value: String)]) {
    let map = Dictionary(entries.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
    lines.append("\(field)=\(map.map { "\($0):\($1)" }.sorted())")
  }

  /// Our repeated fields know how many elements they have.
  mutating func check(_ field: String, _ count: Int) {
    if lines.last?.hasPrefix("\(field)=[]") == (count > 0) { lines.append("count \(count)") }
  }
}

/// The entries of a map. SwiftProtobuf 1.39 misreads entries with unknown fields.
func entries<Entry: WireMessage>(
  _ entries: RepeatedMessages<Entry>, _ describe: (Entry) -> (String, String)
) throws -> [(key: String, value: String)] {
  try entries.map { entry in
    guard !entry.hasUnknownField else { throw Incomparable() }
    let (key, value) = describe(entry)
    return (key: key, value: value)
  }
}

/// Memory for the elements of messages that are made of fields; they are valid as long as it lives.
package final class Arena {
  private var memory: [UnsafeMutableRawBufferPointer] = []

  package init() {}

  deinit {
    for piece in memory { piece.deallocate() }
  }

  private func copy<Element>(_ elements: [Element]) -> UnsafeBufferPointer<Element> {
    let copy = UnsafeMutableBufferPointer<Element>.allocate(capacity: max(elements.count, 1))
    _ = copy.initialize(from: elements)
    memory.append(UnsafeMutableRawBufferPointer(copy))
    return UnsafeBufferPointer(rebasing: copy.prefix(elements.count))
  }

  func keep(_ elements: RepeatedBytes) -> RepeatedBytes {
    RepeatedBytes(copy(Array(elements)))
  }

  func keep(_ numbers: RepeatedNumbers) -> RepeatedNumbers {
    RepeatedNumbers(copy(Array(numbers)))
  }

  func keep<Message>(_ messages: RepeatedMessages<Message>) -> RepeatedMessages<Message> {
    RepeatedMessages(copy(Array(messages)))
  }
}
