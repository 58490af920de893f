// The result of a change of the shards, for people and as JSON. Pure, any thread.

import RingstoreClient
import TextForms

package enum ReloadText {
  package static func text(_ reload: RingstoreReload, isPlan: Bool) -> String {
    var lines: [String] = []
    func name(_ ids: [String], _ what: String) {
      if !ids.isEmpty { lines.append(VisibleText.line("\(what): \(ids.joined(separator: ", "))")) }
    }
    name(reload.added, "added")
    name(reload.dropped, "dropped")
    name(reload.readdressed, "other address")
    if !reload.moves.isEmpty {
      let rows = reload.moves.map { [$0.from, $0.to, "\($0.slots)"] }
      lines += ClusterTable.aligned([["from", "to", "slots"]] + rows)
    }
    if lines.isEmpty { lines.append("nothing changes") }
    lines.append("slot map: epoch \(reload.epoch)")
    if let obstacle = reload.obstacle {
      lines.append(VisibleText.line("this would be refused: \(obstacle)"))
    } else if isPlan {
      lines.append("nothing prevents the change")
    }
    return lines.joined(separator: "\n")
  }

  package static func json(_ reload: RingstoreReload) -> JSONValue {
    func list(_ ids: [String]) -> JSONValue { .array(ids.map { .string($0) }) }
    return .object([
      .init("epoch", .integer(Int64(clamping: reload.epoch))), .init("added", list(reload.added)),
      .init("dropped", list(reload.dropped)), .init("readdressed", list(reload.readdressed)),
      .init(
        "moves",
        .array(
          reload.moves.map {
            .object([
              .init("from", .string($0.from)), .init("to", .string($0.to)),
              .init("slots", .integer(Int64($0.slots))),
            ])
          })),
      .init("obstacle", reload.obstacle.map { .string($0) } ?? .null),
    ])
  }
}
