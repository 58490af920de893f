// The manifest's text: it says all, is read as it was written, and its sample in docs/FORMATS.md is
// one.

import Foundation
import Log
import Testing

@testable import Backups

@Suite struct ManifestTests {
  private var sample: BackupManifest {
    var manifest = BackupManifest(version: "0.1.0", cluster: "live", databases: 16)
    manifest.shards = [
      .init(
        id: "shard one", seedDigest: 0xaaaa_aaaa_9999_9999, takenUnixMillis: 1_764_396_000_123,
        pass: .init(name: "shard-0000.pass", size: 8_192, checksum: 0x0123_abcd),
        log: .init(name: "shard-0000.log", size: 4_096, checksum: 0xff00_0001))
    ]
    manifest.keys = [0: 2, 3: 1]
    manifest.slots = [
      7: SlotContents(keys: 3, expiringKeys: 1, digest: 0xfedc_ba98_7654_3210, lastingDigest: 5)
    ]
    return manifest
  }

  @Test func itIsReadAsItWasWritten() throws {
    #expect(try BackupManifest(decoding: sample.encode()) == sample)
    #expect(sample.totalBytes == 12_288 && sample.totalKeys == 3)
  }

  @Test func theSampleOfThePageIsOne() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
    let page = try String(contentsOf: root.appending(path: "docs/FORMATS.md"), encoding: .utf8)
    #expect(page.contains("```text\n" + String(decoding: sample.encode(), as: UTF8.self) + "```"))
  }

  @Test func whatIsNoManifestIsDistinguishedFromOneThatIsDamagedOrNewer() throws {
    func reason(_ text: String) -> BackupFault.Reason? {
      do throws(BackupFault.Reason) {
        _ = try BackupManifest(decoding: Array(text.utf8))
        return nil
      } catch {
        return error
      }
    }
    #expect(reason("") == .noManifest && reason("{}") == .noManifest)
    #expect(reason("ringstore backup 2\nmore\n") == .newerFormat)
    #expect(reason("ringstore backup 1\n") == .damaged)
    #expect(reason("ringstore backup 1\nchecksum 00000000\n") == .damaged)
  }

  /// Lines that have the right checksum and say what can't be.
  @Test(arguments: [
    "pass 1 00000000 shard-0000.pass", "slot 16384 1 1 \(zeros) \(zeros)", "database 0 -1",
    "slot 1 1 1 0 0", "shard x", "nonsense 1", "databases 0",
    "shard \(zeros) 1 a\npass 1 00000000 shard-/etc/passwd", "shard \(zeros) 1 a",
  ])
  func impossibleLinesAreRefused(line: String) throws {
    var text = Array("ringstore backup 1\ndatabases 1\n\(line)\n".utf8)
    let checksum = text.withUnsafeBytes { Checksum.extend(0, $0) }
    let digits = String(checksum, radix: 16)
    text += Array("checksum \(String(repeating: "0", count: 8 - digits.count))\(digits)\n".utf8)
    #expect(throws: BackupFault.Reason.damaged) { try BackupManifest(decoding: text) }
  }

  static let zeros = String(repeating: "0", count: 16)
}
