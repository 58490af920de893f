// A request of each command, made from the command table: with a key and a database where it names
// one. What is missing in it beside those is no matter, as permissions are asked before.

import Commands
import NIOCore
import RingstoreAPI
import Testing

enum Requests {
  static func key(_ key: String, database: UInt32 = 0) -> ByteBuffer {
    written { buffer in
      with(key) { V1.Key(key: $0, database: database).write(into: &buffer) }
    }
  }

  static func set(_ key: String, _ value: String, database: UInt32 = 0) -> ByteBuffer {
    written { buffer in
      with(key) { key in
        with(value) { value in
          V1.KeyValue(key: key, value: value, database: database).write(into: &buffer)
        }
      }
    }
  }

  /// A request of any command on a key of a database.
  ///
  /// - Returns: nil for one that this doesn't know: it is to be added here.
  static func of(_ command: Command, key: String, database: UInt32) -> ByteBuffer? {
    if let fields = command.rpc.keyFields { return onKey(fields, key, database) }
    let item = Requests.key(key, database: database)
    switch command.id {
    case .mGet: return list(V1.MGetRequest.Field.keys, item)
    case .mSet: return list(V1.MSetRequest.Field.items, set(key, "v", database: database))
    case .mDelete:
      return onKey(V1.DeleteRequest.keyFields, key, database).map {
        list(V1.MDeleteRequest.Field.keys, $0)
      }
    case .mExists, .mTouch: return list(V1.ManyKeysRequest.Field.keys, item)
    case .mLRange:
      return onKey(V1.ListRange.keyFields, key, database).map {
        list(V1.MLRangeRequest.Field.ranges, $0)
      }
    case .keys: return written { V1.KeysRequest(database: database).write(into: &$0) }
    case .scan: return written { V1.ScanRequest(database: database).write(into: &$0) }
    case .dbSize: return written { V1.DbSizeRequest(database: database).write(into: &$0) }
    case .randomKey: return written { V1.RandomKeyRequest(database: database).write(into: &$0) }
    case .reset: return written { V1.ResetRequest(database: database).write(into: &$0) }
    case .bigKeys: return written { V1.BigKeysRequest(database: database).write(into: &$0) }
    case .stats, .hotKeys, .describe, .shutdown, .reload, .snapshot, .digest, .backup, .acceptLoss,
      .clients, .killClient, .logLevel, .slowLog, .config, .pipeline:
      return ByteBuffer()
    default: return nil
    }
  }

  /// Whether a command's request says which database it is about.
  static func namesDatabase(_ command: Command) -> Bool {
    switch command.reach {
    case .namedKeys: command.id != .pipeline
    case .allowedKeys: command.id != .hotKeys
    case .wholeDatabases: true
    case .everything, .node: false
    }
  }

  private static func onKey(_ fields: KeyFields, _ key: String, _ database: UInt32) -> ByteBuffer? {
    for number in 1..<16 {
      let request = written { buffer in
        with(key) { buffer.append(BytesField(number), $0) }
        fields.write(database: database, into: &buffer)
      }
      let isFound = request.withUnsafeReadableBytes { bytes in
        guard let found = try? fields.find(in: bytes) else { return false }
        return found.key.elementsEqual(key.utf8) && found.database == database
      }
      if isFound { return request }
    }
    return nil
  }

  private static func list(_ field: BytesField, _ item: ByteBuffer) -> ByteBuffer {
    written { buffer in item.withUnsafeReadableBytes { buffer.append(field, $0) } }
  }

  static func written(_ write: (inout ByteBuffer) -> Void) -> ByteBuffer {
    var buffer = ByteBuffer()
    write(&buffer)
    return buffer
  }

  static func with<Result>(_ text: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    Array(text.utf8).withUnsafeBytes { body($0) }
  }
}
