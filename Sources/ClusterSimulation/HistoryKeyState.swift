// One key as a sequential object: what each call does to it and answers. This is the meaning
// against which histories are checked; it is written for plainness and shares nothing with the
// engine.
//
// Owns the key's value. A value; any thread.

package enum KeyState: Sendable, Hashable {
  case absent
  case string([UInt8])
  /// Never empty: a list without elements is an absent key.
  case list([[UInt8]])

  /// Executes `call` and returns the answer. Linear in the list's length.
  package mutating func apply(_ call: KeyCall) -> KeyReply {
    switch call {
    case .get, .length, .exists, .type, .range:
      return answer(call)
    case .set(let value):
      self = .string(value)
      return .done
    case .delete:
      let removed: Int64 = self == .absent ? 0 : 1
      self = .absent
      return .count(removed)
    case .wipe:
      self = .absent
      return .done
    case .incrBy(let delta):
      return increment(by: delta)
    case .pushHead(let values):
      return push { $0 = values.reversed() + $0 }
    case .pushTail(let values):
      return push { $0 += values }
    case .popHead:
      return pop { $0.removeFirst() }
    case .popTail:
      return pop { $0.removeLast() }
    }
  }

  private func answer(_ read: KeyCall) -> KeyReply {
    switch (read, self) {
    case (.exists, _): .count(self == .absent ? 0 : 1)
    case (.type, .absent): .type(.none)
    case (.type, .string): .type(.string)
    case (.type, .list): .type(.list)
    case (.get, .absent): .value(nil)
    case (.get, .string(let value)): .value(value)
    case (.length, .absent): .count(0)
    case (.length, .list(let list)): .count(Int64(list.count))
    case (.range, .absent): .elements(nil)
    case (.range(let start, let stop), .list(let list)):
      .elements(Self.slice(list, start, stop))
    default: .refused(.wrongType)
    }
  }

  private static func slice(_ list: [[UInt8]], _ start: Int64, _ stop: Int64) -> [[UInt8]] {
    let count = Int64(list.count)
    let first = max(0, start < 0 ? count + max(start, -count) : start)
    let last = min(count - 1, stop < 0 ? count + max(stop, -count - 1) : stop)
    return first <= last ? Array(list[Int(first)...Int(last)]) : []
  }

  private mutating func increment(by delta: Int64) -> KeyReply {
    var old: Int64 = 0
    switch self {
    case .list: return .refused(.wrongType)
    case .absent: break
    case .string(let bytes):
      // Only the form that the engine itself writes counts as an integer: no `+1`, ` 1` or `01`.
      let text = String(decoding: bytes, as: UTF8.self)
      guard let value = Int64(text), String(value) == text else { return .refused(.notAnInteger) }
      old = value
    }
    let (sum, overflow) = old.addingReportingOverflow(delta)
    guard !overflow else { return .refused(.overflow) }
    self = .string(Array(String(sum).utf8))
    return .integer(sum)
  }

  private mutating func push(_ add: (inout [[UInt8]]) -> Void) -> KeyReply {
    var list: [[UInt8]] = []
    switch self {
    case .string: return .refused(.wrongType)
    case .absent: break
    case .list(let held): list = held
    }
    add(&list)
    self = list.isEmpty ? .absent : .list(list)
    return .count(Int64(list.count))
  }

  private mutating func pop(_ take: (inout [[UInt8]]) -> [UInt8]) -> KeyReply {
    switch self {
    case .string:
      return .refused(.wrongType)
    case .absent:
      return .value(nil)
    case .list(var list):
      let element = take(&list)
      self = list.isEmpty ? .absent : .list(list)
      return .value(element)
    }
  }
}

extension KeyState: CustomStringConvertible {
  package var description: String {
    switch self {
    case .absent: "absent"
    case .string(let value): "the string \(HistoryOperation.text(value))"
    case .list(let list):
      "the list [\(list.prefix(12).map(HistoryOperation.text).joined(separator: ", "))"
        + (list.count > 12 ? ", ... \(list.count) in all]" : "]")
    }
  }
}
