// An index of the definitions in the .proto files, by the names that reflection looks up. Made when
// the first call needs it; immutable afterwards, any thread.

import RingstoreAPI
import TextForms

final class ProtoIndex: Sendable {
  static let shared = ProtoIndex(ProtoFile.all)

  private let files: [ProtoFile]
  private let descriptors: [[UInt8]]
  private let byName: [String: Int]
  private let bySymbol: [Substring: Int]
  private let byExtension: [String: [Int32: Int]]
  private let messages: Set<Substring>

  init(_ files: [ProtoFile]) {
    self.files = files
    descriptors = files.map { Base64.decode($0.base64) ?? [] }
    byName = Dictionary(
      files.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    var bySymbol: [Substring: Int] = [:]
    var byExtension: [String: [Int32: Int]] = [:]
    for (index, file) in files.enumerated() {
      for symbol in file.symbols { bySymbol[symbol] = index }
      for one in file.extensions { byExtension[one.type, default: [:]][one.number] = index }
    }
    self.bySymbol = bySymbol
    self.byExtension = byExtension
    messages = Set(files.flatMap(\.messages))
  }

  /// Nil if there is no such file.
  func file(named name: String) -> Int? { byName[name] }

  /// The file that defines a name; nil if none does.
  func file(defining symbol: String) -> Int? { bySymbol[Substring(symbol)] }

  /// The file that defines an extension; nil if none does.
  func file(extending type: String, number: Int32) -> Int? { byExtension[type]?[number] }

  /// The numbers of the extensions of a message, in order; nil if there is no such message.
  func extensionNumbers(of type: String) -> [Int32]? {
    guard messages.contains(Substring(type)) else { return nil }
    return byExtension[type]?.keys.sorted() ?? []
  }

  /// The descriptors of a file and of all that it imports, the file's first.
  func descriptors(of file: Int) -> [[UInt8]] {
    var order = [file]
    var seen = Set(order)
    var next = 0
    while next < order.count {
      for name in files[order[next]].imports {
        if let imported = byName[name], seen.insert(imported).inserted { order.append(imported) }
      }
      next += 1
    }
    return order.map { descriptors[$0] }
  }
}
