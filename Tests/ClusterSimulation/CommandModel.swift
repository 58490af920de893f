// What the commands on one key mean: the sequential specification against which histories are
// checked. It is written for plainness and shares nothing with the engine. This is all that the
// simulation needs of a command; its words, its encoding, its way and its reply it reads in
// the command table.
//
// Immutable, and shared by all threads. The commands themselves are in CommandModel+Commands.swift.

import Commands
import RingstoreAPI

package final class CommandModel: Sendable {
  /// Changes a key as a call does that has these words behind the key, and returns its reply.
  package typealias Meaning = @Sendable (inout KeyState, _ words: [[UInt8]]) -> KeyReply
  /// The same of a call that may concern several keys of one object.
  typealias JointMeaning = @Sendable (inout ObjectState, KeyCall) -> KeyReply

  /// What is the same whatever the key held before. It spares the checker orders that lead nowhere.
  enum Overwriting { case nothing, state, stateAndReply }

  /// Nil for what is no client's call.
  package let command: Command?
  /// What keys hold that clients use the command on; nil: anything.
  let kind: KeyState.Kind?
  let overwrites: Overwriting
  /// A reply that shows that nothing was changed, beside refusals.
  let idleReply: KeyReply?
  /// Whether its calls wait where there is nothing to take.
  let waits: Bool
  /// How clients say it where words don't; nil: as the command table has it.
  let message: MessageForm?
  /// What it means, given a reply with a version.
  let versionedMeaning: VersionedMeaning?
  private let meaning: JointMeaning
  /// The form by which clients say it; nil: the first.
  private let formName: String?

  init(
    _ command: Command?, as formName: String? = nil, on kind: KeyState.Kind?,
    overwrites: Overwriting = .nothing, idleReply: KeyReply? = nil, waits: Bool = false,
    message: MessageForm? = nil, versioned: VersionedMeaning? = nil,
    joint meaning: @escaping JointMeaning
  ) {
    self.command = command
    self.formName = formName
    self.kind = kind
    self.overwrites = overwrites
    self.idleReply = idleReply
    self.waits = waits
    self.message = message
    versionedMeaning = versioned
    self.meaning = meaning
  }

  convenience init(
    _ command: Command?, as formName: String? = nil, on kind: KeyState.Kind?,
    overwrites: Overwriting = .nothing, idleReply: KeyReply? = nil, _ meaning: @escaping Meaning
  ) {
    self.init(command, as: formName, on: kind, overwrites: overwrites, idleReply: idleReply) {
      state, call in
      meaning(&state[call.place], call.words)
    }
  }

  /// Changes the keys as the call does, and returns its reply.
  func apply(_ call: KeyCall, to state: inout ObjectState) -> KeyReply {
    guard !isRead else { return meaning(&state, call) }
    let before = state
    let reply = meaning(&state, call)
    let isIdle = if case .refused = reply { true } else { reply == idleReply }
    guard !isIdle, command != nil else { return reply }
    for place in [call.place] + call.others { state[place].wasWritten(from: before[place]) }
    return reply
  }

  /// How the command is said.
  var form: CommandForm? {
    guard let formName else { return command?.forms.first }
    return command?.forms.first { $0.syntax.name == formName }
  }

  /// Whether it leaves every state as it is.
  package var isRead: Bool { command?.access == .read }

  /// Whether it replies with what it takes away as a list.
  var takesMany: Bool { command?.rpc.reply is V1.ListValues.Type && !isRead }

  package static func of(_ command: Command) -> CommandModel? { byID[command.id] }

  private static let byID = Dictionary(
    all.compactMap { model in model.command.map { ($0.id, model) } }, uniquingKeysWith: { $1 })

  /// The key was removed, whatever it held.
  static let wipe = CommandModel(nil, on: nil, overwrites: .stateAndReply) { state, _ in
    state.value = .absent
    return .done
  }

  /// The memory of all keys of the object was lost.
  static let loss = CommandModel(
    nil, on: nil, overwrites: .stateAndReply,
    joint: { state, _ in
      for place in state.places {
        state[place].value = .absent
        // Those of the next process begin at the clock.
        state[place].forgetVersion()
      }
      return .done
    })

  /// The wall clock of the keys' shard was set.
  static let clock = CommandModel(
    nil, on: nil,
    joint: { state, call in
      guard let millis = call.words.first.flatMap(integer) else { return .done }
      for place in state.places { state[place].setClock(millis) }
      return .done
    })

  /// The wall clock comes to a moment at which a call has had the key expire.
  static let due = CommandModel(nil, on: nil) { state, words in
    if let millis = words.first.flatMap(integer) { state.pass(millis) }
    return .done
  }
}

extension CommandModel: Hashable {
  package static func == (one: CommandModel, other: CommandModel) -> Bool { one === other }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(ObjectIdentifier(self))
  }
}

// MARK: - Commands on one type

extension CommandModel {
  /// A command on strings: nil is an absent key.
  static func onStrings(
    _ command: Command, idleReply: KeyReply? = nil,
    _ meaning: @escaping @Sendable (inout [UInt8]?, [[UInt8]]) -> KeyReply
  ) -> CommandModel {
    CommandModel(command, on: .string, idleReply: idleReply) { state, words in
      var value: [UInt8]?
      switch state.value {
      case .list: return .refused(.wrongType)
      case .absent: break
      case .string(let held): value = held
      }
      let reply = meaning(&value, words)
      state.value = value.map(KeyState.Value.string) ?? .absent
      return reply
    }
  }

  /// A command on lists: an empty one is an absent key.
  static func onLists(
    _ command: Command, idleReply: KeyReply? = nil,
    _ meaning: @escaping @Sendable (inout [[UInt8]], [[UInt8]]) -> KeyReply
  ) -> CommandModel {
    CommandModel(command, on: .list, idleReply: idleReply) { state, words in
      var list: [[UInt8]] = []
      switch state.value {
      case .string: return .refused(.wrongType)
      case .absent: break
      case .list(let held): list = held
      }
      let reply = meaning(&list, words)
      state.value = list.isEmpty ? .absent : .list(list)
      return reply
    }
  }
}
