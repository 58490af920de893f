// Reading small files with a bound, and noticing that they have changed.

import Foundation
import SmallFiles
import Testing

@Suite struct SmallFilesTests {
  private let folder = FileManager.default.temporaryDirectory
    .appending(path: "small-files-\(UUID().uuidString)")

  init() throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  private func path(_ name: String) -> String { folder.appending(path: name).path }

  private func put(_ text: String, _ name: String) throws {
    try Data(text.utf8).write(to: folder.appending(path: name), options: .atomic)
  }

  /// What is read, or why nothing is.
  private func read(_ path: String, bytesMax: Int) -> String {
    do throws(SmallFile.Failure) {
      return String(decoding: try SmallFile.read(path, bytesMax: bytesMax), as: UTF8.self)
    } catch {
      return error.reason
    }
  }

  @Test(arguments: [5, 6, 1 << 20])
  func aFileWithinTheBoundIsReadWhole(_ bytesMax: Int) throws {
    try put("hello", "a")
    #expect(read(path("a"), bytesMax: bytesMax) == "hello")
    try put("", "empty")
    #expect(read(path("empty"), bytesMax: 0) == "")
  }

  @Test func aLongerOneIsNotRead() throws {
    try put("hello", "a")
    #expect(read(path("a"), bytesMax: 4) == "it has more than 4 bytes")
  }

  @Test func whatIsNoFileIsNotReadAndHoldsNothingUp() throws {
    #expect(read(path("none"), bytesMax: 9) == "No such file or directory")
    #expect(read(folder.path, bytesMax: 1 << 20) == "it is not a file")
    #expect(read("/dev/zero", bytesMax: 9) == "it is not a file")
    try #require(mkfifo(path("pipe"), 0o600) == 0)
    #expect(read(path("pipe"), bytesMax: 9) == "it is not a file")
  }

  @Test func aFileThatSaysItIsEmptyIsReadToItsEnd() {
    // The system makes its contents as they are read.
    #expect(read("/proc/self/stat", bytesMax: 1 << 16).contains("("))
    #expect(read("/proc/self/stat", bytesMax: 3) == "it has more than 3 bytes")
  }

  @Test func aChangeIsReportedOnceWhenFilesAreAtRestIfThatIsRequested() throws {
    try put("1", "a")
    try put("2", "b")
    var plain = WatchedFiles([path("a")])
    var resting = WatchedFiles([path("a"), path("b")], waitsForRest: true)
    #expect(plain.look() == .unchanged)
    #expect(resting.look() == .unchanged)
    try put("one", "a")
    #expect(plain.look() == .changed)
    #expect(plain.look() == .unchanged)
    #expect(resting.look() == .changing)
    try put("two", "b")
    #expect(resting.look() == .changing)
    #expect(resting.look() == .changed)
    #expect(resting.look() == .unchanged)
  }

  @Test func aFileThatGoesAndOneThatComesHaveChanged() throws {
    try put("1", "a")
    var watched = WatchedFiles([path("a")])
    try FileManager.default.removeItem(atPath: path("a"))
    #expect(watched.look() == .changed)
    #expect(watched.look() == .unchanged)
    try put("1", "a")
    #expect(watched.look() == .changed)
  }
}
