// What clients asked of one key and what they were told, as far as a history needs it.
//
// Owns nothing. Values; any thread.

import Commands
import NIOCore
import RingstoreAPI

/// A call on one key, without the key: a command, and its words behind the key.
package struct KeyCall: Sendable, Hashable {
  package let model: CommandModel
  package private(set) var words: [[UInt8]]
  /// Where in its object its key is, and the further keys that its words name.
  private(set) var place = 0
  private(set) var others: [Int] = []

  init(_ model: CommandModel, _ words: [[UInt8]] = []) {
    self.model = model
    self.words = words
  }

  /// The call on the key that has this place.
  ///
  /// - Parameter places: those of the keys that words name.
  func at(_ place: Int, _ places: ([UInt8]) -> Int) -> KeyCall {
    var call = self
    call.place = place
    call.others = otherKeys.map(places)
    return call
  }

  /// The call on the same key with other words.
  func with(_ words: [[UInt8]]) -> KeyCall {
    var call = self
    call.words = words
    return call
  }

  /// The keys that its words name.
  var otherKeys: ArraySlice<[UInt8]> {
    if isCall(of: .lMove) { return words.prefix(1) }
    if isCall(of: Command.mSetIfAbsent) {
      return ArraySlice(words.enumerated().filter { $0.offset % 2 == 1 }.map(\.element))
    }
    return model.waits ? words.dropLast() : []
  }

  /// The places of the lists from which it takes or waits for a value.
  var lists: [Int] { isCall(of: .lMove) ? [place] : [place] + others }

  var lastPlace: Int { others.reduce(place) { max($0, $1) } }

  /// Whether it makes one before it, which nothing tells of, a call for nothing.
  func undoes(_ earlier: KeyCall) -> Bool {
    if model === CommandModel.loss { return true }
    return overwrites != .nothing && earlier.others.isEmpty && earlier.place == place
  }

  /// - Precondition: the command has a model.
  package init(_ command: Command, _ words: [[UInt8]] = []) {
    guard let model = CommandModel.of(command) else {
      preconditionFailure("\(command.name) is not modelled")
    }
    self.init(model, words)
  }

  // Calls that words can't say.
  package static let getWithVersion = KeyCall(CommandModel.getWithVersion)

  package static func setIfVersion(_ value: [UInt8], _ version: UInt64) -> KeyCall {
    KeyCall(CommandModel.setIfVersion, [value, CommandModel.word("\(version)")])
  }

  package static func deleteIfVersion(_ version: UInt64) -> KeyCall {
    KeyCall(CommandModel.deleteIfVersion, [CommandModel.word("\(version)")])
  }

  package static func deleteIfValue(_ value: [UInt8]) -> KeyCall {
    KeyCall(CommandModel.deleteIfValue, [value])
  }

  /// A key is removed, whatever it holds, by a call on all keys.
  package static let wipe = KeyCall(CommandModel.wipe)

  /// Not a call of a client: the memory was lost, as when its shard restarts without a log.
  package static let loss = KeyCall(CommandModel.loss)

  /// Nor this: the wall clock was set to a moment.
  package static func clock(_ millis: Int64) -> KeyCall {
    KeyCall(CommandModel.clock, [CommandModel.word("\(millis)")])
  }

  /// Not a call of a client either: the wall clock comes to a moment at which the key may be due.
  static func due(_ millis: Int64) -> KeyCall {
    KeyCall(CommandModel.due, [CommandModel.word("\(millis)")])
  }

  /// What is the same whatever the key held before.
  var overwrites: CommandModel.Overwriting {
    let isConditional = words.dropFirst().contains { CommandModel.conditions.contains($0) }
    return isConditional ? .nothing : model.overwrites
  }

  /// Whether it is a Set that returns what there was before.
  var returnsPrevious: Bool {
    isCall(of: .set) && words.dropFirst().contains(CommandModel.word("GET"))
  }

  /// The whole list.
  static let wholeList = KeyCall(.lRange, [Array("0".utf8), Array("-1".utf8)])

  /// The place of the key that a reply names.
  func place(of key: [UInt8]) -> Int {
    zip(otherKeys, others).first { $0.0 == key }?.1 ?? place
  }

  package func isCall(of command: Command) -> Bool { model.command?.id == command.id }

  /// Whether it may look for a value in turns.
  var searches: Bool {
    isCall(of: .lRem) || isCall(of: .lInsert) || isCall(of: .lPos)
  }

  /// Whether it leaves every state as it is.
  package var isRead: Bool { model.isRead }

  /// Appends the line of the call on `key`. Keys and values of the simulation need no quotes.
  func writeLine(key: [UInt8], into lines: inout ByteBuffer) {
    let name = Array((model.form?.syntax.name ?? "").utf8)
    lines.writeBytes(([name, key] + words).joined(separator: [UInt8(ascii: " ")]))
    lines.writeStaticString("\r\n")
  }

  /// Appends the request of the call on `key`, as the command says it in words.
  package func write(key: [UInt8], into request: inout ByteBuffer) {
    if let message = model.message { return message.write(key, words, &request) }
    guard let form = model.form, let call = form.call else { return }
    do throws(ArgumentError) {
      try CommandWords.withWords([Array(form.syntax.name.utf8), key] + words) {
        (words) throws(ArgumentError) in try call(words, 0).write(into: &request)
      }
    } catch {
      preconditionFailure("\(self) can't be said: \(error)")
    }
  }
}

/// The reply to a call that was executed. Errors that tell of the key's state are replies too.
package enum KeyReply: Sendable, Hashable {
  /// The value, nil if there was none.
  case value([UInt8]?)
  case done
  /// A condition was not met.
  case notDone
  /// Of a Set that returns what there was before: whether it was done, and that.
  case previous(isDone: Bool, [UInt8]?)
  /// The same with the version of what was written or, where nothing was, is there.
  indirect case versioned(KeyReply, UInt64)
  case count(Int64)
  case integer(Int64)
  case type(KeyState.Kind)
  /// A condition was not met; the count, and nothing changed.
  case notInserted(Int)
  /// Where values are, nil if there is no such key.
  case places([Int]?)
  /// A value taken from the list that has this place in its object.
  case popped([UInt8], from: Int)
  /// The elements, nil if there is no such key.
  case elements([[UInt8]]?)
  /// Executed, and refused for what the key held; nothing changed.
  case refused(KeyRefusal)
}

extension KeyReply {
  /// Reads a response, by the form that the command table says it has.
  ///
  /// - Throws: `WireError` if it is no such message.
  package init(_ response: UnsafeRawBufferPointer, to call: KeyCall) throws(WireError) {
    if let message = call.model.message {
      self = try message.read(response)
      return
    }
    switch call.model.form?.reply {
    case .ok where call.returnsPrevious:
      let reply = try V1.Status(response)
      let previous = reply.previous.flatMap { $0.found ? Array($0.value) : nil }
      self = .previous(isDone: reply.ok, previous)
    case .ok, .isDone: self = try V1.Status(response).ok ? .done : .notDone
    case nil, .inspection: self = .done
    case .popped:
      let reply = try V1.Value(response)
      let place = call.place(of: Array(reply.key))
      self = reply.found ? .popped(Array(reply.value), from: place) : .value(nil)
    case .taken where call.model.takesMany: self.init(try V1.ListValues(response))
    case .value, .taken, .element: self.init(try V1.Value(response))
    case .inserted:
      let status = try V1.Status(response)
      self = status.ok ? .count(status.count) : .notInserted(Int(status.count))
    case .positions:
      let reply = try V1.ListPositions(response)
      self = .places(reply.found ? reply.indexes.map { Int($0) } : nil)
    // Lines don't tell an empty part from none.
    case .part: self = .value(Array(try V1.Value(response).value))
    case .removed, .count: self = .count(try V1.Status(response).count)
    case .sum: self = .integer(try V1.IncrByResponse(response).value)
    case .list: self.init(try V1.ListValues(response))
    case .ttl(let form):
      let reply = try V1.TtlResponse(response)
      self = .integer(
        form.number(
          found: reply.found, ttlMillis: reply.ttlMillis, unixMillis: reply.expireAtUnixMillis))
    case .type:
      switch try V1.TypeResponse(response).type {
      case .string: self = .type(.string)
      case .list: self = .type(.list)
      default: self = .type(.absent)
      }
    }
  }

  /// The value that it tells of.
  var value: [UInt8]? {
    switch self {
    case .value(let value): value
    case .popped(let value, _): value
    default: nil
    }
  }

  init(_ reply: V1.Value) {
    self = .value(reply.found ? Array(reply.value) : nil)
  }

  init(_ reply: V1.ListValues) {
    self = .elements(reply.found ? reply.values.map { Array($0) } : nil)
  }
}

package enum KeyRefusal: Sendable, Hashable {
  case wrongType
  case notAnInteger
  case overflow
  case noSuchKey
  case indexOutOfRange
}

/// What is known about a call's execution.
package enum Outcome: Sendable, Hashable {
  /// It happened once, between invocation and return, and this was the reply.
  case ok(KeyReply)
  /// It happened once, between invocation and return; the reply isn't known.
  case executed
  /// An error that promises that nothing happened.
  case notExecuted
  /// It may have happened once, at any time after the invocation, even after the return; or never.
  case unknown
  /// It may have happened once, between invocation and return, or never.
  case perhaps
  /// Without a reply when the recording ended. As little is known as of `unknown`.
  case pending
}

extension KeyCall: CustomStringConvertible {
  package var description: String {
    let at = place > 0 || !others.isEmpty ? " at \(place)" : ""
    guard let command = model.command else {
      let name = model === CommandModel.loss ? "loss" : "wipe"
      let moment = model === CommandModel.clock ? "clock set" : "due"
      return words.isEmpty
        ? name + at : "\(moment)\(at) at \(String(decoding: words[0], as: UTF8.self))"
    }
    let plain = model.waits ? model.form?.syntax.name ?? "" : command.name
    let name = model.message?.name ?? plain
    return ([name + at] + words.map(HistoryOperation.text)).joined(separator: " ")
  }
}
