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
  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count > 2, let named = FuzzReader.all.first(where: { $0.name == arguments[1] })
    else {
      print("usage: Fuzz lines|wire|frames|log|replay CORPUS [LIBFUZZER-OPTION...]")
      exit(2)
    }
    reader = named
    try writeSeeds(into: URL(fileURLWithPath: arguments[2]))
    exit(run([arguments[0]] + arguments.dropFirst(2)))
  }

  private static func writeSeeds(into folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (number, seed) in reader.seeds.enumerated() {
      try Data(seed).write(to: folder.appendingPathComponent("seed-\(number)"))
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
