// Checks this checkout against the house rules. The rules are in ImportRules.swift,
// TextRules.swift, WordRules.swift and SafetyRules.swift; RulesCanFailTests.swift shows that each
// one can fail.

import Testing

@Suite struct HouseRulesTests {
  /// Fails once for each thing that was found, with its sentence.
  private func expectNone(
    _ found: [String], sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for one in found { Issue.record("\(one)", sourceLocation: sourceLocation) }
  }

  @Test func theTableOfRoomsPointsOneWay() {
    expectNone(ImportRules.upwardArrows(in: ImportRules.rooms))
  }

  @Test func theTableOfRoomsListsTheFoldersOfSourcesAllOfThemAndNoOthers() throws {
    #expect(try Set(Repository.entries(of: "Sources")) == ImportRules.roomNames)
  }

  @Test func noRoomImportsAgainstTheArrowsAndPurePartsHaveNoSockets() throws {
    try expectNone(Repository.swiftSources().flatMap(ImportRules.violations))
  }

  @Test func purePartsUseNeitherTheRealClockNorRealRandomness() throws {
    let files =
      try Repository.swiftSources()
      + ImportRules.simulationFolders.flatMap(Repository.files(below:))
    expectNone(files.flatMap(ImportRules.realWorldUses))
  }

  @Test func thePackagesManifestUsesNoUnsafeFlags() throws {
    let manifest = try Repository.files().first { $0.path == "Package.swift" }
    #expect(manifest?.text.contains("unsafe" + "Flags") == false)
  }

  /// SwiftPM hands several traits of a package to the compiler in an order of chance, and builds
  /// everything again when it differs from the last one. swift-protobuf has two by default.
  @Test func noDependencyIsBuiltWithMoreThanOneTrait() throws {
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
  @Test func onlyKeyAccessChecksKeysAndDatabasesAgainstTheLimits() throws {
    let others = try Repository.swiftSources().filter {
      $0.text.contains("limits.refusal(") && !$0.path.hasSuffix("Commands/KeyAccess.swift")
    }
    #expect(others.map(\.path).isEmpty)
  }

  /// Hexadecimal numbers are parsed by `Hexadecimal`; `String(number, radix:)` only writes them.
  @Test func hexadecimalNumbersAreParsedInOnePlace() throws {
    let others = try Repository.swiftSources().filter { file in
      file.lines.contains { $0.contains("radix:") && !$0.contains("String(") }
    }
    #expect(others.map(\.path).isEmpty)
  }

  /// A reason that nothing gives is a promise that isn't kept.
  @Test func connectionsEndForEveryReasonThatThereIsAndThePageNamesIt() throws {
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

  @Test func noFileIsOverTheLimit() throws {
    let code = try ["Sources", "Tests", "deploy"].flatMap(Repository.files(below:))
    expectNone(code.compactMap(TextRules.lengthViolation))
  }

  @Test func noScriptAndNoCommentHasLinesThatAreTooWide() throws {
    let scripts = try ["deploy", ".ci", "Tests/RealClients", "Tests/ComposeCluster"]
      .flatMap(Repository.files(below:))
    expectNone(try (scripts + Repository.swiftSources()).flatMap(TextRules.wideLines))
  }

  @Test func nothingIsLeftUnfinishedWithoutTheNumberOfAnIssue() throws {
    let code = try ["Sources", "Tests", "deploy", ".ci"].flatMap(Repository.files(below:))
    expectNone(code.flatMap(TextRules.unfinished))
  }

  @Test func theTextsSpeakOfMachinesAsMachines() throws {
    try expectNone(Repository.files().flatMap(WordRules.violations))
  }

  @Test func testsHaveOneStyleOfNames() throws {
    try expectNone(Repository.files(below: "Tests").flatMap(WordRules.otherNames))
  }

  @Test func namesOfTestsAreClear() throws {
    try expectNone(Repository.files(below: "Tests").flatMap(WordRules.unclearNames))
  }

  @Test func noFileNamesAPathOfOneMachine() throws {
    try expectNone(Repository.files().flatMap(TextRules.machinePaths))
  }

  @Test func onlyTheClientIsPublic() throws {
    try expectNone(Repository.swiftSources().flatMap(TextRules.publicDeclarations))
  }

  @Test func everySourceFileOpensWithWhatItIsFor() throws {
    let files =
      try Repository.swiftSources()
      + Repository.files(below: "Tests")
      .filter { $0.path.hasSuffix(".swift") }
    expectNone(files.filter(TextRules.lacksHeader).map(\.path))
  }

  @Test func everyLinkOfThePagesLeadsSomewhere() throws {
    let pages = try Repository.files().filter { $0.path.hasSuffix(".md") }
    let texts = Dictionary(uniqueKeysWithValues: pages.map { ($0.path, $0.text) })
    expectNone(
      pages.flatMap {
        TextRules.deadLinks(in: $0, exists: Repository.exists, page: { texts[$0] })
      })
  }

  @Test func everyTableOfThePagesHasAHeader() throws {
    let pages = try Repository.files().filter { $0.path.hasSuffix(".md") }
    expectNone(pages.flatMap(MarkdownPages.brokenTables))
  }

  @Test func everyAlertHasItsRunbookWithItsFourPartsInTheirOrder() throws {
    let pages = try Repository.files(below: "docs").filter { $0.path == "docs/OPERATIONS.md" }
    let page = try #require(pages.first?.text)
    let runbooks = page.split(separator: "\n#### Ringstore").dropFirst()
    #expect(runbooks.count > 20)
    for runbook in runbooks {
      let parts = runbook.matches(of: #/\n- \*\*(\w+)\.\*\*/#).map { String($0.1) }
      #expect(parts == ["Meaning", "Look", "Do", "Ignore"], "\(runbook.prefix { $0 != "\n" })")
    }
  }

  @Test func theTopLevelHoldsTheAgreedEntriesAndNothingElse() throws {
    try expectNone(TextRules.strangers(among: Repository.entries()))
  }

  @Test(arguments: ["shard", "router", "local"])
  func eachKindOfNodeHasASampleConfiguration(kind: String) throws {
    let names = try Repository.entries(of: "config")
    #expect(names.contains { $0.hasPrefix(kind) && $0.hasSuffix(".yaml") })
  }

  @Test(arguments: [
    ("Sources/RingstoreAPI/Generated/", ".wire.swift"),
    ("Tests/ProtobufMessages/Generated/", ".pb.swift"),
  ])
  func everyProtoHasItsGeneratedMessagesAndEveryGeneratedFileItsProto(
    folder: String, suffix: String
  ) throws {
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

  @Test func swiftProtobufIsForTests() throws {
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
