// Which room may use which: the arrows of docs/ARCHITECTURE.md as a table, and the functions that
// hold a file against it. Pure functions on text, so that each can be shown to fail.

enum ImportRules {
  /// Every room and the rooms of ours that it may import. A room stands below all that it names:
  /// arrows point up in this list only.
  static let rooms: [(name: String, mayImport: Set<String>)] = [
    ("TextForms", []),
    ("SmallFiles", []),
    ("MetricTypes", []),
    ("CMalloc", []),
    ("CZlib", []),
    ("CPrefetch", []),
    ("CWriteback", []),
    ("LargeMemory", ["CMalloc"]),
    ("CNGHTTP2", []),
    ("HTTP2", ["TextForms", "LargeMemory", "CNGHTTP2"]),
    ("StatusCodes", []),
    ("Tracing", ["TextForms", "StatusCodes"]),
    (
      "GRPC",
      ["TextForms", "MetricTypes", "SmallFiles", "LargeMemory", "HTTP2", "StatusCodes", "CZlib"]
    ),
    ("RingstoreAPI", ["TextForms", "StatusCodes"]),
    ("CRE2", []),
    ("Patterns", ["CRE2"]),
    ("Placement", []),
    ("Store", ["TextForms", "LargeMemory", "CPrefetch"]),
    ("CCRC32C", []),
    ("Log", ["TextForms", "LargeMemory", "CCRC32C", "Store"]),
    ("LogFiles", ["MetricTypes", "Log", "CWriteback"]),
    ("Backups", ["TextForms", "Store", "Log", "LogFiles"]),
    ("Users", ["TextForms", "RingstoreAPI", "Patterns"]),
    ("Commands", ["TextForms", "LargeMemory", "RingstoreAPI", "Placement", "Store", "Users"]),
    (
      "NodeCore",
      [
        "MetricTypes", "Tracing", "LargeMemory", "RingstoreAPI", "Placement", "Patterns", "Users",
        "Commands", "GRPC", "StatusCodes",
      ]
    ),
    ("LineProtocol", ["TextForms", "RingstoreAPI", "Users", "Commands", "NodeCore", "GRPC"]),
    ("LegacyServices", ["TextForms", "RingstoreAPI", "Users", "Commands", "NodeCore", "GRPC"]),
    ("StandardServices", ["TextForms", "RingstoreAPI", "Commands", "GRPC"]),
    (
      "Front",
      [
        "TextForms", "LargeMemory", "Tracing", "RingstoreAPI", "Users", "Commands", "NodeCore",
        "LegacyServices", "StandardServices", "GRPC",
      ]
    ),
    (
      "ShardNode",
      [
        "TextForms", "MetricTypes", "LargeMemory", "Tracing", "RingstoreAPI", "Patterns",
        "Placement", "Store", "Log", "LogFiles", "Users", "Commands", "NodeCore", "LineProtocol",
        "StandardServices", "Front", "GRPC",
      ]
    ),
    (
      "RouterNode",
      [
        "TextForms", "MetricTypes", "LargeMemory", "Tracing", "RingstoreAPI", "Placement", "Users",
        "Commands", "NodeCore", "LineProtocol", "StandardServices", "Front", "GRPC", "StatusCodes",
      ]
    ),
    (
      "Admin",
      ["TextForms", "MetricTypes", "RingstoreAPI", "Users", "Commands", "NodeCore", "GRPC"]
    ),
    (
      "Dashboard",
      [
        "TextForms", "StatusCodes", "MetricTypes", "RingstoreAPI", "Users", "Commands", "NodeCore",
        "GRPC", "Admin",
      ]
    ),
    ("TraceExport", ["TextForms", "MetricTypes", "Tracing", "GRPC"]),
    ("RingstoreClient", ["RingstoreAPI", "GRPC"]),
    ("LoadGenerator", ["TextForms", "RingstoreAPI", "NodeCore", "StatusCodes", "GRPC"]),
    ("CEdit", []),
    (
      "ringstore",
      [
        "TextForms", "SmallFiles", "Store", "Log", "LogFiles", "Backups", "Users", "Front",
        "ShardNode",
        "RouterNode", "RingstoreClient", "LoadGenerator", "RingstoreAPI", "Placement", "Commands",
        "LineProtocol", "NodeCore", "Admin", "Dashboard", "MetricTypes", "Tracing", "TraceExport",
        "GRPC", "CEdit",
      ]
    ),
  ]

  static let roomNames = Set(rooms.map(\.name))

  /// Rooms that compute and nothing else: no event loop, no file, no Foundation.
  static let pureRooms: Set<String> = [
    "TextForms", "MetricTypes", "Tracing", "Store", "Log", "Placement", "Patterns",
  ]

  /// Rooms that must run on a virtual clock and network as they are.
  static let socketFreeRooms: Set<String> = ["HTTP2", "NodeCore", "LegacyServices", "Front"]

  /// Folders of tests that must give the same run for the same seed.
  static let simulationFolders = [
    "Tests/ClusterSimulation/", "Tests/SimulatedDisk/", "Tests/LogCrashes/",
  ]

  /// The module of an import line, whatever stands before it; nil for any other line.
  static func module(ofLine line: Substring) -> Substring? {
    let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
    guard let at = words.firstIndex(of: "import"), at + 1 < words.count else { return nil }
    let before = words[..<at]
    guard before.allSatisfy({ $0.hasPrefix("@") || accessLevels.contains($0) }) else { return nil }
    let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "typealias", "var"]
    let named = kinds.contains(words[at + 1]) ? words.dropFirst(at + 2).first : words[at + 1]
    return named?.split(separator: ".").first
  }

  private static let accessLevels: Set<Substring> = [
    "public", "package", "internal", "fileprivate", "private",
  ]

  static func modules(of file: SourceFile) -> [String] {
    file.lines.compactMap { module(ofLine: $0).map(String.init) }
  }

  /// True for the part of a room that is a pure core: a folder Core, or a file named after one.
  static func isCore(_ file: SourceFile) -> Bool {
    file.path.contains("/Core/") || file.name.contains("Core")
  }

  /// What the file imports that it may not, one sentence each.
  static func violations(in file: SourceFile) -> [String] {
    guard let room = file.room else { return [] }
    guard let allowed = rooms.first(where: { $0.name == room })?.mayImport else {
      return ["\(file.path): \(room) is no room of the table in ImportRules.swift"]
    }
    return modules(of: file).compactMap { module in
      if roomNames.contains(module), module != room, !allowed.contains(module) {
        return "\(file.path): \(room) may not import \(module)"
      }
      if pureRooms.contains(room), module.hasPrefix("NIO") || module.hasPrefix("Foundation") {
        return "\(file.path): \(room) is pure and may not import \(module)"
      }
      if socketFreeRooms.contains(room) || isCore(file), socketModules.contains(module) {
        return "\(file.path): it has no sockets and may not import \(module)"
      }
      return nil
    }
  }

  private static let socketModules: Set<String> = ["NIOPosix", "NIOSSL", "Network"]

  /// Readings of the real clock and of real randomness, which pure parts get from outside.
  private static let realWorld = [
    "NIODeadline.now()", "Date()", "Date.now", "ContinuousClock", "SuspendingClock",
    "SystemRandomNumberGenerator", "clock_gettime", "DispatchTime.now", ".randomElement()",
    ".shuffled()", ".shuffle()",
  ]

  /// Where a pure part reaches for the real clock or real randomness.
  static func realWorldUses(in file: SourceFile) -> [String] {
    guard !file.isGenerated, mustBePure(file) else { return [] }
    var found: [String] = []
    for (number, line) in file.lines.enumerated() {
      let code = TextRules.code(of: line)
      for use in realWorld where code.contains(use) {
        found.append("\(file.path):\(number + 1): a pure part may not use \(use)")
      }
      if code.contains(".random(in:"), !code.contains("using:") {
        found.append("\(file.path):\(number + 1): a random source must be passed in")
      }
    }
    return found
  }

  private static func mustBePure(_ file: SourceFile) -> Bool {
    if simulationFolders.contains(where: file.path.hasPrefix) { return true }
    guard let room = file.room else { return false }
    return pureRooms.contains(room) || socketFreeRooms.contains(room) || isCore(file)
  }

  /// Rooms whose row names one further down, which would make a circle possible.
  static func upwardArrows(in table: [(name: String, mayImport: Set<String>)]) -> [String] {
    var seen: Set<String> = []
    var found: [String] = []
    for row in table {
      found += row.mayImport.subtracting(seen).sorted().map { "\(row.name) -> \($0)" }
      seen.insert(row.name)
    }
    return found
  }
}
