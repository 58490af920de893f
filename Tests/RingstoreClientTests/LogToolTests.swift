// What `ringstore log` shows of the samples in docs/FORMATS.md, as text and as JSON.

import Foundation
import Log
import LogFiles
import Testing
import ringstore

@Suite struct LogToolTests {
  private let path: String
  /// The batch of the segment in it.
  private let batch: [UInt8]

  /// A directory with two of the page's samples in it: the first batch of a log, and a pass.
  init() throws {
    let folder = FileManager.default.temporaryDirectory
      .appending(path: "ringstore-log-tool-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    path = folder.path
    let page = try String(contentsOf: Self.pageURL, encoding: .utf8)
    let dumps = page.components(separatedBy: "```").filter { $0.contains("length of the batch") }
    try #require(dumps.count == 4)
    batch = Self.bytes(dumps[0])
    try write(.log, position: 1_000, named: .segment(1_000), batch)
    try write(.pass, position: 500, named: .pass(500), Self.bytes(dumps[2]))
  }

  private static let pageURL = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "docs/FORMATS.md")

  /// `0000  71 00 00 00      length`, line by line.
  private static func bytes(_ dump: String) -> [UInt8] {
    dump.split(separator: "\n").flatMap { line -> [UInt8] in
      guard UInt(line.prefix(4), radix: 16) != nil else { return [] }
      return line.dropFirst(6).prefix(47).split(separator: " ").compactMap { UInt8($0, radix: 16) }
    }
  }

  private func write(
    _ kind: FileHeader.Kind, position: LogPosition, named name: LogFileName, _ batches: [UInt8],
    newestPass: LogPosition? = nil
  ) throws {
    let header = FileHeader(
      kind: kind, lineage: Lineage(high: 0x1111_1111_2222_2222, low: 0x3333_3333_4444_4444),
      directory: 0x7777_7777_8888_8888, cluster: "live", shard: "s1",
      seedDigest: 0x9999_9999_aaaa_aaaa, life: 0x5555_5555_6666_6666, position: position,
      committed: 900, newestPass: newestPass)
    try Data(header.encode() + batches).write(to: URL(filePath: "\(path)/\(name.text)"))
  }

  private func lines(
    of name: LogFileName, key: String? = nil, database: Int? = nil
  ) throws -> [LogLines.Line] {
    defer { try? FileManager.default.removeItem(atPath: path) }
    let directory = try LogDirectory.inspect(path, over: PosixFiles(), locking: .none)
    let walk = try BatchWalk(file: name, of: directory)
    var shown = LogLines(key: key.map { Array($0.utf8) }, database: database)
    var lines: [LogLines.Line] = []
    while case .batch(let batch, let file) = try walk.next() {
      lines += shown.lines(of: batch, in: file)
    }
    #expect(shown.defect == nil)
    return lines
  }

  @Test func theSampleOfABatchAsText() throws {
    #expect(
      try lines(of: .segment(1_000)).map(\.text) == [
        "log-00000000000000001000  position 1000  offset 4096  length 113  "
          + "life 5555555566666666  epoch 0  committed 1000",
        "  group  slot 7",
        #"    put  database 0  key "k"  version 33  value "hello"  "#
          + "expires at unix millis 1800000000000",
        #"    insert_at_tail  database 0  key "list"  version 34  length before 300  count 2  "#
          + #"values "a" "bc""#,
        "  version_ceiling  ceiling 268435456",
      ])
  }

  @Test func theSampleOfABatchAsJSON() throws {
    let json = try lines(of: .segment(1_000)).map(\.json.text)
    #expect(
      json[0]
        == #"{"batch":"log-00000000000000001000","position":1000,"offset":4096,"length":113,"#
        + #""life":"5555555566666666","epoch":0,"committed":1000}"#)
    #expect(
      json[2]
        == #"{"position":1000,"record":0,"change":"put","database":0,"key":"k","version":33,"#
        + #""value":"hello","expires_at_unix_millis":1800000000000}"#)
    #expect(
      json[4]
        == #"{"position":1000,"record":1,"type":"version_ceiling","ceiling":268435456}"#)
  }

  @Test func theSampleOfAPassAsText() throws {
    let text = try lines(of: .pass(500)).map(\.text)
    #expect(text.count == 10)
    #expect(text[1] == "  pass_begin  begin 500  state version_ceiling")
    #expect(text[3] == "  image  as of 520  slot 0  database 0  hash 0000000000000000")
    #expect(text[4] == "    table  slot 7  database 0  keys 2")
    #expect(text[5] == #"    key  slot 7  database 0  key "n"  version 2  integer -2"#)
    #expect(
      text[6] == #"    key  slot 7  database 0  key "k"  version 1  value "hello"  "#
        + "expires at unix millis 1800000000000")
    #expect(text[7] == "    end  slot 8  database 0  hash 0000000000000000")
    #expect(text.last == "  pass_end  last as of 520  images 1  keys 2")
  }

  @Test func onlyWhatConcernsAKeyOrADatabaseIsShown() throws {
    let all = try LogToolTests()
    #expect(try lines(of: .segment(1_000), key: "list").count == 3)
    #expect(try all.lines(of: .pass(500), key: "n").count == 3)
    #expect(try LogToolTests().lines(of: .segment(1_000), key: "other").isEmpty)
    #expect(try LogToolTests().lines(of: .segment(1_000), database: 1).isEmpty)
  }

  @Test func figuresAreThoseOfTheFiles() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    let directory = try LogDirectory.inspect(path, over: PosixFiles(), locking: .none)
    let text = LogStatText(try LogStatistics(of: directory)).text
    #expect(text.contains("log: 113 B of batches, positions 1000 to 1113, segments: 1"))
    #expect(text.contains("group            1          49"))
    // No segment names the pass, so its keys don't count.
    #expect(text.contains("newest pass: none"))
    #expect(
      text.contains(
        "a start takes about 0.1 s, calculated with 500 ns for each of 0 keys, 1000 ns for each of "
          + "2 changes, and a disk that reads 512 MiB a second"))
  }

  @Test func aStartIsEstimatedByWhatItReads() throws {
    defer { try? FileManager.default.removeItem(atPath: path) }
    try write(.log, position: 1_000, named: .segment(1_000), batch, newestPass: 500)
    let directory = try LogDirectory.inspect(path, over: PosixFiles(), locking: .none)
    let statistics = try LogStatistics(of: directory)
    #expect(LogStatText(statistics).text.contains("for each of 2 keys, 1000 ns for each of 2 "))
    // 2 keys, 2 changes, and the bytes of a pass and of a batch.
    let seconds = 2 * 500e-9 + 2 * 1_000e-9 + Double(280 + 113) / Double(512 << 20)
    #expect(abs(statistics.recoverySeconds - seconds) < 1e-12)
    #expect(statistics.liveRatio == 280.0 / 393.0)
  }
}
