// Runs one of the readers under libFuzzer, which tries inputs that it makes up, and keeps those
// that led to new code. Linked with `-sanitize=fuzzer` only: see deploy/fuzz.
//
//   Fuzz READER CORPUS [LIBFUZZER-OPTION...]     CORPUS: a folder

import Foundation
import FuzzReaders

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ argc: UnsafeMutablePointer<Int32>,
  _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

/// Set once, before libFuzzer begins; its callback can carry no context.
nonisolated(unsafe) private var reader = FuzzReader.lines

@main
enum Fuzz {
  /// Names the reader to programs that this one starts.
  private static let variable = "RINGSTORE_FUZZ_READER"

  static func main() throws {
    let arguments = CommandLine.arguments
    // When it merges, libFuzzer starts the program again, with options of its own alone.
    let ofParent = ProcessInfo.processInfo.environment[variable]
    if let ofParent, let named = FuzzReader.all.first(where: { $0.name == ofParent }) {
      reader = named
      exit(run(arguments))
    }
    guard arguments.count > 2, let named = FuzzReader.all.first(where: { $0.name == arguments[1] })
    else {
      let names = FuzzReader.all.map(\.name).joined(separator: "|")
      print("usage: Fuzz \(names) CORPUS [LIBFUZZER-OPTION...]")
      exit(2)
    }
    reader = named
    setenv(variable, named.name, 1)
    try writeSeeds(into: URL(fileURLWithPath: arguments[2]))
    exit(run([arguments[0]] + arguments.dropFirst(2)))
  }

  private static func writeSeeds(into folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (name, inputs) in [("seed", reader.seeds), ("kept", try KeptInputs.of(reader))] {
      for (number, input) in inputs.enumerated() {
        try Data(input).write(to: folder.appendingPathComponent("\(name)-\(number)"))
      }
    }
  }

  private static func run(_ arguments: [String]) -> Int32 {
    var count = Int32(arguments.count)
    let copies = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(
      capacity: arguments.count + 1)
    for (index, argument) in arguments.enumerated() { copies[index] = strdup(argument) }
    copies[arguments.count] = nil
    var pointer = copies
    return runDriver(&count, &pointer) { start, count in
      do {
        try reader.check(UnsafeRawBufferPointer(start: start, count: count))
      } catch {
        // Stops the run, and libFuzzer keeps the input.
        fatalError("finding: \(error)")
      }
      return 0
    }
  }
}
