// The way into libFuzzer: it runs `test` again and again on input that it makes up, and on what led
// to new code before. Any trap is a finding. The same file in each of these programs, because a
// program of libFuzzer's is all in one module.

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ argc: UnsafeMutablePointer<Int32>,
  _ argv: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

@main
enum LibFuzzer {
  static func main() {
    var argc = CommandLine.argc
    var argv = CommandLine.unsafeArgv
    let status = runDriver(&argc, &argv) { start, count in
      test(UnsafeRawBufferPointer(start: start, count: count))
      return 0
    }
    precondition(status == 0, "libFuzzer ended with status \(status)")
  }
}

/// A contradiction: stops the run, and libFuzzer keeps the input.
func finding(_ text: String) -> Never {
  fatalError("finding: \(text)")
}
