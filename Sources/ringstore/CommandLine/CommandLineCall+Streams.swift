// Calls whose reply is printed while it arrives, and searches that print how to continue.

import RingstoreClient
import TextForms

extension CommandLineCall {
  static func scan(
    _ search: KeySearch, _ client: RingstoreClient, _ options: RingstoreCallOptions,
    _ printer: Printer
  ) async throws(RingstoreError) -> Ending {
    let scan = client.scan(
      matching: search.pattern, type: search.type, pageSize: search.count,
      resumeToken: search.token, options: options)
    var token = search.token
    var keys = 0
    var bar = printer.progress
    var printed = PrintedStream(printer, name: "keys")
    do throws(RingstoreError) {
      for try await page in scan {
        if !page.keys.isEmpty { bar?.clear() }
        // Where the output has no reader, the rest is not needed.
        guard printed.add(page.keys) else { return .good }
        token = page.resumeToken
        keys += page.keys.count
        bar?.show(slotsDone: page.slotsDone, keys: keys)
      }
    } catch {
      bar?.clear()
      if let ending = printed.breakOff(error, resume: token.isEmpty ? nil : token) {
        return ending
      }
      if !token.isEmpty {
        printer.note("the scan was interrupted; to continue: --resume \(Hexadecimal.text(token))")
      }
      throw error
    }
    bar?.clear()
    printed.finish()
    return .good
  }

  static func listStream(
    _ range: RingstoreListRange, _ client: RingstoreClient, _ options: RingstoreCallOptions,
    _ printer: Printer
  ) async throws(RingstoreError) -> Ending {
    var printed = PrintedStream(printer, name: "values")
    let stream = client.listStream(range.key, range.start, range.stop, options: options)
    do throws(RingstoreError) {
      for try await chunk in stream.chunks {
        guard printed.add(chunk.values) else { return .good }
      }
    } catch {
      if let ending = printed.breakOff(error, resume: nil) { return ending }
      throw error
    }
    printed.finish()
    return .good
  }

  static func keys(
    _ search: KeySearch, _ client: RingstoreClient, _ options: RingstoreCallOptions,
    _ printer: Printer
  ) async throws(RingstoreError) -> Ending {
    let page = try await client.keys(
      matching: search.pattern, limit: search.count, pageToken: search.token, options: options)
    let keys = ShownReply.list(
      page.keys.sorted { $0.lexicographicallyPrecedes($1) }.map { .value($0) })
    let next = page.nextPageToken.isEmpty ? nil : Hexadecimal.text(page.nextPageToken)
    var members = [JSONValue.Member("keys", keys.json)]
    if let next { members.append(.init("token", .string(next))) }
    printer.show(keys, json: .object(members))
    if let next, printer.form != .json { printer.note("there are more keys: --token \(next)") }
    return .good
  }
}
