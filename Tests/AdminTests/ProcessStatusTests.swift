// What is read of /proc, as proc(5) has it.

import MetricTypes
import Testing

@testable import Admin

#if canImport(Glibc)
  import Glibc
#endif

@Suite struct ProcessStatusTests {
  @Test func theFieldsBehindANameWithBlanksAndParenthesesAreFound() throws {
    let text =
      "42 (a b) c) R 1 2 3 4 5 6 7 8 9 10 700 50 13 14 15 16 9 18 12345 99000 77 21 22 23\n"
    let status = try #require(ProcessStatus(text))
    #expect(status.cpuTicks == 750)
    #expect(status.threads == 9)
    #expect(status.startTicks == 12_345)
    #expect(status.virtualBytes == 99_000)
    #expect(status.residentPages == 77)
  }

  @Test(arguments: ["", "42", "42 (a", "42 (a) R 1 2 3"])
  func whatIsNoSuchTextIsNone(text: String) {
    #expect(ProcessStatus(text) == nil)
  }

  #if os(Linux)
    @Test func thisProcessHasMemoryThreadsAndDescriptors() throws {
      var metrics = MetricCollection()
      ProcessMetrics.add(to: &metrics)
      for name in [
        "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_threads",
        "process_open_fds", "process_max_fds", "process_start_time_seconds",
      ] {
        #expect(try #require(metrics.value(of: name)) > 0, "\(name)")
      }
    }

    @Test func descriptorsThatAreOpenedAreCounted() throws {
      func count() throws -> Double {
        var metrics = MetricCollection()
        ProcessMetrics.add(to: &metrics)
        return try #require(metrics.value(of: "process_open_fds"))
      }
      let before = try count()
      let opened = (0..<200).map { _ in open("/dev/null", O_RDONLY) }
      defer { for descriptor in opened { close(descriptor) } }
      // Other tests close some of theirs.
      #expect(try count() > before + 100)
    }
  #endif
}
