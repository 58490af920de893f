// The files that the house rules look at: this checkout, found from where this very file stands.
// Read only; any thread.

import Foundation

/// A text file of the repository.
struct SourceFile {
  /// Relative to the repository's root, "Sources/Store/Table.swift" say.
  let path: String
  let text: String

  var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
  var name: String { path.split(separator: "/").last.map(String.init) ?? path }
  /// The folder below Sources that the file is in, or nil.
  var room: String? {
    let parts = path.split(separator: "/")
    return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
  }
  var isGenerated: Bool { path.contains("/Generated/") }
}

enum Repository {
  static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// What people wrote: no build products, no caches, no repository data.
  private static let skippedFolders: Set<String> = [".git", "__pycache__"]
  private static let textSuffixes: Set<String> = [
    "swift", "h", "c", "cc", "cpp", "proto", "md", "py", "sh", "yaml", "yml", "txt", "ini", "toml",
    "modulemap", "",
  ]

  /// Every text file below a folder of the repository, or below all of it. Sorted by path.
  static func files(below folder: String = "") throws -> [SourceFile] {
    let start = folder.isEmpty ? root : root.appending(path: folder)
    return try paths(below: start).sorted().compactMap { path in
      let data = try Data(contentsOf: root.appending(path: path))
      return String(bytes: data, encoding: .utf8).map { SourceFile(path: path, text: $0) }
    }
  }

  static func swiftSources() throws -> [SourceFile] {
    try files(below: "Sources").filter { $0.path.hasSuffix(".swift") }
  }

  /// Names of the entries of a folder, hidden ones included.
  static func entries(of folder: String = "") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: root.appending(path: folder).path())
  }

  static func exists(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: root.appending(path: path).path())
  }

  private static func paths(below start: URL) throws -> [String] {
    var found: [String] = []
    for name in try FileManager.default.contentsOfDirectory(atPath: start.path()) {
      let url = start.appending(path: name)
      let attributes = try FileManager.default.attributesOfItem(atPath: url.path())
      switch attributes[.type] as? FileAttributeType {
      case .typeDirectory:
        if skippedFolders.contains(name) || name.hasPrefix(".build") { continue }
        found += try paths(below: url)
      case .typeRegular:
        guard textSuffixes.contains(url.pathExtension) else { continue }
        found.append(String(url.path().dropFirst(root.path().count)))
      default: continue
      }
    }
    return found
  }
}
