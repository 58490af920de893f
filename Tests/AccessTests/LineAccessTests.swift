// Users on the line protocol: AUTH, what may be said before it, and the ACL matrix of its commands.

import Commands
import LineProtocol
import NIOCore
import RingstoreAPI
import Testing
import Users

@Suite("Users on lines", .timeLimit(.minutes(15)))
struct LineAccessTests {
  @Test func beforeAUTHThereAreAUTHPINGAndQUITEveryOtherCommandIsRefused() async throws {
    try await AccessCluster.with { cluster in
      for port in [cluster.router.linePort, cluster.shards[0].linePort] {
        let lines = try await LineClient(port: try #require(port))
        #expect(try await lines.send("PING") == ["+PONG"])
        for command in LineCommands.all
        where !["AUTH", "PING", "QUIT"].contains(command.syntax.name) {
          let words =
            [command.syntax.name]
            + Array(
              repeating: "1", count: command.syntax.words.lowerBound - 1)
          let reply = try await lines.send(words.joined(separator: " "))
          #expect(reply[0].hasPrefix("-UNAUTHENTICATED "), "\(words): \(reply)")
        }
        #expect(try await lines.send("NONSENSE x")[0].hasPrefix("-UNAUTHENTICATED "))
        #expect(try await lines.send("QUIT") == ["+OK"])
      }
    }
  }

  @Test func authTakesATokenAloneOrBehindItsUsersName() async throws {
    try await AccessCluster.with { cluster in
      let port = try #require(cluster.router.linePort)
      let token = AccessCluster.token("root")
      for good in ["AUTH \(token)", "AUTH root \(token)", "auth root \(token)"] {
        let lines = try await LineClient(port: port)
        #expect(try await lines.send(good, "SET k v", "GET k") == ["+OK", "+OK", "+v"])
        try await lines.close()
      }
      for bad in ["AUTH x", "AUTH read \(token)", "AUTH root", "AUTH root \(token)x"] {
        let lines = try await LineClient(port: port)
        let replies = try await lines.send(bad, "GET k")
        #expect(replies.allSatisfy { $0.hasPrefix("-UNAUTHENTICATED ") }, "\(bad): \(replies)")
        #expect(!replies.joined().contains("rst_"))
        try await lines.close()
      }
    }
  }

  @Test func anotherAUTHMakesTheConnectionAnotherUsersAFailedOneChangesNothing() async throws {
    try await AccessCluster.with { cluster in
      let lines = try await LineClient(port: try #require(cluster.router.linePort))
      let replies = try await lines.send(
        "AUTH \(AccessCluster.token("write"))", "SET k v", "AUTH nonsense", "SET k w", "GET k",
        "AUTH \(AccessCluster.token("read"))", "GET k", "SET k x")
      #expect(
        replies.map { $0.prefix { $0 != " " } }.map(String.init) == [
          "+OK", "+OK", "-UNAUTHENTICATED", "+OK", "-PERMISSION_DENIED", "+OK", "+w",
          "-PERMISSION_DENIED",
        ])
      try await lines.close()
    }
  }

  @Test func aConnectionWhoseTokenIsTakenAwayIsAStrangersAgain() async throws {
    try await AccessCluster.with { cluster in
      let lines = try await LineClient(port: try #require(cluster.router.linePort))
      #expect(
        try await lines.send("AUTH \(AccessCluster.token("root"))", "SET k v") == ["+OK", "+OK"])
      await cluster.replaceUsers(with: UserTable())
      #expect(try await lines.send("GET k")[0].hasPrefix("-UNAUTHENTICATED "))
      try await lines.close()
    }
  }

  @Test func selectGoesIntoDatabasesOfTheUsersOnlyKEYSAndDBSIZEShowWhatIsHis() async throws {
    try await AccessCluster.with { cluster in
      let port = try #require(cluster.router.linePort)
      let root = try await LineClient(port: port)
      _ = try await root.send(
        "AUTH \(AccessCluster.token("root"))", "SET mine:1 v", "SET other:1 v")
      let lines = try await LineClient(port: port)
      let replies = try await lines.send(
        "AUTH \(AccessCluster.token("restricted-read"))", "SELECT 1", "SELECT 2", "SELECT 0",
        "DBSIZE", "KEYS .", "GET mine:1", "GET other:1")
      #expect(replies[1] == "+OK")
      #expect(replies[2].hasPrefix("-PERMISSION_DENIED "))
      #expect(replies[3] == "+OK")
      #expect(replies[4] == "+1")
      #expect(replies[5] == "*1")
      #expect(replies[6] == "+v")
      #expect(replies[7].hasPrefix("-PERMISSION_DENIED "))
      try await lines.close()
      try await root.close()
    }
  }

  @Test(arguments: [true, false])
  func everyCommandForEveryPermission(throughRouter: Bool) async throws {
    try await AccessCluster.with { cluster in
      let port = try #require(
        throughRouter ? cluster.router.linePort : cluster.shards[0].linePort)
      for may in ["nothing", "read", "write", "admin"] {
        let lines = try await LineClient(port: port)
        #expect(try await lines.send("AUTH \(AccessCluster.token(may))") == ["+OK"])
        for command in CommandTable.all {
          // Those with words of their own, of which each is checked by what it needs.
          for form in command.forms
          where LineCommands.all.contains(where: {
            $0.syntax.name == form.syntax.name
          }) {
            // An error in the words is reported before permissions are checked.
            let count = max(1, form.syntax.words.lowerBound)
            let words = [form.syntax.name] + Array(repeating: "1", count: count - 1)
            let reply = try await lines.send(words.joined(separator: " "))
            let isRefused = reply[0].hasPrefix("-PERMISSION_DENIED ")
            if may == command.access.rawValue {
              #expect(!isRefused, "\(may): \(words): \(reply)")
            } else if !isRefused {
              #expect(reply[0].hasPrefix("-"), "\(may): \(words): \(reply)")
            }
          }
          if command.id == .shutdown, may == "admin" { break }
        }
        try? await lines.close()
      }
    }
  }
}
