// Commands that other systems have and people type, in terms of our calls. Pure, any thread.

import RingstoreClient

extension CommandLineCall {
  /// With their help, in the order of the list.
  static let shortForms: [(usage: String, summary: String)] = [
    ("INCR key", "Adds 1 to the integer that a key holds."),
    ("DECR key", "Takes 1 from the integer that a key holds."),
    ("DECRBY key delta", "Takes a number from the integer that a key holds."),
    ("PING [text]", "Answers PONG, or the text, if the node answers."),
  ]

  /// nil where the name is none of them.
  static func short(
    _ name: [UInt8], _ arguments: [[UInt8]]
  ) throws(Misuse) -> CommandLineCall? {
    let word = String(decoding: name, as: UTF8.self).uppercased()
    guard let form = shortForms.first(where: { $0.usage.prefix { $0 != " " } == word }) else {
      return nil
    }
    switch (word, arguments.count) {
    case ("INCR", 1): return .oneKey(.incrBy(arguments[0], 1))
    case ("DECR", 1): return .oneKey(.incrBy(arguments[0], -1))
    case ("DECRBY", 2):
      let delta = try integer(arguments[1], "The delta")
      guard delta != .min else {
        throw Misuse(sentence: "The delta must be above \(Int64.min), since it is taken away.")
      }
      return .oneKey(.incrBy(arguments[0], -delta))
    case ("PING", 0...1): return .ping(arguments.first)
    default: throw Misuse(sentence: "Wrong arguments for \(word); usage: \(form.usage)")
    }
  }
}
