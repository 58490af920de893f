// The meaning of calls whose replies have versions, and of those that depend on one.
//
// Versions are not the model's to give: it knows of each key which one it has, where a reply has
// told it, or above which it must lie. What is told later has to fit.

import Commands
import NIOCore
import RingstoreAPI

extension CommandModel {
  /// Changes a key as a call does whose reply has a version. Returns whether that is the
  /// right one.
  typealias VersionedMeaning =
    @Sendable (inout KeyState, _ words: [[UInt8]], _ reply: KeyReply, _ version: UInt64) -> Bool

  /// How a call is encoded, and its reply read, that words can't say.
  struct MessageForm: Sendable {
    let name: String
    let write: @Sendable (_ key: [UInt8], _ words: [[UInt8]], inout ByteBuffer) -> Void
    let read: @Sendable (UnsafeRawBufferPointer) throws(WireError) -> KeyReply
  }

  static let getWithVersion = tells(
    .get, on: .string,
    MessageForm(
      name: "Get with version",
      write: { key, _, request in
        key.withUnsafeBytes { V1.Key(key: $0).write(into: &request) }
      },
      read: { response throws(WireError) in
        let reply = try V1.Value(response)
        return .versioned(KeyReply(reply), reply.version)
      })
  ) { state in
    switch state.value {
    case .absent: .value(nil)
    case .string(let value): .value(value)
    case .list: .refused(.wrongType)
    }
  }

  static let inspect = tells(
    .inspect, on: nil,
    MessageForm(
      name: "Inspect",
      write: { key, _, request in
        key.withUnsafeBytes { V1.InspectRequest(key: $0).write(into: &request) }
      },
      read: { response throws(WireError) in
        let reply = try V1.InspectResponse(response)
        let kind: KeyState.Kind =
          switch reply.type {
          case .string: .string
          case .list: .list
          default: .absent
          }
        // One that says that nothing was found, and of which type it is, is no reply.
        guard reply.found == (kind != .absent) else { return .notDone }
        return .versioned(.type(kind), reply.version)
      })
  ) { .type($0.kind) }

  /// Words: the value, and the version that the key must have.
  static let setIfVersion = depends(
    .set, on: .string,
    MessageForm(
      name: "Set if version",
      write: { key, words, request in
        key.withUnsafeBytes { key in
          words[0].withUnsafeBytes { value in
            V1.KeyValue(
              key: key, value: value, condition: .ifVersion, ifVersion: version(words[1])
            ).write(into: &request)
          }
        }
      }, read: readStatus),
    isMet: { $0.mayHave(version: version($1[1])) },
    isUnmet: { version($0[1]) != $1 }
  ) { state, words in
    state.value = .string(words[0])
    state.expire(at: nil)
    state.supersedes(version(words[1]))
  }

  /// Words: the version that the key must have.
  static let deleteIfVersion = depends(
    .delete, on: nil,
    MessageForm(
      name: "Delete if version",
      write: { key, words, request in
        key.withUnsafeBytes {
          V1.DeleteRequest(key: $0, condition: .ifVersion(version(words[0]))).write(into: &request)
        }
      }, read: readStatus),
    isMet: { $0.mayHave(version: version($1[0])) },
    isUnmet: { version($0[0]) != $1 }
  ) { state, words in
    // Where nothing is, nothing is written.
    if state.value == .absent { return }
    state.value = .absent
    state.supersedes(version(words[0]))
  }

  /// Words: the value that the key must have.
  static let deleteIfValue = depends(
    .delete, on: .string,
    MessageForm(
      name: "Delete if value",
      write: { key, words, request in
        key.withUnsafeBytes { key in
          words[0].withUnsafeBytes {
            V1.DeleteRequest(key: key, condition: .ifValue($0)).write(into: &request)
          }
        }
      }, read: readStatus),
    isMet: { $0.value == .string($1[0]) },
    isUnmet: { _, _ in true }
  ) { state, _ in
    state.value = .absent
    state.supersedes(state.version.floor)
  }

  /// Whether it depends on what the model may not know.
  var dependsOnVersion: Bool { self === Self.setIfVersion || self === Self.deleteIfVersion }

  private static func version(_ word: [UInt8]) -> UInt64 {
    UInt64(String(decoding: word, as: UTF8.self)) ?? 0
  }

  @Sendable
  private static func readStatus(
    _ response: UnsafeRawBufferPointer
  ) throws(WireError) -> KeyReply {
    let reply = try V1.Status(response)
    return .versioned(reply.ok ? .done : .notDone, reply.version)
  }

  // MARK: - Made of

  /// A call that reads.
  private static func tells(
    _ command: Command, on kind: KeyState.Kind?, _ message: MessageForm,
    _ expected: @escaping @Sendable (KeyState) -> KeyReply
  ) -> CommandModel {
    CommandModel(
      command, on: kind, message: message,
      versioned: { state, _, told, version in expected(state) == told && state.hasVersion(version)
      },
      joint: { state, call in expected(state[call.place]) })
  }

  /// A call that writes, or changes nothing.
  ///
  /// - Parameters:
  ///   - isMet: whether the key may be as its words ask for.
  ///   - isUnmet: whether it may be otherwise, given the version that it is told to have.
  private static func depends(
    _ command: Command, on kind: KeyState.Kind?, _ message: MessageForm,
    isMet: @escaping @Sendable (KeyState, [[UInt8]]) -> Bool,
    isUnmet: @escaping @Sendable ([[UInt8]], UInt64) -> Bool,
    _ write: @escaping @Sendable (inout KeyState, [[UInt8]]) -> Void
  ) -> CommandModel {
    let needsString = kind == .string && command.id == .delete
    return CommandModel(
      command, on: kind, message: message,
      versioned: { state, words, told, version in
        if needsString, state.kind == .list { return false }
        guard told == .done else {
          guard told == .notDone, isUnmet(words, version), state.hasVersion(version) else {
            return false
          }
          return !(needsString && isMet(state, words))
        }
        guard isMet(state, words) else { return false }
        let wasThere = state.value != .absent
        write(&state, words)
        // Where nothing was there and nothing is, nothing was written.
        guard wasThere || state.value != .absent else { return version == 0 }
        return state.wasWritten(as: version)
      },
      joint: { state, call in
        if needsString, state[call.place].kind == .list { return .refused(.wrongType) }
        guard isMet(state[call.place], call.words) else { return .notDone }
        write(&state[call.place], call.words)
        return .done
      })
  }
}
