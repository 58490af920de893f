// The settings of a node's process as it was started with them, for people who ask: those of the
// admin port's /config and of the call Config are these. They hold no secret. Values; any thread.

import NIOCore
import RingstoreAPI

package struct NodeSettings: Sendable, Hashable {
  package enum Value: Sendable, Hashable {
    case number(Int64)
    case flag(Bool)
    case text(String)
    case list([String])
  }

  package struct Setting: Sendable, Hashable {
    /// As in a configuration file.
    package let name: String
    /// Nil: the setting has neither a value nor a default.
    package let value: Value?
    /// default, file, environment or flag.
    package let source: String
    /// The flag, the variable, or the name and its file; empty for a default.
    package let origin: String

    package init(name: String, value: Value?, source: String, origin: String) {
      self.name = name
      self.value = value
      self.source = source
      self.origin = origin
    }
  }

  /// Of the process: shard, router or local.
  package let kind: String
  package let settings: [Setting]

  package init(kind: String, _ settings: [Setting]) {
    self.kind = kind
    self.settings = settings
  }

  /// As the reply of Config.
  package var message: ByteBuffer {
    typealias Field = V1.ConfigResponse.Field
    var message = ByteBuffer()
    message.write(Field.kind, kind)
    for setting in settings {
      let entry = message.beginLengthDelimited(Field.settings, sizeHint: 64)
      setting.write(into: &message)
      message.endLengthDelimited(entry)
    }
    return message
  }
}

extension NodeSettings.Setting {
  fileprivate func write(into buffer: inout ByteBuffer) {
    typealias Field = V1.Setting.Field
    buffer.write(Field.name, name)
    switch value {
    case .number(let number): buffer.append(Field.number, number)
    case .flag(let flag): buffer.append(Field.flag, flag)
    case .text(let text): buffer.append(Field.text, text)
    case .list(let items):
      let list = buffer.beginLengthDelimited(Field.list)
      for item in items { buffer.append(V1.SettingList.Field.items, item) }
      buffer.endLengthDelimited(list)
    case nil: break
    }
    buffer.write(Field.source, source)
    buffer.write(Field.from, origin)
  }
}
