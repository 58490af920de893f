// How a command is said in words, on a line or on the command line, and how its reply is shown.
// Values; any thread.

import RingstoreAPI

package struct CommandForm: Sendable {
  package let syntax: Syntax
  /// One sentence, for help.
  package let summary: String
  /// How the reply is shown; nil where each protocol has its own way.
  package let reply: ReplyForm?
  /// The call that the words mean; nil where each protocol has its own way to read them.
  ///
  /// The words are as many as the syntax asks for. The call points into them.
  package let call: Maker?

  package typealias Maker =
    @Sendable (CommandWords, _ database: UInt32) throws(ArgumentError) -> any KeyedCall
  /// The call of another command that words mean; nil where they mean their own.
  typealias OtherCall =
    @Sendable (CommandWords, _ database: UInt32) throws(ArgumentError) -> (any KeyedCall)?

  /// A form that is read and shown by each protocol in its own way.
  init(_ usage: String, aliases: [String] = [], _ summary: String) {
    self.init(Syntax(usage, aliases: aliases), nil, summary, call: nil)
  }

  fileprivate init(_ syntax: Syntax, _ reply: ReplyForm?, _ summary: String, call: Maker?) {
    self.syntax = syntax
    self.reply = reply
    self.summary = summary
    self.call = call
  }
}

/// How the request of a command on one key is said in words. A command may have several such forms.
struct RequestForm<Request>: Sendable {
  typealias Reader =
    @Sendable (CommandWords, _ database: UInt32) throws(ArgumentError) -> Request

  private let syntax: Syntax
  private let reply: ReplyForm
  private let summary: String
  private let otherCall: CommandForm.OtherCall
  private let request: Reader

  init(
    _ usage: String, aliases: [String] = [], _ reply: ReplyForm, _ summary: String,
    orCall otherCall: @escaping CommandForm.OtherCall = { _, _ in nil },
    request: @escaping Reader
  ) {
    self.otherCall = otherCall
    syntax = Syntax(usage, aliases: aliases)
    self.reply = reply
    self.summary = summary
    self.request = request
  }

  /// The form of a command.
  func form<Reply>(of command: KeyCommand<Request, Reply>) -> CommandForm {
    CommandForm(syntax, reply, summary) { words, database throws(ArgumentError) in
      if let other = try otherCall(words, database) { return other }
      return command.call(try request(words, database))
    }
  }
}

/// Name and number of words, read out of a usage such as `LPUSH key value [value ...]`.
package struct Syntax: Sendable, Hashable {
  /// In capitals; clients may write it as they like.
  package let name: String
  package let aliases: [String]
  package let usage: String
  /// How many words there may be, the name among them.
  package let words: ClosedRange<Int>

  package init(_ usage: String, aliases: [String] = []) {
    self.usage = usage
    self.aliases = aliases
    var (least, most, depth) = (0, 0, 0)
    let words = usage.split(separator: " ")
    for word in words {
      if word.hasPrefix("[") { depth += 1 }
      if word.contains("...") {
        most = Int.max - 1
      } else {
        if depth == 0 { least += 1 }
        if most < Int.max - 1 { most += 1 }
      }
      depth -= word.count { $0 == "]" }
    }
    name = words.first.map(String.init) ?? ""
    self.words = least...max(least, most)
  }

  package func isCalled(_ word: UnsafeRawBufferPointer) -> Bool {
    word.isWord(name) || aliases.contains { word.isWord($0) }
  }
}

/// How the reply to a command on one key is shown.
package enum ReplyForm: Sendable, Hashable {
  /// OK, whatever the reply holds.
  case ok
  /// Value.
  case value
  /// Value or ListValues, of what the call has taken away.
  case taken
  /// Value, of an element of a list.
  case element
  /// Status, whose count tells whether there was anything to remove.
  case removed
  /// Status, its count.
  case count
  /// TypeResponse, in a word.
  case type
  /// IncrByResponse, its value.
  case sum
  /// ListValues.
  case list
}

/// What is wrong with a command's arguments. Each protocol says it in its own way.
package enum ArgumentError: Error, Hashable, Sendable {
  /// `what`, "the start" for example, must be an integer of 64 bits; the word isn't.
  case notAnInteger(what: String, word: [UInt8])
  /// `what` must be above the smallest integer, since it is taken away.
  case tooSmallToTakeAway(what: String)
  /// `what` must be from 0 to the largest integer of 32 bits without a sign; the word isn't.
  case notACount(what: String, word: [UInt8])
}
