// Holds this checkout against the house rules. What a rule is stands in ImportRules.swift and
// TextRules.swift; RulesCanFailTests.swift shows that each one can fail.

import Testing

@Suite("House rules")
struct HouseRulesTests {
  /// Fails once for each thing that was found, with its sentence.
  private func expectNone(
    _ found: [String], sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for one in found { Issue.record("\(one)", sourceLocation: sourceLocation) }
  }

  @Test("The table of rooms points one way")
  func oneWay() {
    expectNone(ImportRules.upwardArrows(in: ImportRules.rooms))
  }

  @Test("The table of rooms lists the folders of Sources, all of them and no others")
  func rooms() throws {
    #expect(try Set(Repository.entries(of: "Sources")) == ImportRules.roomNames)
  }

  @Test("No room imports against the arrows, and pure parts have no sockets")
  func imports() throws {
    try expectNone(Repository.swiftSources().flatMap(ImportRules.violations))
  }

  @Test("Pure parts use neither the real clock nor real randomness")
  func pureParts() throws {
    let files =
      try Repository.swiftSources()
      + ImportRules.simulationFolders.flatMap(Repository.files(below:))
    expectNone(files.flatMap(ImportRules.realWorldUses))
  }

  @Test("The package's manifest uses no unsafe flags")
  func unsafeFlags() throws {
    let manifest = try Repository.files().first { $0.path == "Package.swift" }
    #expect(manifest?.text.contains("unsafe" + "Flags") == false)
  }

  /// SwiftPM hands several traits of a package to the compiler in an order of chance, and builds
  /// everything again when it differs from the last one. swift-protobuf has two by default.
  @Test("No dependency is built with more than one trait")
  func traits() throws {
    let manifest = try #require(Repository.files().first { $0.path == "Package.swift" })
    let packages = manifest.text.split(separator: "\n").filter { $0.contains(".package(url:") }
    #expect(packages.count >= 5)
    for package in packages {
      if let traits = package.firstRange(of: "traits: [") {
        #expect(!package[traits.upperBound...].prefix { $0 != "]" }.contains(","), "\(package)")
      }
    }
    #expect(packages.contains { $0.contains("swift-protobuf") && $0.contains("traits: []") })
  }

  /// Who may touch which key and database is asked in one place: KeyAccess.
  @Test("Only KeyAccess checks keys and databases against the limits")
  func keyAccess() throws {
    let others = try Repository.swiftSources().filter {
      $0.text.contains("limits.refusal(") && !$0.path.hasSuffix("Commands/KeyAccess.swift")
    }
    #expect(others.map(\.path).isEmpty)
  }

  /// A reason that nothing gives is a promise that isn't kept.
  @Test("Connections end for every reason that there is, and the page names it")
  func reasonsOfEnds() throws {
    let sources = try Repository.swiftSources()
    let list = try #require(sources.first { $0.path.hasSuffix("Server/ConnectionEnd.swift") })
    let others = sources.filter { $0.path != list.path }
    let pages = try Repository.files(below: "docs")
    let page = try #require(pages.first { $0.name == "OPERATIONS.md" })
    let reasons = list.text.matches(of: /case \.(\w+): "(\w+)"/)
    #expect(reasons.count > 20)
    for reason in reasons {
      #expect(others.contains { $0.text.contains(".\(reason.1)") }, "nothing ends for \(reason.1)")
      #expect(page.text.contains("`\(reason.2)`"), "the page lacks \(reason.2)")
    }
  }

  @Test("No file is over the limit")
  func lengths() throws {
    let code = try ["Sources", "Tests", "deploy"].flatMap(Repository.files(below:))
    expectNone(code.compactMap(TextRules.lengthViolation))
  }

  @Test("No script and no comment has lines that are too wide")
  func widths() throws {
    let scripts = try ["deploy", ".ci", "Tests/RealClients", "Tests/ComposeCluster"]
      .flatMap(Repository.files(below:))
    expectNone(try (scripts + Repository.swiftSources()).flatMap(TextRules.wideLines))
  }

  @Test("Nothing is left unfinished without the number of an issue")
  func unfinished() throws {
    let code = try ["Sources", "Tests", "deploy", ".ci"].flatMap(Repository.files(below:))
    expectNone(code.flatMap(TextRules.unfinished))
  }

  @Test("No file names a path of one machine")
  func machinePaths() throws {
    try expectNone(Repository.files().flatMap(TextRules.machinePaths))
  }

  @Test("Only the client is public")
  func publicDeclarations() throws {
    try expectNone(Repository.swiftSources().flatMap(TextRules.publicDeclarations))
  }

  @Test("Every source file opens with what it is for")
  func headers() throws {
    let files =
      try Repository.swiftSources()
      + Repository.files(below: "Tests")
      .filter { $0.path.hasSuffix(".swift") }
    expectNone(files.filter(TextRules.lacksHeader).map(\.path))
  }

  @Test("Every link of the pages leads somewhere")
  func links() throws {
    let pages = try Repository.files().filter { $0.path.hasSuffix(".md") }
    let texts = Dictionary(uniqueKeysWithValues: pages.map { ($0.path, $0.text) })
    expectNone(
      pages.flatMap {
        TextRules.deadLinks(in: $0, exists: Repository.exists, page: { texts[$0] })
      })
  }

  @Test("Every table of the pages has a header")
  func tables() throws {
    let pages = try Repository.files().filter { $0.path.hasSuffix(".md") }
    expectNone(pages.flatMap(MarkdownPages.brokenTables))
  }

  @Test("Every alert has its runbook, with its four parts in their order")
  func runbooks() throws {
    let pages = try Repository.files(below: "docs").filter { $0.path == "docs/OPERATIONS.md" }
    let page = try #require(pages.first?.text)
    let runbooks = page.split(separator: "\n#### Ringstore").dropFirst()
    #expect(runbooks.count > 20)
    for runbook in runbooks {
      let parts = runbook.matches(of: #/\n- \*\*(\w+)\.\*\*/#).map { String($0.1) }
      #expect(parts == ["Meaning", "Look", "Do", "Ignore"], "\(runbook.prefix { $0 != "\n" })")
    }
  }

  @Test("The top level holds the agreed entries and nothing else")
  func topLevel() throws {
    try expectNone(TextRules.strangers(among: Repository.entries()))
  }

  @Test("Each kind of node has a sample configuration", arguments: ["shard", "router", "local"])
  func samples(kind: String) throws {
    let names = try Repository.entries(of: "config")
    #expect(names.contains { $0.hasPrefix(kind) && $0.hasSuffix(".yaml") })
  }

  @Test(
    "Every proto has its generated messages, and every generated file its proto",
    arguments: [
      ("Sources/RingstoreAPI/Generated/", ".wire.swift"),
      ("Tests/ProtobufMessages/Generated/", ".pb.swift"),
    ])
  func generatedFiles(folder: String, suffix: String) throws {
    func names(_ folder: String, _ suffix: String) throws -> Set<String> {
      let files = try Repository.files(below: folder).map(\.path).filter { $0.hasSuffix(suffix) }
      return Set(files.map { String($0.dropFirst(folder.count).dropLast(suffix.count)) })
    }
    let protos = try names("Sources/RingstoreAPI/Protos/", ".proto")
    let interop = try names("Tests/Interop/Protos/", ".proto")
    // Those of Google that ours use come with SwiftProtobuf, and one file names the packages.
    let others = try names(folder, suffix).subtracting(protos)
    #expect(try names(folder, suffix).isSuperset(of: protos))
    #expect(
      others.allSatisfy {
        $0 == "Namespaces" || $0.hasPrefix("google/protobuf/") || interop.contains($0)
      })
  }

  @Test("SwiftProtobuf is for tests")
  func protobufInTests() throws {
    let users = try Repository.swiftSources().filter { file in
      ImportRules.modules(of: file).contains("SwiftProtobuf")
    }
    expectNone(users.map(\.path))
  }

  @Test func whatTheCompilerDoesNotCheckIsExplained() throws {
    let files = try Repository.swiftSources()
    expectNone(files.flatMap(SafetyRules.exclusivityAttributes))
    expectNone(files.flatMap(SafetyRules.unexplainedSendable))
  }

  @Test func theClientIsBuiltOfWhatEverySystemHas() throws {
    #expect(SafetyRules.clientRooms.isSuperset(of: ["GRPC", "HTTP2", "LargeMemory"]))
    try expectNone(Repository.swiftSources().flatMap(SafetyRules.unconditionalLibraries))
  }
}
