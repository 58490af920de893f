// Shows that each house rule finds what it is there to find, on samples that break it.

import Testing

@Suite struct RulesCanFailTests {
  private func file(_ path: String, _ text: String) -> SourceFile {
    SourceFile(path: path, text: text)
  }

  @Test(arguments: [
    ("import NIOCore", "NIOCore"), ("internal import CNGHTTP2", "CNGHTTP2"),
    ("@testable import Store", "Store"), ("package import struct NIOCore.ByteBuffer", "NIOCore"),
    ("  @preconcurrency import Foundation.NSData", "Foundation"),
  ])
  func anImportIsRecognisedInEverySpelling(line: String, module: String) {
    #expect(ImportRules.module(ofLine: line[...]).map(String.init) == module)
  }

  @Test(arguments: ["// import Store", "let import_ = 1", "we import Store here", "import"])
  func whatOnlyMentionsAnImportIsNone(line: String) {
    #expect(ImportRules.module(ofLine: line[...]) == nil)
  }

  @Test(arguments: [
    ("Sources/Store/A.swift", "import RingstoreAPI"),
    ("Sources/GRPC/Core/A.swift", "internal import CNGHTTP2"),
    ("Sources/ShardNode/A.swift", "import RouterNode"),
    ("Sources/RouterNode/A.swift", "import Store"),
    ("Sources/ShardNode/A.swift", "import CRE2"),
    ("Sources/Store/A.swift", "import NIOCore"),
    ("Sources/Placement/A.swift", "import Foundation"),
    ("Sources/Patterns/A.swift", "import FoundationEssentials"),
    ("Sources/HTTP2/A.swift", "import NIOPosix"),
    ("Sources/ShardNode/Core/A.swift", "import NIOPosix"),
    ("Sources/RouterNode/RouterCore+Links.swift", "import NIOPosix"),
    ("Sources/Unheard/A.swift", "import NIOCore"),
  ])
  func anImportAgainstTheArrowsIsFound(path: String, text: String) {
    #expect(!ImportRules.violations(in: file(path, text)).isEmpty)
  }

  @Test func anImportAlongTheArrowsIsAllowed() {
    let text = "import RingstoreAPI\nimport NIOPosix\nimport Store\n"
    #expect(ImportRules.violations(in: file("Sources/ShardNode/A.swift", text)).isEmpty)
  }

  @Test func aTableWithACircleIsFound() {
    let table: [(name: String, mayImport: Set<String>)] = [("A", ["B"]), ("B", ["A"])]
    #expect(ImportRules.upwardArrows(in: table) == ["A -> B"])
  }

  @Test(arguments: [
    "let now = Date()", "Int.random(in: 0..<3)", "NIODeadline.now()", "a.shuffled()",
  ])
  func theRealClockAndRealRandomnessAreFoundInPureParts(line: String) {
    #expect(!ImportRules.realWorldUses(in: file("Sources/Store/A.swift", line)).isEmpty)
    #expect(!ImportRules.realWorldUses(in: file("Sources/GRPC/Core/A.swift", line)).isEmpty)
    #expect(ImportRules.realWorldUses(in: file("Sources/ShardNode/A.swift", line)).isEmpty)
    #expect(ImportRules.realWorldUses(in: file("Sources/Store/A.swift", "// " + line)).isEmpty)
  }

  @Test func aLongFileIsFoundAGeneratedOneIsLeftAlone() {
    let long = String(repeating: "x\n", count: TextRules.linesMax + 1)
    #expect(TextRules.lengthViolation(in: file("Sources/Store/A.swift", long)) != nil)
    #expect(TextRules.lengthViolation(in: file("Sources/X/Generated/A.swift", long)) == nil)
    let full = String(long.dropLast(2))
    #expect(TextRules.lengthViolation(in: file("Sources/Store/A.swift", full)) == nil)
  }

  @Test func aWideLineIsFound() {
    let wide = String(repeating: "x", count: TextRules.columnsMax + 1)
    #expect(TextRules.wideLines(in: file("deploy/run", "short\n" + wide)).count == 1)
    #expect(TextRules.wideLines(in: file("Sources/A.swift", "  // " + wide)).count == 1)
    #expect(TextRules.wideLines(in: file("Sources/A.swift", "let x = " + wide)).isEmpty)
  }

  @Test(arguments: ["// TO" + "DO: later", "// FIX" + "ME", "fatalError(\"not " + "implemented\")"])
  func unfinishedWorkIsFound(line: String) {
    #expect(TextRules.unfinished(in: file("Sources/Store/A.swift", line)).count == 1)
  }

  @Test func unfinishedWorkWithTheNumberOfAnIssueIsAllowed() {
    #expect(TextRules.unfinished(in: file("Sources/A/A.swift", "// TO" + "DO(#12)")).isEmpty)
  }

  @Test(arguments: [
    "// No" + "body knows.", "/// It go" + "es on.", "  func itGo" + "esOn() {",
    "def it_go" + "es_on():", "let me" + "nded = 1", "`no" + "body`", "it let" + " go",
    "x.let" + "Go(of: y)", "an ans" + "wer comes", "func failAns" + "wer()", "UNANS" + "WERED_MAX",
    "var isHeld" + "Up", "begins a" + "new",
  ])
  func anExpressionOfTheListIsFound(line: String) {
    #expect(WordRules.violations(in: file("docs/A.md", line)).count == 1)
    #expect(WordRules.violations(in: file("Sources/A/Generated/A.swift", line)).isEmpty)
  }

  @Test(arguments: [
    "guard let goAway = frame", "func getAndNoBody()", "amend, recommended", "it got on",
    "as they go, on a", "renewed", "buffers hold up to 64 KiB", "let heldUpper = 1",
    "func itIsOnANewLink()",
  ])
  func wordsThatOnlyLookLikeOneAreAllowed(line: String) {
    #expect(WordRules.violations(in: file("docs/A.md", line)).isEmpty)
  }

  @Test(arguments: [
    "  @Test fu" + "nc `it works`() {", "  @Te" + "st(\"x\") func x() {", "@Su" + "ite(\"X\")",
  ])
  func anotherStyleOfTestNamesIsFound(line: String) {
    #expect(WordRules.otherNames(in: file("Tests/A/A.swift", line)).count == 1)
    #expect(WordRules.otherNames(in: file("Sources/A/A.swift", line)).isEmpty)
  }

  @Test func anUnclearNameOfATestIsFound() {
    func found(_ line: String, _ path: String) -> Int {
      WordRules.unclearNames(in: file(path, line)).count
    }
    let swift = "  @Test fu" + "nc itIsTo" + "ldOnce() {"
    #expect(found(swift, "Tests/A/ATests.swift") == 1)
    #expect(found(swift, "Sources/A/A.swift") == 0)
    #expect(found("  fu" + "nc itIsUntold(asked: Int)", "Tests/A/ATests.swift") == 0)
    #expect(found("def te" + "st_it_is_as" + "ked():", "Tests/A/test_a.py") == 1)
  }

  @Test func aPathOfOneMachineIsFound() {
    #expect(!TextRules.machinePaths(in: file("docs/A.md", "see /wo" + "rk/main")).isEmpty)
    #expect(TextRules.machinePaths(in: file("docs/A.md", "see docs/PROTOCOL.md")).isEmpty)
  }

  @Test func aPublicDeclarationOutsideTheClientIsFound() {
    let text = "  public static func f() {}"
    #expect(!TextRules.publicDeclarations(in: file("Sources/Store/A.swift", text)).isEmpty)
    #expect(TextRules.publicDeclarations(in: file("Sources/RingstoreClient/A.swift", text)).isEmpty)
    #expect(TextRules.publicDeclarations(in: file("Sources/Store/A.swift", "// " + text)).isEmpty)
  }

  @Test func aFileWithoutAHeaderCommentIsFound() {
    #expect(TextRules.lacksHeader(file("Sources/Store/A.swift", "import NIOCore\n")))
    #expect(!TextRules.lacksHeader(file("Sources/Store/A.swift", "// What it is.\n")))
  }

  @Test func aLinkToNowhereIsFoundFromAnyFolder() {
    let there: Set<String> = ["docs/A.md", "README.md"]
    let page = file("docs/B.md", "[a](A.md) [b](../README.md#top) [c](C.md) [d](https://x.y/z)")
    func dead(_ page: SourceFile) -> [String] {
      TextRules.deadLinks(in: page, exists: there.contains) { _ in "## Top" }
    }
    #expect(dead(page) == ["docs/B.md: C.md"])
    #expect(dead(file("README.md", "[up](../secret.md)")).count == 1)
    let gone = file("README.md", "[a](docs/A.md#gone) [own](#other) [b](docs/A.md#top) [c](#top)")
    #expect(
      dead(gone) == [
        "README.md: docs/A.md#gone: no such heading", "README.md: #other: no such heading",
      ])
  }

  @Test func anchorsAreMadeAsGitHubMakesThem() {
    let text = "# What it's, and `why`\n```\n# no heading\n```\n## A_b-c\n## A_b-c\n"
    #expect(MarkdownPages.anchors(of: text) == ["what-its-and-why", "a_b-c", "a_b-c-1"])
  }

  @Test func aTableWithoutAHeaderIsFound() {
    let whole = "| a |\n|---|\n| b |\n\n```\n| code\n```\n"
    #expect(MarkdownPages.brokenTables(in: file("docs/A.md", whole)).isEmpty)
    #expect(MarkdownPages.brokenTables(in: file("docs/A.md", "\n|---|\n| b |\n")).count == 1)
    #expect(MarkdownPages.brokenTables(in: file("docs/A.md", "| a |\n| b |\n")).count == 1)
  }

  @Test func aStrangerAtTheTopLevelIsFound() {
    #expect(TextRules.strangers(among: ["Sources", ".ci", "notes.txt"]) == ["notes.txt"])
  }

  @Test func anUncheckedAccessIsFound() {
    let code = "  @exclusivity(un" + "checked) var a = 0"
    #expect(SafetyRules.exclusivityAttributes(in: file("Sources/A/A.swift", code)).count == 1)
    #expect(SafetyRules.exclusivityAttributes(in: file("Sources/A/A.swift", "var a = 0")).isEmpty)
  }

  @Test func anUncheckedSendableWithoutAReasonIsFound() {
    let marker = "@un" + "checked Sendable"
    let code = "final class A: \(marker) {\n}\n"
    func found(_ text: String) -> Int {
      SafetyRules.unexplainedSendable(in: file("Sources/A/A.swift", text)).count
    }
    #expect(found(code) == 1)
    #expect(found("// Any thread, behind a lock.\n\n" + code) == 1, "it says nothing of the type")
    #expect(found("/// Sendable although it is a pointer.\n\nlet a = 0\n" + code) == 1)
    #expect(found("/// The owner of a thread.\n" + code) == 1)
    let reason = "Sendable\n  // although it is a pointer."
    #expect(found("/// A list. \(reason)\n\(code)") == 0)
    #expect(found("/// \(reason)\nclass A: B,\n  \(marker)\n{\n}") == 0)
    #expect(found("class A: \(marker) {\n  // \(reason)\n}") == 0)
    #expect(found("/// \(reason)\n@usableFromInline\npackage \(code)") == 0)
  }

  @Test func aSystemsLibraryInTheClientsRoomsIsFound() {
    let text = "import Glibc\n"
    #expect(SafetyRules.unconditionalLibraries(in: file("Sources/GRPC/A.swift", text)).count == 1)
    #expect(SafetyRules.unconditionalLibraries(in: file("Sources/ringstore/A.swift", text)).isEmpty)
    let asked = "#if canImport(Glibc)\n  import Glibc\n#endif\n"
    #expect(SafetyRules.unconditionalLibraries(in: file("Sources/GRPC/A.swift", asked)).isEmpty)
  }
}
