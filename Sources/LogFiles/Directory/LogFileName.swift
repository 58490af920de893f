// What the files of a log's directory are called. Pure.
//
//   LOCK              held by the process that uses the directory
//   log-<20 digits>   a segment of the log, by the position of its first batch
//   pass-<20 digits>  a pass, by the position at which it begins; .part behind it while it is
//   written spare             a segment to come
//   reserve           a small one for the day on which the disk is full

package import Log

package enum LogFileName: Hashable, Sendable {
  case lock
  case segment(LogPosition)
  case pass(LogPosition)
  case unfinishedPass(LogPosition)
  case spare
  case reserve

  private static let digits = 20
  private static let segmentPrefix = "log-"
  private static let passPrefix = "pass-"
  private static let unfinishedSuffix = ".part"

  /// - Returns: nil for a name that none of our files has.
  package init?(_ name: String) {
    switch name {
    case "LOCK": self = .lock
    case "spare": self = .spare
    case "reserve": self = .reserve
    default:
      if let position = Self.position(in: name, behind: Self.segmentPrefix) {
        self = .segment(position)
      } else if let position = Self.position(in: name, behind: Self.passPrefix) {
        self = .pass(position)
      } else if name.hasSuffix(Self.unfinishedSuffix),
        let position = Self.position(
          in: String(name.dropLast(Self.unfinishedSuffix.count)), behind: Self.passPrefix)
      {
        self = .unfinishedPass(position)
      } else {
        return nil
      }
    }
  }

  private static func position(in name: String, behind prefix: String) -> LogPosition? {
    guard name.hasPrefix(prefix) else { return nil }
    let number = name.utf8.dropFirst(prefix.utf8.count)
    guard number.count == digits, number.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
    return LogPosition(String(Substring(number)))
  }

  package var text: String {
    switch self {
    case .lock: "LOCK"
    case .spare: "spare"
    case .reserve: "reserve"
    case .segment(let position): Self.segmentPrefix + Self.padded(position)
    case .pass(let position): Self.passPrefix + Self.padded(position)
    case .unfinishedPass(let position):
      Self.passPrefix + Self.padded(position) + Self.unfinishedSuffix
    }
  }

  private static func padded(_ position: LogPosition) -> String {
    let number = String(position)
    return String(repeating: "0", count: digits - number.count) + number
  }
}
