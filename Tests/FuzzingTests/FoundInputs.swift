// Inputs that broke something once, in hexadecimal digits, each with what it was.

import Testing

struct FoundInputs: Sendable, CustomTestStringConvertible {
  let reader: String
  let story: String
  let digits: String

  var testDescription: String { "\(reader): \(story)" }

  var input: [UInt8] {
    let characters = Array(digits)
    return stride(from: 0, to: characters.count, by: 2).compactMap { place in
      UInt8(String(characters[place...].prefix(2)), radix: 16)
    }
  }

  static let all: [FoundInputs] = [
    FoundInputs(
      reader: "wire", story: "a key of a map's entry with another wire type",
      digits: "1d0a1c10b0afd1e0adecee0110ebc8edddab99f3030a0804000000000000000a00"),
    FoundInputs(
      reader: "lines", story: "two items in the reply to an MGET of one key",
      digits: "05094d4745542061a0620a0a060a040a0010010a0412020803"),
    FoundInputs(
      reader: "handshake", story: "a read of no bytes before the first byte of a handshake",
      digits: "2801001603010000"),
  ]
}
