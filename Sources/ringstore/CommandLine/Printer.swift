// Where the command line's output goes, and in which form. A value of one call.

import RingstoreClient
import TextForms

/// Replies to stdout, remarks for a person to stderr.
package struct Printer {
  package enum Form: Sendable, Hashable {
    /// As redis-cli shows replies in a terminal.
    case text
    /// Values as the bytes that they are.
    case raw
    /// One JSON value a reply, errors included.
    case json
  }

  /// Where the command was read; it decides the form of its error.
  package enum Origin: Sendable, Hashable {
    case arguments
    case prompt
    /// A line of stdin, counted from 1.
    case line(Int)
  }

  let form: Form
  /// The maximum width of our text: a terminal's width, or no limit.
  let columns: Int
  /// The template of a scan's bar; nil: no scan shows one.
  let progress: ProgressBar?
  private let origin: Origin
  private let write: ([UInt8]) -> Bool
  private let remark: (String) -> Void

  /// - Parameters:
  ///   - write: false if the output has no reader any more.
  ///   - remark: gets a sentence without a line end.
  package init(
    _ form: Form, origin: Origin = .arguments, columns: Int = .max, progress: ProgressBar? = nil,
    write: @escaping ([UInt8]) -> Bool, remark: @escaping (String) -> Void
  ) {
    self.form = form
    self.origin = origin
    self.columns = form == .json ? .max : columns
    self.progress = progress
    self.write = write
    self.remark = remark
  }

  /// Returns false if the output has no reader any more.
  @discardableResult
  func show(_ reply: ShownReply) -> Bool { show(reply, json: reply.json) }

  /// A reply with another form in JSON.
  @discardableResult
  func show(_ reply: ShownReply, json: @autoclosure () -> JSONValue) -> Bool {
    switch form {
    case .json: show(fragment: json().text + "\n")
    case .text: show(fragment: VisibleText.lines(reply.line) + "\n")
    case .raw: show(bytes: reply.bytes(raw: true))
    }
  }

  /// A piece of JSON.
  func show(fragment: String) -> Bool { show(bytes: Array(fragment.utf8)) }

  /// In pieces, so that a person can stop a reply that fills the screen for minutes.
  private func show(bytes: [UInt8]) -> Bool {
    guard origin == .prompt else { return write(bytes) }
    for begin in stride(from: 0, to: bytes.count, by: Self.pieceBytes) {
      if begin > 0, Task.isCancelled {
        _ = write([0x0a])
        note("Stopped.")
        return false
      }
      guard write(Array(bytes[begin..<min(begin + Self.pieceBytes, bytes.count)])) else {
        return false
      }
    }
    return true
  }

  private static let pieceBytes = 16 << 10

  func note(_ sentence: String) { remark(place + sentence) }

  /// Tells why a call failed.
  /// - Parameter isEncrypted: whether the client uses TLS.
  package func fail(_ error: RingstoreError, server: HostPort, isEncrypted: Bool = false) {
    if form == .json { return _ = show(.error(error)) }
    if origin == .prompt, error.code == .cancelled {
      return note(
        error.isOutcomeUnknown ? "Stopped; the command may have been executed." : "Stopped.")
    }
    if error.isUnconnected {
      let reason = VisibleText.line(
        ConnectionAdvice.added(to: error.message, isEncrypted: isEncrypted))
      return remark(linePrefix + "Could not connect to ringstore at \(server): \(reason)")
    }
    let advice = ConnectionAdvice.ofToken(error.message)
    guard case .line = origin else {
      _ = show(.error(error))
      if let advice { note(advice) }
      return
    }
    note(ShownReply.error(error).line + (advice.map { " \($0)" } ?? ""))
  }

  /// Prints the error in a command's words.
  package func fail(_ misuse: CommandLineCall.Misuse) {
    if form == .json { return _ = show(fragment: misuse.json.text + "\n") }
    note(origin == .arguments ? misuse.sentence : "(error) \(misuse.sentence)")
  }

  private var place: String { origin == .arguments ? "ringstore cli: " : linePrefix }

  private var linePrefix: String {
    if case .line(let number) = origin { "line \(number): " } else { "" }
  }
}

extension RingstoreError {
  /// Whether it says that no node could be reached, and nothing was done.
  package var isUnconnected: Bool { code == .unavailable && reason == nil && !isOutcomeUnknown }

  /// Whether the connection to the node is gone.
  var isLossOfConnection: Bool { code == .unavailable && reason == nil }
}

/// A reply that is printed while it arrives: values one a line, or one JSON object
///
///     {"keys":["a","b"],"resume":"00ff","error":{...}}
///
/// of which the last two members are there only where it broke off.
struct PrintedStream {
  private let printer: Printer
  private let name: String
  private var count = 0
  private var hasBegun = false

  /// - Parameter name: of the JSON object's array.
  init(_ printer: Printer, name: String) {
    self.printer = printer
    self.name = name
  }

  /// Returns false if the output has no reader any more.
  mutating func add(_ values: [[UInt8]]) -> Bool {
    guard !values.isEmpty else { return true }
    defer { count += values.count }
    guard printer.form == .json else {
      return printer.show(lines: values)
    }
    var text = beginning()
    for (place, value) in values.enumerated() {
      if place > 0 || count > 0 { text += "," }
      JSONValue.bytes(value).write(into: &text)
    }
    return printer.show(fragment: text)
  }

  mutating func finish() {
    switch printer.form {
    case .json: _ = printer.show(fragment: beginning() + "]}\n")
    case .text where count == 0: printer.show(.list([]))
    case .text, .raw: break
    }
  }

  /// Ends a JSON object that broke off; in the other forms the error is printed elsewhere.
  mutating func breakOff(_ error: RingstoreError, resume: [UInt8]?) -> CommandLineCall.Ending? {
    guard printer.form == .json else { return nil }
    var text = beginning() + "]"
    if let resume { text += ",\"resume\":\"\(Hexadecimal.text(resume))\"" }
    text += ",\"error\":\(error.json.text)}\n"
    _ = printer.show(fragment: text)
    return .failedAndTold(error)
  }

  private mutating func beginning() -> String {
    defer { hasBegun = true }
    return hasBegun ? "" : "{\"\(name)\":["
  }
}

extension Printer {
  /// One value a line. Returns false if the output has no reader any more.
  fileprivate func show(lines values: [[UInt8]]) -> Bool {
    show(bytes: values.flatMap { ShownReply.value($0).bytes(raw: form == .raw) })
  }
}
