// The command table against the contract: the text of the .proto files and the generated enum.

import Foundation
import RingstoreAPI
import Testing

@Suite struct CommandTableTests {
  struct RPC: Hashable {
    let path: String
    let isStreaming: Bool
  }

  /// Every rpc of the public .proto files.
  static func contract() throws -> Set<RPC> {
    var rpcs: Set<RPC> = []
    for file in ["keystore", "cluster"] {
      let url = packageRoot.appending(
        path: "Sources/RingstoreAPI/Protos/ringstore/v1/\(file).proto")
      var service = ""
      for line in try String(contentsOf: url, encoding: .utf8).split(separator: "\n") {
        if let match = line.firstMatch(of: /^service (\w+)/) { service = String(match.1) }
        if let match = line.firstMatch(of: /^\s*rpc (\w+)\((stream )?.*returns \((stream )?/) {
          rpcs.insert(
            RPC(
              path: "/ringstore.v1.\(service)/\(match.1)",
              isStreaming: match.2 != nil || match.3 != nil))
        }
      }
    }
    return rpcs
  }

  @Test func `every call of the contract is served, and no other`() throws {
    let contract = try Self.contract()
    #expect(contract.count == 25)
    let served = CommandTable.all.map(\.path)
    #expect(Set(served) == Set(contract.map(\.path)))
    #expect(served.count == contract.count)
    for rpc in contract {
      let command = CommandTable.all.first { $0.path == rpc.path }
      #expect(command?.isStreaming == rpc.isStreaming, "\(rpc.path)")
    }
  }

  @Test func `numbers of calls that travel in batches are those of the contract`() throws {
    for method in V1.Method.allCases where method != .unspecified {
      let command = try #require(CommandTable.command(method: UInt32(method.rawValue)))
      #expect("\(method)" == "\(command.commandID)")
      #expect(command.routing == .oneKey && command.rpc.keyFields != nil)
      #expect(command.rpc.method?.rawValue == Int32(method.rawValue))
      #expect(CommandTable.keyFields(ofMethod: UInt32(method.rawValue)) == command.rpc.keyFields)
      #expect(
        CommandTable.isWrite(method: UInt32(method.rawValue)) == (command.access == .write))
    }
    let methods = V1.Method.allCases.count - 1
    #expect(CommandTable.all.filter { $0.method != nil }.count == methods)
    for method: UInt32 in [0, 13, 63, 64, 1001, .max] {
      #expect(CommandTable.command(method: method) == nil)
      #expect(CommandTable.keyFields(ofMethod: method) == nil)
      #expect(!CommandTable.isWrite(method: method))
    }
  }

  @Test func `calls on one key, and only they, have a key to peek at`() {
    for command in CommandTable.all {
      #expect((command.rpc.keyFields != nil) == (command.routing == .oneKey), "\(command.name)")
    }
  }

  @Test func `every call has its own number, path and line names`() {
    let all = CommandTable.all
    #expect(Set(all.map(\.id)).count == all.count)
    #expect(Set(all.map(\.commandID)) == Set(CommandID.allCases))
    let words = all.flatMap { [$0.lineName].compactMap { $0 } + $0.lineAliases }
    #expect(Set(words).count == words.count)
    for method in InternalMethod.allCases {
      #expect(CommandTable.command(id: Int(method.rawValue)) == nil)
    }
  }

  @Test func `usage and arity say the same`() {
    for command in CommandTable.all {
      guard let lineName = command.lineName else {
        #expect(command.arity == 0, "\(command.name)")
        continue
      }
      let words = command.usage.split(separator: " ")
      let required = words.prefix { !$0.hasPrefix("[") }.count
      #expect(words.first.map(String.init) == lineName)
      #expect(abs(command.arity) == required, "\(command.name)")
      #expect(command.arity > 0 || required < words.count || lineName == "KEYS")
    }
  }

  @Test func `calls are found by path and by line name in any case`() {
    func byPath(_ path: String) -> Command? {
      Array(path.utf8).withUnsafeBytes { CommandTable.command(path: $0) }
    }
    for command in CommandTable.all {
      #expect(byPath(command.path)?.id == command.id)
      #expect(CommandTable.command(id: command.id)?.id == command.id)
    }
    #expect(byPath("/ringstore.v1.KeyStore/get") == nil && byPath("") == nil)
    #expect(CommandTable.command(lineName: "lrange")?.commandID == .lRange)
    #expect(CommandTable.command(lineName: "dEl")?.commandID == .delete)
    #expect(CommandTable.command(lineName: "") == nil)
    #expect(CommandTable.command(lineName: "PIPELINE") == nil)
  }
}
