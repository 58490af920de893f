// The program as its users start it: a process with arguments, streams, signals and a status.

import Foundation
import RingstoreClient
import Testing

@Suite(.timeLimit(.minutes(15))) struct ProcessTests {
  /// The executable that was built together with these tests: it lies beside them.
  private static var executable: URL {
    URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "ringstore")
  }

  /// One process, its streams in pipes.
  private final class Child: Sendable {
    private let process: Process
    private let output = Pipe()
    private let errors = Pipe()
    private let ended: AsyncStream<Int32>

    /// All that a child is told of this process's environment. A node under AddressSanitizer would
    /// end with status 1 otherwise: LeakSanitizer can't read how Swift keeps weak references, and
    /// takes a few bytes of theirs for lost (deploy/test switches it off).
    private static let sanitizerOptions = ProcessInfo.processInfo.environment.filter {
      ["ASAN_OPTIONS", "TSAN_OPTIONS"].contains($0.key)
    }

    init(_ arguments: [String], environment: [String: String] = [:]) throws {
      process = Process()
      process.executableURL = ProcessTests.executable
      process.arguments = arguments
      process.environment = environment.merging(Self.sanitizerOptions) { given, _ in given }
      process.standardInput = FileHandle.nullDevice
      process.standardOutput = output
      process.standardError = errors
      let (ended, continuation) = AsyncStream.makeStream(of: Int32.self)
      self.ended = ended
      process.terminationHandler = { process in
        continuation.yield(process.terminationStatus)
        continuation.finish()
      }
      try process.run()
    }

    /// The first line on stdout, as soon as it comes; what came before stdout closed if none does.
    func firstLine() async throws -> String {
      var line: [UInt8] = []
      while let byte = try output.fileHandleForReading.read(upToCount: 1)?.first {
        if byte == UInt8(ascii: "\n") { break }
        line.append(byte)
      }
      return String(decoding: line, as: UTF8.self)
    }

    func terminate() { process.terminate() }

    /// Waits for the end: status and both streams.
    func end() async throws -> (status: Int32, output: String, errors: String) {
      let output = try output.fileHandleForReading.readToEnd() ?? Data()
      let errors = try errors.fileHandleForReading.readToEnd() ?? Data()
      var statuses = ended.makeAsyncIterator()
      return (
        await statuses.next() ?? -1, String(decoding: output, as: UTF8.self),
        String(decoding: errors, as: UTF8.self)
      )
    }
  }

  private func run(
    _ arguments: String..., environment: [String: String] = [:]
  ) async throws -> (status: Int32, output: String, errors: String) {
    try await Child(arguments, environment: environment).end()
  }

  /// Other nodes on this machine may have the usual port of the line protocol.
  private static let noLines = ["--line-port", "off"]

  private static func port(_ line: String) -> Int? {
    line.hasPrefix("Server started on port ") ? Int(line.split(separator: " ").last ?? "") : nil
  }

  @Test func aNodeSaysItsPortServesAndLeavesWithStatusZero() async throws {
    let node = try Child(["local", "--shards", "2", "--port", "0"] + Self.noLines)
    let port = try #require(Self.port(try await node.firstLine()))
    let server = "127.0.0.1:\(port)"
    let stored = try await run("cli", "--server", server, "SET", "k", "v")
    #expect(stored.output == "OK\n")
    #expect(stored.status == 0)
    let read = try await run("cli", "--server", server, "GET", "k")
    #expect(read.output == "\"v\"\n")
    let failed = try await run("cli", "--server", server, "LPOP", "k")
    #expect(failed.status == 1)
    #expect(failed.output.hasPrefix("(error) WRONG_TYPE "))
    let taken = try await run("shard", "--id", "a", "--port", "\(port)")
    #expect(taken.status == 1)
    #expect(
      taken.errors
        == "ringstore shard: port \(port) of 127.0.0.1 is in use by another program.\n")
    #expect(taken.output.isEmpty)
    node.terminate()
    let end = try await node.end()
    #expect(end.status == 0)
    #expect(end.output.isEmpty, "more than one line on stdout: \(end.output)")
    #expect(end.errors.contains("draining signal=SIGTERM"))
  }

  @Test func aShutdownCallEndsEveryNodeOfALocalCluster() async throws {
    let node = try Child(["local", "--shards", "2", "--port", "0"] + Self.noLines)
    let port = try #require(Self.port(try await node.firstLine()))
    let told = try await run("cli", "--server", "127.0.0.1:\(port)", "SHUTDOWN")
    #expect(told.output == "OK\n")
    let end = try await node.end()
    #expect(end.status == 0)
    #expect(end.errors.contains("draining reason=\"shutdown call\""))
  }

  @Test func aShutdownOfTheClusterEndsItsShardsToo() async throws {
    let shard = try Child(["shard", "--id", "a", "--port", "0"] + Self.noLines)
    let address = "127.0.0.1:\(try #require(Self.port(try await shard.firstLine())))"
    let first = try Child(["router", "--port", "0", "--shard", "a=\(address)"] + Self.noLines)
    let firstPort = try #require(Self.port(try await first.firstLine()))
    let alone = try await run("cli", "--server", "127.0.0.1:\(firstPort)", "SHUTDOWN")
    #expect(alone.output == "OK\n")
    #expect(try await first.end().status == 0)
    // The shard is still there for another router, and leaves with that one.
    let second = try Child(["router", "--port", "0", "--shard", "a=\(address)"] + Self.noLines)
    let secondPort = try #require(Self.port(try await second.firstLine()))
    let server = "127.0.0.1:\(secondPort)"
    #expect(try await run("cli", "--server", server, "SET", "k", "v").output == "OK\n")
    let all = try await run("cli", "--server", server, "SHUTDOWN", "CLUSTER")
    #expect(all.output == "OK\n", "\(all)")
    for child in [second, shard] {
      let end = try await child.end()
      #expect(end.status == 0)
      #expect(end.errors.contains("draining reason=\"shutdown call\""))
    }
  }

  @Test func badUsageIsOneSentenceAndStatus64() async throws {
    let cases: [(arguments: [String], sentence: String)] = [
      ([], "Name a subcommand"), (["--frob"], "Unknown option '--frob'"),
      (["shard"], "a shard needs an id"), (["router"], "a router needs its shards"),
      (["shard", "--id", "a", "--port", "x"], "--port must be"),
      (["router", "--shard", "a"], "--shard must be"),
      (["local", "--shards", "0"], "--shards must be"),
      (["shard", "--id", "a", "--config", "/nowhere"], "/nowhere can't be read"),
    ]
    for (arguments, sentence) in cases {
      let end = try await Child(arguments).end()
      #expect(end.status == 64, "\(arguments)")
      #expect(end.errors.contains(sentence), "\(end.errors)")
      #expect(end.output.isEmpty)
    }
  }

  @Test func aHostThatIsNotOursOrUnknownIsAFailedStart() async throws {
    let unknown = try await run(
      "shard", "--id", "a", "--host", "no.such.host.invalid", "--insecure")
    #expect(unknown.status == 1)
    #expect(
      unknown.errors == "ringstore shard: the host name 'no.such.host.invalid' can't be resolved.\n"
    )
  }

  @Test func theCommandLineFailsWithStatusOne() async throws {
    let unreachable = try await run("cli", "--server", "127.0.0.1:1", "GET", "k")
    #expect(unreachable.status == 1)
    #expect(unreachable.output.isEmpty)
    #expect(unreachable.errors.hasPrefix("Could not connect to ringstore at 127.0.0.1:1: "))
    for words in [
      ["FROB"], ["GET"], ["--max-message-bytes", "1", "GET", "k"], ["--raw", "--json", "GET", "k"],
    ] {
      let end = try await Child(["cli"] + words).end()
      #expect(end.status == 1, "\(words)")
      #expect(!end.errors.isEmpty)
    }
  }

  @Test func noCommandsOnStandardInputAreNoFailure() async throws {
    let nothing = try await run("cli", "--server", "127.0.0.1:1")
    #expect(nothing.status == 0)
    #expect(nothing.output.isEmpty)
    #expect(nothing.errors.isEmpty)
  }

  @Test func theVersionAndHelpArePrinted() async throws {
    let version = try await run("--version")
    #expect(version.status == 0)
    #expect(version.output.split(separator: ".").count == 3)
    for subcommand in ["router", "shard", "local", "cli"] {
      let help = try await run(subcommand, "--help")
      #expect(help.status == 0)
      #expect(help.output.contains("USAGE: ringstore \(subcommand)"))
    }
  }
}
