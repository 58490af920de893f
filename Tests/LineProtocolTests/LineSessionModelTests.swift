// Random commands, pipelined and split at random, on a node that executes late and in any order but
// per key: the replies must be those of a store that executes one command after the other.

import LineProtocol
import NIOCore
import NodeCore
import RingstoreAPI
import TestSeeds
import Testing

@Suite struct LineSessionModelTests {
  @Test(arguments: [false, true])
  func aConnectionsCommandsTakeEffectInTheirOrder(_ repliesAtOnce: Bool) {
    for round in 0..<60 {
      var random = SplitMix64(seed: TestSeed.value &+ UInt64(round))
      let talk = Conversation()
      talk.node.repliesAtOnce = repliesAtOnce
      var model = Model()
      var expected = ""
      for _ in 0..<Int.random(in: 1...60, using: &random) {
        let command = Model.command(&random)
        expected += model.reply(to: command)
        var bytes = ArraySlice(Model.bytes(command, &random))
        while !bytes.isEmpty {
          let count = Int.random(in: 1...bytes.count, using: &random)
          talk.send(String(decoding: bytes.prefix(count), as: UTF8.self))
          bytes = bytes.dropFirst(count)
        }
        for _ in 0..<Int.random(in: 0...2, using: &random) { Self.execute(talk, &random) }
      }
      while !talk.node.waiting.isEmpty { Self.execute(talk, &random) }
      #expect(talk.read() == expected, "seed \(TestSeed.value), round \(round)")
    }
  }

  private static func execute(_ talk: Conversation, _ random: inout SplitMix64) {
    let executable = talk.node.executable
    guard !executable.isEmpty else { return }
    talk.node.execute(executable[Int.random(in: 0..<executable.count, using: &random)])
    talk.run()
  }
}

/// What the commands mean, one after the other.
private struct Model {
  private var database = 0
  private var values: [String: String] = [:]

  static func command(_ random: inout SplitMix64) -> [String] {
    let key = ["a", "b", "c"][Int.random(in: 0..<3, using: &random)]
    switch Int.random(in: 0..<10, using: &random) {
    case 0, 1: return ["SET", key, ["x", "7", "", "a b"][Int.random(in: 0..<4, using: &random)]]
    case 2, 3: return ["GET", key]
    case 4: return ["DEL", key]
    case 5: return ["INCRBY", key, "\(Int.random(in: -5...5, using: &random))"]
    case 6: return ["MGET", "a", "b"]
    case 7: return ["DBSIZE"]
    case 8: return Int.random(in: 0..<3, using: &random) == 0 ? ["RESET"] : ["PING"]
    default: return ["SELECT", "\(Int.random(in: 0...1, using: &random))"]
    }
  }

  /// As lines, or quoted on one line.
  static func bytes(_ command: [String], _ random: inout SplitMix64) -> [UInt8] {
    if Bool.random(using: &random) {
      return Array(command.map { "'\($0)'" }.joined(separator: " ").utf8) + [0x0a]
    }
    return Array(("*\(command.count)\r\n" + command.map { $0 + "\r\n" }.joined()).utf8)
  }

  mutating func reply(to command: [String]) -> String {
    let place = command.count > 1 ? "\(database)/\(command[1])" : ""
    switch command[0] {
    case "SET":
      values[place] = command[2]
      return "+OK\r\n"
    case "GET": return line(values[place], command[1])
    case "DEL": return values.removeValue(forKey: place) == nil ? line(nil, command[1]) : "+OK\r\n"
    case "INCRBY":
      guard let number = Int(values[place] ?? "0"), let delta = Int(command[2]) else {
        return "-NOT_AN_INTEGER The value is not a decimal 64-bit integer.\r\n"
      }
      values[place] = "\(number + delta)"
      return "+\(number + delta)\r\n"
    case "MGET":
      return "*2\r\n" + line(values["\(database)/a"], "a") + line(values["\(database)/b"], "b")
    case "DBSIZE": return "+\(values.keys.filter { $0.hasPrefix("\(database)/") }.count)\r\n"
    case "RESET":
      values = values.filter { !$0.key.hasPrefix("\(database)/") }
      return "+OK\r\n"
    case "SELECT":
      database = Int(command[1]) ?? 0
      return "+OK\r\n"
    default: return "+PONG\r\n"
    }
  }

  private func line(_ value: String?, _ key: String) -> String {
    value.map { "+\($0)\r\n" } ?? "-invalid key \(key)\r\n"
  }
}
