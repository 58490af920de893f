// The settings of a node, as a table for people and as JSON for programs: the same value as on
// /config of the admin port. Pure, any thread.

import RingstoreClient
import TextForms

package enum SettingsText {
  package static func text(_ settings: RingstoreSettings) -> String {
    var rows = [["SETTING", "VALUE", "FROM"]]
    for setting in settings.settings {
      let origin = setting.origin.isEmpty ? setting.source : setting.origin
      rows.append([setting.name, text(setting.value), origin])
    }
    return ClusterTable.aligned(rows).joined(separator: "\n")
  }

  private static func text(_ value: RingstoreSetting.Value?) -> String {
    switch value {
    case .number(let number): "\(number)"
    case .flag(let flag): flag ? "true" : "false"
    case .text(let text): text
    case .list(let items): items.joined(separator: " ")
    case nil: ""
    }
  }

  package static func json(_ settings: RingstoreSettings) -> JSONValue {
    let members = settings.settings.map { setting in
      JSONValue.Member(
        setting.name,
        .object([
          .init("value", json(setting.value)), .init("source", .string(setting.source)),
          .init("from", setting.origin.isEmpty ? .null : .string(setting.origin)),
        ]))
    }
    return .object([
      .init("kind", .string(settings.kind)), .init("settings", .object(members)),
    ])
  }

  private static func json(_ value: RingstoreSetting.Value?) -> JSONValue {
    switch value {
    case .number(let number): .integer(number)
    case .flag(let flag): .bool(flag)
    case .text(let text): .string(text)
    case .list(let items): .array(items.map { .string($0) })
    case nil: .null
    }
  }
}
