// A token that was just made, as it is shown: the one time that it is. A value.

import TextForms
import Users

struct NewToken {
  private let token: String
  private let line: String

  init(_ token: String) {
    self.token = token
    line = "token sha256:\(TokenDigest(of: token).hexadecimal)"
  }

  /// Two lines: the token for its user, and its line for the users file.
  var text: String { "\(token)\n\(line)" }

  var json: JSONValue {
    .object([.init("token", .string(token)), .init("users_file_line", .string(line))])
  }
}
