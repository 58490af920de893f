// A command's form in words, on the line protocol or the command line, and the form of its reply.
// Values; any thread.

import NIOCore
import RingstoreAPI

package struct CommandForm: Sendable {
  package let syntax: Syntax
  /// One sentence, for help.
  package let summary: String
  /// The form of the reply; nil if each protocol has its own.
  package let reply: ReplyForm?
  private let otherReply: OtherReply
  /// The call that the words mean; nil if each protocol parses them itself.
  ///
  /// The number of words matches the syntax. The call points into them.
  package let call: Maker?
  /// The fan-out call for words that name more than one key; nil: they never do.
  package let many: ManyKeyWords?

  package typealias Maker =
    @Sendable (CommandWords, _ database: UInt32) throws(ArgumentError) -> any KeyedCall
  /// The form of the reply to words, if it isn't `reply`.
  typealias OtherReply = @Sendable (CommandWords) -> ReplyForm?
  /// The call of another command that words mean; nil if they mean their own.
  typealias OtherCall =
    @Sendable (CommandWords, _ database: UInt32) throws(ArgumentError) -> (any KeyedCall)?

  /// A form that each protocol parses and prints itself.
  init(_ usage: String, aliases: [String] = [], _ summary: String) {
    self.init(
      Syntax(usage, aliases: aliases), nil, summary, orShows: { _ in nil }, orMany: nil, call: nil)
  }

  /// The form of the reply to these words.
  package func reply(to words: CommandWords) -> ReplyForm? { otherReply(words) ?? reply }

  fileprivate init(
    _ syntax: Syntax, _ reply: ReplyForm?, _ summary: String,
    orShows otherReply: @escaping OtherReply,
    orMany many: ManyKeyWords?, call: Maker?
  ) {
    self.otherReply = otherReply
    self.many = many
    self.syntax = syntax
    self.reply = reply
    self.summary = summary
    self.call = call
  }
}

/// The form in words of a request of a command on one key. A command may have several such forms.
struct RequestForm<Request>: Sendable {
  typealias Reader =
    @Sendable (CommandWords, _ database: UInt32) throws(ArgumentError) -> Request

  private let syntax: Syntax
  private let reply: ReplyForm
  private let summary: String
  private let otherReply: CommandForm.OtherReply
  private let otherCall: CommandForm.OtherCall
  private let many: ManyKeyWords?
  private let request: Reader

  init(
    _ usage: String, aliases: [String] = [], _ reply: ReplyForm, _ summary: String,
    orShows otherReply: @escaping CommandForm.OtherReply = { _ in nil },
    orCall otherCall: @escaping CommandForm.OtherCall = { _, _ in nil },
    orMany many: ManyKeyWords? = nil, request: @escaping Reader
  ) {
    self.otherReply = otherReply
    self.otherCall = otherCall
    self.many = many
    syntax = Syntax(usage, aliases: aliases)
    self.reply = reply
    self.summary = summary
    self.request = request
  }

  /// The form of a command.
  func form<Reply>(of command: KeyCommand<Request, Reply>) -> CommandForm {
    CommandForm(syntax, reply, summary, orShows: otherReply, orMany: many) {
      words, database throws(ArgumentError) in
      if let other = try otherCall(words, database) { return other }
      if words.count > syntax.words.lowerBound, !syntax.optionGroups.isEmpty {
        let options = try syntax.options(in: words)
        return command.call(try request(words.with(options), database))
      }
      return command.call(try request(words, database))
    }
  }
}

/// The fan-out call for a command's words if they name more than one key.
package struct ManyKeyWords: Sendable {
  package let command: Command
  private let append: @Sendable (UnsafeRawBufferPointer, UInt32, inout ByteBuffer) -> Void

  /// - Parameters:
  ///   - items: the field of its request that the keys go into, as the requests of one key each.
  ///   - item: the request of one key.
  init<Item: KeyedMessage>(
    _ command: Command, _ items: BytesField,
    item: @escaping @Sendable (_ key: UnsafeRawBufferPointer, _ database: UInt32) -> Item
  ) {
    self.command = command
    append = { key, database, request in request.append(items, item(key, database)) }
  }

  /// The encoded request; nil if the words name one key.
  package func request(_ words: CommandWords, database: UInt32) -> ByteBuffer? {
    guard words.count > 2 else { return nil }
    var request = ByteBuffer()
    for index in words.indices.dropFirst() { append(words[index], database, &request) }
    return request
  }

  /// The outcomes of the keys.
  package static func statuses(
    _ response: UnsafeRawBufferPointer, of command: Command
  ) throws(WireError) -> RepeatedMessages<V1.StatusItem> {
    command.id == .mDelete
      ? try V1.MDeleteResponse(response).items : try V1.ManyStatusesResponse(response).items
  }
}

/// Name, number of words and options, parsed from a usage such as `LPUSH key value [value ...]`.
package struct Syntax: Sendable, Hashable {
  /// In capitals; clients may use any case.
  package let name: String
  package let aliases: [String]
  package let usage: String
  /// How many words there may be, including the name.
  package let words: ClosedRange<Int>
  /// The options that may follow.
  package let optionGroups: [OptionGroup]

  package init(_ usage: String, aliases: [String] = []) {
    self.usage = usage
    self.aliases = aliases
    let parts = usage.split(separator: "[", omittingEmptySubsequences: false)
    let required = parts[0].split(separator: " ")
    var (least, most) = (required.count, required.count)
    var hasEnd = true
    var groups: [OptionGroup] = []
    for part in parts.dropFirst() {
      let inside = part.prefix { $0 != "]" }
      // Words after the brackets are required.
      let behind = part.dropFirst(inside.count + 1).split(separator: " ").count
      least += behind
      most += behind
      if let group = OptionGroup(inside) {
        groups.append(group)
        most += group.wordsMax
      } else if inside.contains("...") {
        hasEnd = false
      } else {
        most += inside.split(separator: " ").count
      }
    }
    name = required.first.map(String.init) ?? ""
    words = least...(hasEnd ? most : Int.max - 1)
    optionGroups = groups
  }

  package func isCalled(_ word: UnsafeRawBufferPointer) -> Bool {
    word.isWord(name) || aliases.contains { word.isWord($0) }
  }
}

/// How the reply to a command on one key is shown.
package enum ReplyForm: Sendable, Hashable {
  /// Status: OK; or the previous value, if requested; or that a condition was not met.
  case ok
  /// Status: 1 if it was done, 0 if a condition was not met.
  case isDone
  /// Value.
  case value
  /// Value or ListValues that the call has removed.
  case taken
  /// Value that the call has removed from one of several lists: the key, then the value.
  case popped
  /// Value, empty if there is none.
  case part
  /// Value, of an element of a list.
  case element
  /// Status, whose count says whether there was anything to remove.
  case removed
  /// Status, its count.
  case count
  /// Status of an insertion beside a value: its count; -1 if there is no such value.
  case inserted
  /// ListPositions: all of them, or the first.
  case positions(isMany: Bool)
  /// TypeResponse, as a word.
  case type
  /// TtlResponse, as a number.
  case ttl(TtlForm)
  /// IncrByResponse, its value.
  case sum
  /// InspectResponse: all of it, or a part.
  case inspection(InspectForm)
  /// ListValues.
  case list
}

/// What a reply shows of a key's expiry. As in Redis, seconds are rounded.
package enum TtlForm: Sendable, Hashable {
  case seconds, millis
  /// Since 1970.
  case unixSeconds, unixMillis

  /// Of a key that isn't there.
  private static let missing: Int64 = -2
  /// Of a key that doesn't expire.
  private static let never: Int64 = -1

  /// - Parameters: the rest and the end of the time to live, in milliseconds; nil if the key
  ///   doesn't expire.
  package func number(found: Bool, ttlMillis: Int64?, unixMillis: Int64?) -> Int64 {
    guard found else { return Self.missing }
    guard let ttlMillis, let unixMillis else { return Self.never }
    return switch self {
    case .seconds: Self.seconds(ttlMillis)
    case .millis: ttlMillis
    case .unixSeconds: Self.seconds(unixMillis)
    case .unixMillis: unixMillis
    }
  }

  private static func seconds(_ millis: Int64) -> Int64 {
    millis / 1_000 + (millis % 1_000 >= 500 ? 1 : 0)
  }
}

/// The error in a command's arguments. Each protocol has its own message for it.
package enum ArgumentError: Error, Hashable, Sendable {
  /// `what`, "the start" for example, must be an integer of 64 bits; the word isn't.
  case notAnInteger(what: String, word: [UInt8])
  /// `what` must be above the smallest integer, since it is subtracted.
  case tooSmallToTakeAway(what: String)
  /// `what` must be one word or another; the word isn't.
  case notAChoice(what: String, String, String, word: [UInt8])
  /// `what` must be from 0 to the largest integer of 32 bits without a sign; the word isn't.
  case notACount(what: String, word: [UInt8])
  /// `what` must be above 0.
  case notAboveZero(what: String)
  /// `what`, in milliseconds, would not fit into 64 bits.
  case tooManySeconds(what: String)
  /// The time to wait must be seconds from 0 to a maximum, possibly with decimals; the word isn't.
  case notAWait(word: [UInt8], maxSeconds: UInt32)
  /// The options can't be understood; a sentence that begins with a name.
  case badOptions(String)
}
