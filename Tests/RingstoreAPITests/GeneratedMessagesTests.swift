// The committed code is what the .proto files say. Needs protoc, its plugin and Python's protobuf,
// which only those who change the contract have to install; without them the test says that it was
// skipped.

import Foundation
import Testing

@Suite struct GeneratedMessagesTests {
  private static func run(_ arguments: String...) throws -> (status: Int32, output: String) {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = packageRoot.appending(path: "deploy/generate")
    process.arguments = arguments
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
  }

  /// What the check found; asked once, since finding out whether it can run is running it.
  private static let check = Result { try run("--check") }

  private static var canRun: Bool {
    (try? check.get().status) != 3
  }

  @Test(
    .enabled(
      if: canRun, "a tool is missing; deploy/generate says which there are and how to get them"))
  func theCommittedCodeIsWhatTheProtoFilesSay() throws {
    let check = try Self.check.get()
    #expect(check.status == 0, "\(check.output)")
  }

  @Test func theScriptRefusesWhatItDoesNotKnow() throws {
    #expect(try Self.run("--chekc").status == 2)
  }
}
