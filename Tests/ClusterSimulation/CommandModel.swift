// What the commands on one key mean: the sequential specification against which histories are
// checked. It is written for plainness and shares nothing with the engine. This is all that the
// simulation has to be told of a command; how it is said, encoded, routed and answered it reads in
// the command table.
//
// Immutable, and shared by all threads. The commands themselves are in CommandModel+Commands.swift.

import Commands
import RingstoreAPI

package final class CommandModel: Sendable {
  /// Changes a key as a call does that has these words behind the key, and returns its reply.
  package typealias Meaning = @Sendable (inout KeyState, _ words: [[UInt8]]) -> KeyReply

  /// What is the same whatever the key held before. It spares the checker orders that lead nowhere.
  enum Overwriting { case nothing, state, stateAndReply }

  /// Nil for what is no client's call.
  package let command: Command?
  /// What keys hold that clients use the command on; nil: anything.
  let kind: KeyState.Kind?
  let overwrites: Overwriting
  /// A reply that shows that nothing was changed, beside refusals.
  let idleReply: KeyReply?
  let meaning: Meaning

  init(
    _ command: Command?, on kind: KeyState.Kind?, overwrites: Overwriting = .nothing,
    idleReply: KeyReply? = nil, _ meaning: @escaping Meaning
  ) {
    self.command = command
    self.kind = kind
    self.overwrites = overwrites
    self.idleReply = idleReply
    self.meaning = meaning
  }

  /// How the command is said.
  var form: CommandForm? { command?.forms.first }

  /// Whether it leaves every state as it is.
  package var isRead: Bool { command?.access == .read }

  /// Whether it replies with what it takes away as a list.
  var takesMany: Bool { command?.rpc.reply is V1.ListValues.Type && !isRead }

  package static func of(_ command: Command) -> CommandModel? { byID[command.id] }

  private static let byID = Dictionary(
    all.compactMap { model in model.command.map { ($0.id, model) } }, uniquingKeysWith: { $1 })

  /// The key's memory was lost.
  static let wipe = CommandModel(nil, on: nil, overwrites: .stateAndReply) { state, _ in
    state = .absent
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
    _ command: Command, _ meaning: @escaping @Sendable (inout [UInt8]?, [[UInt8]]) -> KeyReply
  ) -> CommandModel {
    CommandModel(command, on: .string) { state, words in
      var value: [UInt8]?
      switch state {
      case .list: return .refused(.wrongType)
      case .absent: break
      case .string(let held): value = held
      }
      let reply = meaning(&value, words)
      state = value.map(KeyState.string) ?? .absent
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
      switch state {
      case .string: return .refused(.wrongType)
      case .absent: break
      case .list(let held): list = held
      }
      let reply = meaning(&list, words)
      state = list.isEmpty ? .absent : .list(list)
      return reply
    }
  }
}
