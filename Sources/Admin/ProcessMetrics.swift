// The system's data about this process, under the names that Prometheus' client libraries use.
// Reads /proc, so not on an event loop of calls. Any thread.

import MetricTypes

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

package enum ProcessMetrics {
  static let cpu = MetricDefinition(
    .counter, "process_cpu_seconds_total", "CPU time of the process, user and system.")
  static let resident = MetricDefinition(
    .gauge, "process_resident_memory_bytes", "Memory of the process in RAM.")
  static let virtual = MetricDefinition(
    .gauge, "process_virtual_memory_bytes", "Address space of the process.")
  static let start = MetricDefinition(
    .gauge, "process_start_time_seconds", "When the process started, in seconds since 1970.")
  static let openDescriptors = MetricDefinition(
    .gauge, "process_open_fds", "Open file descriptors.")
  static let descriptorsMax = MetricDefinition(
    .gauge, "process_max_fds", "The limit of open file descriptors.")
  static let threads = MetricDefinition(.gauge, "process_threads", "Threads.")

  /// Longest file of /proc that is read.
  private static let fileBytesMax = 64 << 10

  package static func add(to metrics: inout MetricCollection) {
    if let status = file("/proc/self/stat").flatMap(ProcessStatus.init) {
      let ticks = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
      metrics.add(cpu, number: Double(status.cpuTicks) / ticks)
      metrics.add(resident, status.residentPages * max(1, Int(sysconf(Int32(_SC_PAGESIZE)))))
      metrics.add(virtual, status.virtualBytes)
      metrics.add(threads, status.threads)
    }
    if let startSeconds { metrics.add(start, number: startSeconds) }
    if let count = descriptorCount() { metrics.add(openDescriptors, count) }
    var limit = rlimit()
    #if canImport(Glibc)
      let found = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    #else
      let found = getrlimit(RLIMIT_NOFILE, &limit)
    #endif
    if found == 0 { metrics.add(descriptorsMax, limit.rlim_cur) }
  }

  /// Read once: /proc/stat is long where there are many cores.
  private static let startSeconds: Double? = {
    guard let boot = file("/proc/stat").flatMap(bootSeconds),
      let status = file("/proc/self/stat").flatMap(ProcessStatus.init)
    else { return nil }
    return Double(boot) + Double(status.startTicks) / Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
  }()

  private static func bootSeconds(_ text: String) -> Int? {
    let line = text.split(separator: "\n").first { $0.hasPrefix("btime ") }
    return line.flatMap { Int($0.dropFirst("btime ".count)) }
  }

  private static func descriptorCount() -> Int? {
    // Since Linux 6.2 the size of the directory is their number; before that it is 0, and they are
    // counted, which takes long where there are many.
    var status = stat()
    if stat("/proc/self/fd", &status) == 0, status.st_size > 0 { return Int(status.st_size) }
    guard let directory = opendir("/proc/self/fd") else { return nil }
    defer { closedir(directory) }
    var count = 0
    while let entry = readdir(directory) {
      // Neither . nor .., nor the directory itself.
      if entry.pointee.d_name.0 != UInt8(ascii: ".") { count += 1 }
    }
    return max(0, count - 1)
  }

  /// A small file as text; nil if it can't be read.
  private static func file(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 4_096)
    while bytes.count < fileBytesMax {
      let count = read(descriptor, &piece, piece.count)
      guard count > 0 else { break }
      bytes += piece[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// /proc/PID/stat, see proc(5).
struct ProcessStatus: Equatable {
  let cpuTicks: UInt64
  let threads: Int
  let startTicks: UInt64
  let virtualBytes: UInt64
  let residentPages: Int

  init?(_ text: String) {
    // The second field is the name in parentheses, and may contain any characters.
    guard let nameEnd = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: nameEnd)...].split { $0 == " " || $0 == "\n" }
    // Numbered from 3 in proc(5).
    func number(_ field: Int) -> UInt64? {
      fields.indices.contains(field - 3) ? UInt64(fields[field - 3]) : nil
    }
    guard let user = number(14), let system = number(15), let threads = number(20),
      let start = number(22), let virtual = number(23), let resident = number(24)
    else { return nil }
    cpuTicks = user &+ system
    self.threads = Int(clamping: threads)
    startTicks = start
    virtualBytes = virtual
    residentPages = Int(clamping: resident)
  }
}
