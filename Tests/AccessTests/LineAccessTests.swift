// Users on the line protocol: AUTH, what may be said before it, and the ACL matrix of its commands.

import Commands
import LineProtocol
import NIOCore
import RingstoreAPI
import Testing
import Users

@Suite(.timeLimit(.minutes(15)))
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

  /// The words of a command's shortest form, about a key: of a choice the first, of a number 1.
  private static func words(_ syntax: Syntax, key: String) -> String {
    // What is in brackets may be left out.
    let required = syntax.usage.split(separator: "[").enumerated().flatMap { place, part in
      (place == 0 ? part : part.drop { $0 != "]" }.dropFirst()).split(separator: " ")
    }
    return required.map { word -> String in
      switch word {
      // A name, or a word that belongs to it.
      case _ where word.allSatisfy(\.isUppercase): String(word)
      case "key", "source", "destination": key
      case "cursor": "0"
      case "timeout": "0.01"
      case _ where word.contains("|"): String(word.prefix { $0 != "|" })
      default: "1"
      }
    }.joined(separator: " ")
  }

  @Test(arguments: [true, false])
  func everyCommandForEveryPermission(throughRouter: Bool) async throws {
    try await AccessCluster.with { cluster in
      let port = try #require(
        throughRouter ? cluster.router.linePort : cluster.shards[0].linePort)
      var checked = 0
      for user in AccessCluster.names {
        for target in AccessMatrixTests.targets {
          let lines = try await LineClient(port: port)
          // Into the database as someone who may: SELECT itself refuses it to who may not.
          let opening = try await lines.send(
            "AUTH \(AccessCluster.token("root"))", "SELECT \(target.database)",
            "AUTH \(AccessCluster.token(user))")
          #expect(opening == ["+OK", "+OK", "+OK"])
          // The node ends a connection that has asked it to shut down.
          let shutdown = CommandTable.all.filter { $0.id == .shutdown }
          for command in CommandTable.all.filter({ $0.id != .shutdown }) + shutdown {
            for form in command.forms {
              guard
                let line = LineCommands.all.first(where: { $0.syntax.name == form.syntax.name })
              else { continue }
              let words = Self.words(line.syntax, key: target.key)
              let reply = try await lines.reply(to: words)
              let isRefused = reply.contains { $0.hasPrefix("-PERMISSION_DENIED ") }
              let expected = AccessMatrixTests.mayCall(
                command, as: user, ownKey: target.isOwnKey, ownBase: target.isOwnBase)
              #expect(
                isRefused == !expected, "\(user) in \(target.database): \(words): \(reply)")
              checked += 1
            }
          }
          try? await lines.close()
        }
      }
      #expect(checked > 24 * 50)
    }
  }
}
