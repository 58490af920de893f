// What can be wrong with the bytes that a client sends, before any command is looked at. Values.

package enum LineFailure: Error, Sendable, Hashable {
  /// There is no number after `*`, or a negative one: the end of the request can't be found.
  case badCount
  case noLines
  case tooManyLines(max: Int)
  case lineTooLong(max: Int)
  case inlineTooLong(max: Int)
  case requestTooLong(max: Int)
  /// The first line after `*N` begins with `$`.
  case reservedLength
  case strayCarriageReturn
  case openQuote
  /// The client closed its side within a request.
  case truncated
  /// A browser or another HTTP client. It gets no reply: if a web page makes a browser send a
  /// request here, its lines must not be executed, and it must not read replies.
  case http

  /// Whether the connection ends. It continues if the end of the bad request is known.
  package var endsConnection: Bool {
    switch self {
    case .noLines, .strayCarriageReturn, .openQuote: false
    default: true
    }
  }

  /// The text after `-` for the client; nil: no reply.
  package var text: String? {
    switch self {
    case .badCount:
      "a request begins with * and the number of its lines, or is one line with a command"
    case .noLines: "a request has at least one line, the command"
    case .tooManyLines(let max): "a request has at most \(max) lines"
    case .lineTooLong(let max): "a line has at most \(max) bytes"
    case .inlineTooLong(let max):
      "a command on one line has at most \(max) bytes; send longer ones as *N and N lines"
    case .requestTooLong(let max): "a request has at most \(max) bytes"
    case .reservedLength: "a command can't begin with $: that form, with lengths, is reserved"
    case .strayCarriageReturn: "a line can't hold a carriage return"
    case .openQuote: "a quote is not closed"
    case .truncated: "the input ended within a request, which was not executed"
    case .http: nil
    }
  }
}
