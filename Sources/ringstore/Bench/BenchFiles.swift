// The files of `ringstore bench`: results that are written and read again, and the picture.

import Glibc
import LoadGenerator

/// Where a result goes.
struct BenchFiles {
  private let json: String?
  private let plot: String?

  /// Checks whether the files can be written: a wrong path is reported before the load, not after
  /// it.
  init(json: String?, plot: String?) throws {
    self.json = json
    self.plot = plot
    for path in [json, plot].compactMap({ $0 }) where path != "-" {
      let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else { throw ConfigurationError(Self.unwritable(path, errno)) }
      close(descriptor)
    }
  }

  /// Whether stdout is for JSON alone.
  var printsJSON: Bool { json == "-" }

  /// Writes the requested files. Tables and JSON on stdout come first, so that nothing is lost if a
  /// file can't be written any more.
  func write(_ report: LoadReport, remarks: [String], title: String) throws {
    if printsJSON {
      Terminal.write(try report.json())
      for remark in remarks { Terminal.complain(remark) }
    } else {
      let lines = remarks.map { $0 + "\n" }.joined()
      Terminal.show(LoadText.text(report) + (lines.isEmpty ? "" : "\n" + lines))
    }
    if let json, !printsJSON { try Self.write(try report.json(), to: json) }
    guard let plot else { return }
    guard let picture = LatencyPlot.svg(report, title: title) else {
      throw Unhealthy("there is no plot: fewer than two runs have results")
    }
    try Self.write(Array(picture.utf8), to: plot)
  }

  /// `--compare A B`.
  static func compare(_ paths: [String]) throws {
    guard paths.count == 2 else {
      throw ConfigurationError("--compare takes two files, A and B.")
    }
    let reports = try paths.map { path in
      do {
        return try LoadReport(json: try read(path))
      } catch let usage as LoadUsage {
        throw ConfigurationError("\(path) \(usage.sentence).")
      }
    }
    Terminal.show(LoadComparison.text(reports[0], reports[1]))
  }

  private static func read(_ path: String) throws -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw ConfigurationError("\(path) can't be read: \(String(cString: strerror(errno))).")
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw ConfigurationError("\(path) can't be read: \(String(cString: strerror(errno))).")
      }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
      guard bytes.count <= LoadReport.fileBytesMax else {
        throw ConfigurationError("\(path) is too large for a result.")
      }
    }
  }

  private static func write(_ bytes: [UInt8], to path: String) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw Unhealthy(unwritable(path, errno)) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        let reason = errno
        close(descriptor)
        throw Unhealthy(unwritable(path, reason))
      }
      rest = rest.dropFirst(count)
    }
    // A full disk may be reported only now.
    guard close(descriptor) == 0 else { throw Unhealthy(unwritable(path, errno)) }
  }

  private static func unwritable(_ path: String, _ number: Int32) -> String {
    "\(path) can't be written: \(String(cString: strerror(number)))."
  }
}
