// The requests of the older services, read by our views and by SwiftProtobuf.

import RingstoreAPI
import SwiftProtobuf

extension TwoReaders {
  private static let text: [MessageSoup.Field] = [.text(1)]

  /// Facts of a message whose strangers may be at any level.
  private static func facts(
    strangers messages: [any Message], _ facts: String...
  ) -> [String] {
    let unknown = messages.contains { !$0.unknownFields.data.isEmpty }
    return facts + ["unknown \(unknown)", "unserved -"]
  }

  package static let older: [TwoReaders] = [
    TwoReaders(
      name: "older Key", schema: text, checksText: true,
      ours: {
        let view = try OlderKeyView($0)
        return facts(view, hex(view.key))
      },
      theirs: { (message: Older_Key) in
        return facts(strangers: [message], hex(message.keyName.utf8))
      }),
    TwoReaders(
      name: "older SetRequest", schema: [.text(1), .varint(2)], checksText: true,
      ours: {
        let view = try OlderSetNumberView($0)
        return facts(view, hex(view.key), "\(view.value)")
      },
      theirs: { (message: Older_SetRequest) in
        return facts(strangers: [message], hex(message.key.utf8), "\(message.value)")
      }),
    TwoReaders(
      name: "older KeyValue", schema: [.message(1, text), .message(2, text)], checksText: true,
      ours: {
        let view = try OlderKeyValueView($0)
        return facts(view, hex(view.key), hex(view.value))
      },
      theirs: { (message: Older_KeyValue) in
        return facts(
          strangers: [message, message.key, message.value], hex(message.key.keyName.utf8),
          hex(message.value.valueName.utf8))
      }),
    TwoReaders(
      name: "older ListRange", schema: [.message(1, text), .varint(2), .varint(3)],
      checksText: true,
      ours: {
        let view = try OlderListRangeView($0)
        return facts(view, hex(view.key), "\(view.start)", "\(view.stop)")
      },
      theirs: { (message: Older_ListRange) in
        return facts(
          strangers: [message, message.key], hex(message.key.keyName.utf8), "\(message.start)",
          "\(message.stop)")
      }),
  ]
}
