// Calls whose reply is printed while it comes, and searches that say how to go on.

import RingstoreClient

extension CommandLineCall {
  static func scan(
    _ search: KeySearch, _ client: RingstoreClient, _ options: RingstoreCallOptions,
    _ printer: Printer
  ) async throws(RingstoreError) -> Bool {
    let scan = client.scan(
      matching: search.pattern, type: search.type, pageSize: search.count,
      resumeToken: search.token, options: options)
    var token = search.token
    var isEmpty = true
    do throws(RingstoreError) {
      for try await page in scan {
        isEmpty = isEmpty && page.keys.isEmpty
        // Where nobody reads what is printed, nobody needs the rest.
        guard printer.show(each: page.keys) else { return true }
        token = page.resumeToken
      }
    } catch {
      if !token.isEmpty {
        printer.note("the scan broke off; to go on: --resume \(Hexadecimal.text(token))")
      }
      throw error
    }
    if isEmpty { printer.showNothing() }
    return true
  }

  static func listStream(
    _ range: RingstoreListRange, _ client: RingstoreClient, _ options: RingstoreCallOptions,
    _ printer: Printer
  ) async throws(RingstoreError) -> Bool {
    var isEmpty = true
    let stream = client.listStream(range.key, range.start, range.stop, options: options)
    for try await chunk in stream.chunks {
      isEmpty = isEmpty && chunk.values.isEmpty
      guard printer.show(each: chunk.values) else { return true }
    }
    if isEmpty { printer.showNothing() }
    return true
  }

  static func keys(
    _ search: KeySearch, _ client: RingstoreClient, _ options: RingstoreCallOptions,
    _ printer: Printer
  ) async throws(RingstoreError) -> Bool {
    let page = try await client.keys(
      matching: search.pattern, limit: search.count, pageToken: search.token, options: options)
    let keys = page.keys.sorted { $0.lexicographicallyPrecedes($1) }
    printer.show(.list(keys.map { .value($0) }))
    if !page.nextPageToken.isEmpty {
      printer.note("there are more keys: --token \(Hexadecimal.text(page.nextPageToken))")
    }
    return true
  }
}

/// Where replies go: values to stdout, remarks for a person to stderr.
package struct Printer {
  private let raw: Bool
  private let write: ([UInt8]) -> Bool
  private let remark: (String) -> Void

  /// - Parameters:
  ///   - raw: values as the bytes that they are.
  ///   - write: false where nobody reads any more.
  package init(
    raw: Bool, write: @escaping ([UInt8]) -> Bool, remark: @escaping (String) -> Void
  ) {
    self.raw = raw
    self.write = write
    self.remark = remark
  }

  func show(_ reply: ShownReply) {
    _ = write(reply.bytes(raw: raw))
  }

  /// One value a line. Returns false where nobody reads any more.
  func show(each values: [[UInt8]]) -> Bool {
    guard !values.isEmpty else { return true }
    return write(values.flatMap { ShownReply.value($0).bytes(raw: raw) })
  }

  /// What stands for no values at all; with raw, nothing does.
  func showNothing() {
    if !raw { show(.list([])) }
  }

  func note(_ sentence: String) {
    remark("ringstore cli: \(sentence)")
  }
}
