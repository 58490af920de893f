// Log lines for people and programs alike, one event a line, on stderr:
//
//   line  = time " " level " " label " " message *( " " key "=" value )
//   time  = UTC with milliseconds: 2026-11-21T10:00:00.123Z
//   value = as it is, or in double quotes with \ escapes where it has blanks, quotes or controls
//
// Keys are sorted, so that equal events give equal lines. Usable from every thread.

import Glibc
import Logging

package struct StructuredLogHandler: LogHandler {
  package var metadata: Logger.Metadata = [:]
  package var metadataProvider: Logger.MetadataProvider?
  /// Of this logger alone; nil: that of the process, which changes.
  private var ownLevel: Logger.Level?
  private let label: String
  private let level: LogLevelInForce
  private let sink: LogSink
  private let isComplete: Bool

  init(label: String, level: LogLevelInForce, sink: LogSink, isComplete: Bool = false) {
    self.label = label
    self.level = level
    self.sink = sink
    self.isComplete = isComplete
  }

  package var logLevel: Logger.Level {
    get { ownLevel ?? level.current }
    set { ownLevel = newValue }
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    var fields = metadata
    if let provided = metadataProvider?.get() { fields.merge(provided) { $1 } }
    if let given = event.metadata { fields.merge(given) { $1 } }
    if let error = event.error { fields["error"] = "\(error)" }
    sink.log(
      level: event.level, label: label, message: "\(event.message)", metadata: fields,
      isComplete: isComplete)
  }
}

package enum LogLine {
  package static func format(
    time: String, level: Logger.Level, label: String, message: String, metadata: Logger.Metadata
  ) -> String {
    var line = "\(time) \(level) \(label) \(escaped(message))"
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      line += " \(key)=\(quoted("\(value)"))"
    }
    return line + "\n"
  }

  /// A value as written after `=`.
  static func quoted(_ value: String) -> String {
    let isPlain = value.unicodeScalars.allSatisfy { $0 > " " && $0 != "\"" && !isHidden($0) }
    if isPlain, !value.isEmpty { return value }
    return "\"\(escaped(value, quotes: true))\""
  }

  /// Whether a character is not shown, and may end a line, move the cursor or turn what follows
  /// around: controls (C0, C1), line and paragraph separators, formats such as overrides of
  /// direction.
  private static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: true
    default: false
    }
  }

  /// No text of an event may end its line.
  private static func escaped(_ text: String, quotes: Bool = false) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "\"" where quotes: result += "\\\""
      case "\\" where quotes: result += "\\\\"
      case "\0"..<" ", "\u{7f}":
        let hex = String(scalar.value, radix: 16)
        result += hex.count == 1 ? "\\x0\(hex)" : "\\x\(hex)"
      case _ where isHidden(scalar): result += "\\u{\(String(scalar.value, radix: 16))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// The wall clock's time.
  static func now() -> String {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return timestamp(seconds: time.tv_sec, milliseconds: time.tv_nsec / 1_000_000)
  }

  package static func timestamp(seconds: Int, milliseconds: Int) -> String {
    var seconds = time_t(seconds)
    var parts = tm()
    gmtime_r(&seconds, &parts)
    let date =
      "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))-"
      + padded(Int(parts.tm_mday), 2)
    let clock =
      "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):"
      + padded(Int(parts.tm_sec), 2)
    return "\(date)T\(clock).\(padded(milliseconds, 3))Z"
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(width - digits.count, 0)) + digits
  }
}
