// SCAN's arguments, turned into a Keys call with a limit.

import Commands
import NIOCore
import RingstoreAPI

enum LineScan {
  /// Keys of a page without COUNT.
  static let countDefault: Int64 = 100
  static let countMax: Int64 = 10_000

  static func action(
    _ words: CommandWords, _ context: LineContext
  ) throws(LineError) -> LineAction {
    guard let token = LineCursor.token(words[1]) else {
      throw .badArgument("the cursor must be 0 or one that SCAN has returned", words[1])
    }
    var glob: Int?
    var count = countDefault
    var type = V1.ValueType.none
    for index in stride(from: 2, to: words.count, by: 2) {
      guard index + 1 < words.count else { throw Self.usage }
      if words.isWord(index, "MATCH") {
        glob = index + 1
      } else if words.isWord(index, "COUNT") {
        do throws(ArgumentError) {
          count = try words.integer(index + 1, "COUNT")
        } catch {
          throw LineError(error)
        }
        guard (1...countMax).contains(count) else {
          throw .badArgument("COUNT must be from 1 to \(countMax)", words[index + 1])
        }
      } else if words.isWord(index, "TYPE") {
        type = try Self.type(words[index + 1])
      } else {
        throw Self.usage
      }
    }
    let request = LineCommands.written { request in
      token.withUnsafeBytes { token in
        V1.KeysRequest(
          pattern: glob.map { V1.Pattern(kind: .glob(words[$0])) }, database: context.database,
          limit: UInt32(count), pageToken: token
        ).write(into: &request)
      }
    }
    let call = LineCall(command: Command.keys, request: request, form: .page)
    return type == .none ? .call(call) : .scan(call, type: type)
  }

  static let usageText = "SCAN cursor [MATCH glob] [COUNT n] [TYPE string|list]"

  private static var usage: LineError {
    LineError("wrong arguments for SCAN; usage: \(usageText)")
  }

  private static func type(_ word: UnsafeRawBufferPointer) throws(LineError) -> V1.ValueType {
    if word.isWord("string") { return .string }
    if word.isWord("list") { return .list }
    throw .badArgument("TYPE must be string or list", word)
  }
}
