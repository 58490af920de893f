// Holds the table of gRPC's rules against the tests that there are.

import Testing

@Suite struct GRPCRulesTests {
  @Test func everyRuleHasItsTestsAndTheyExist() throws {
    let files = try Repository.files(below: "Tests")
    for one in GRPCRules.violations(of: GRPCRules.all, in: files) { Issue.record("\(one)") }
  }

  @Test func eachAttackOfDocsSECURITYMdNamesTestsThatExist() throws {
    let files = try Repository.files(below: "Tests")
    let page = try Repository.files(below: "docs").first { $0.name == "SECURITY.md" }
    let rows = GRPCRules.attacksOfPage(try #require(page).text)
    #expect(rows.count >= GRPCRules.attacks.count)
    for one in GRPCRules.violations(of: rows, in: files) { Issue.record("\(one)") }
  }

  @Test func aRowThatNamesNoTestOrOneThatIsNotThereIsFound() {
    let file = SourceFile(path: "Tests/A/B.swift", text: "@Test func holds() {}")
    let good = GRPCRule("good", "B.swift: holds")
    #expect(GRPCRules.violations(of: [good], in: [file]).isEmpty)
    let bad = [
      GRPCRule("none"), GRPCRule("gone", "B.swift: held"), GRPCRule("moved", "C.swift: holds"),
      GRPCRule("an attack", "B.swift: Rapid Reset"), GRPCRule("other language", "B.py: holds"),
      GRPCRule("no name", "holds"),
    ]
    #expect(GRPCRules.violations(of: bad, in: [file]).count == bad.count)
  }
}
