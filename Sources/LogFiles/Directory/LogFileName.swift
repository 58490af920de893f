// What the files of a log's directory are called. Pure.
//
//   LOCK              held by the process that uses the directory
//   log-<20 digits>   a segment of the log, by the position of its first batch
//   pass-<20 digits>  a pass, by the position at which it begins; .part behind it while it is
//                     written
//   spare             a segment to come
//   reserve           a small one for the day on which the disk is full
//   cut-<20 digits>-<name>  a segment or a pass that a cut at that position has laid aside; .2 and
//                     so on behind it where there was one of that name

package import Log

package enum LogFileName: Hashable, Sendable {
  case lock
  case segment(LogPosition)
  case pass(LogPosition)
  case unfinishedPass(LogPosition)
  case spare
  case reserve
  indirect case aside(at: LogPosition, LogFileName, number: Int)

  private static let digits = 20
  private static let segmentPrefix = "log-"
  private static let passPrefix = "pass-"
  private static let unfinishedSuffix = ".part"
  private static let asidePrefix = "cut-"
  /// How many files of one name cuts at one position can lay aside.
  static let asideMax = 999

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
      } else if let aside = Self.aside(name) {
        self = aside
      } else {
        return nil
      }
    }
  }

  private static func aside(_ name: String) -> LogFileName? {
    let head = asidePrefix.utf8.count + digits
    guard name.utf8.count > head,
      let position = position(in: prefix(name, head), behind: asidePrefix)
    else { return nil }
    let rest = String(decoding: name.utf8.dropFirst(head), as: UTF8.self)
    guard rest.hasPrefix("-") else { return nil }
    let parts = rest.dropFirst().split(separator: ".", omittingEmptySubsequences: false)
    let number = parts.count == 1 ? 1 : Int(parts[1]) ?? 0
    guard parts.count <= 2, parts.count == 1 || (2...asideMax).contains(number),
      let inner = LogFileName(String(parts[0]))
    else { return nil }
    switch inner {
    case .segment, .pass: break
    case .lock, .unfinishedPass, .spare, .reserve, .aside: return nil
    }
    let made = LogFileName.aside(at: position, inner, number: number)
    return made.text == name ? made : nil
  }

  private static func prefix(_ name: String, _ bytes: Int) -> String {
    String(decoding: name.utf8.prefix(bytes), as: UTF8.self)
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
    case .aside(let position, let inner, let number):
      Self.asidePrefix + Self.padded(position) + "-" + inner.text
        + (number > 1 ? ".\(number)" : "")
    }
  }

  private static func padded(_ position: LogPosition) -> String {
    let number = String(position)
    return String(repeating: "0", count: digits - number.count) + number
  }
}
