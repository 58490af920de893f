// swift-tools-version: 6.2
// The rooms of Ringstore. A target may depend only on targets above it in this list, so that the
// arrows of docs/ARCHITECTURE.md can't be crossed without a change here that a reviewer sees.
import PackageDescription

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioConcurrency = Target.Dependency.product(
  name: "NIOConcurrencyHelpers", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let configuration = Target.Dependency.product(
  name: "Configuration", package: "swift-configuration")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let histogram = Target.Dependency.product(name: "Histogram", package: "hdrhistogram-swift")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")

let package = Package(
  name: "ringstore",
  // The client is for macOS too. The nodes and the command line are for Linux.
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "ringstore", targets: ["ringstore"]),
    .library(name: "RingstoreClient", targets: ["RingstoreClient"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    // Without its two traits, which we don't use: SwiftPM hands several traits to the compiler in an
    // order of chance, and each other order builds everything again.
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: ["YAML"]),
    // swift-configuration depends on it as well.
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
  ],
  targets: [
    .target(name: "TextForms"),
    .target(name: "SmallFiles"),
    .target(name: "MetricTypes"),
    .systemLibrary(name: "CMalloc"),
    .systemLibrary(name: "CZlib"),
    .systemLibrary(name: "CPrefetch"),
    .target(name: "LargeMemory", dependencies: ["CMalloc"]),
    .systemLibrary(
      name: "CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
    .target(name: "HTTP2", dependencies: ["TextForms", "LargeMemory", "CNGHTTP2", nioCore]),
    .target(name: "StatusCodes"),
    .target(name: "Tracing", dependencies: ["TextForms", "StatusCodes"]),
    .target(
      name: "GRPC",
      dependencies: [
        "TextForms", "MetricTypes", "SmallFiles", "LargeMemory", "HTTP2", "StatusCodes", "CZlib",
        nioCore,
        nioPosix, nioConcurrency, nioSSL, logging,
      ],
      // The static library: the executable then needs no more of a system than before.
      linkerSettings: [
        .linkedLibrary(":libz.a", .when(platforms: [.linux])),
        .linkedLibrary("z", .when(platforms: [.macOS])),
      ]),
    .target(
      name: "RingstoreAPI", dependencies: ["TextForms", "StatusCodes", nioCore],
      exclude: ["Protos"]),
    // The static library, because the shared one hides the hook by which CRE2.cpp bounds a match.
    .target(name: "CRE2", linkerSettings: [.linkedLibrary(":libre2.a")]),
    .target(name: "Patterns", dependencies: ["CRE2"]),
    .target(name: "Placement"),
    .target(name: "Store", dependencies: ["TextForms", "LargeMemory", "CPrefetch"]),
    .target(name: "CCRC32C"),
    .target(name: "Log", dependencies: ["TextForms", "LargeMemory", "CCRC32C", "Store"]),
    .systemLibrary(name: "CWriteback"),
    .target(name: "LogFiles", dependencies: ["MetricTypes", "Log", "CWriteback"]),
    .target(name: "Backups", dependencies: ["TextForms", "Store", "Log", "LogFiles"]),
    .target(name: "Users", dependencies: ["TextForms", "RingstoreAPI", "Patterns", crypto]),
    .target(
      name: "Commands",
      dependencies: [
        "TextForms", "LargeMemory", "RingstoreAPI", "Placement", "Store", "Users", nioCore,
      ]),
    .target(
      name: "NodeCore",
      dependencies: [
        "MetricTypes", "Tracing", "Patterns", "Users", "Commands", "LargeMemory", "RingstoreAPI",
        "Placement", "GRPC", nioCore, "StatusCodes",
      ]),
    .target(
      name: "LineProtocol",
      dependencies: [
        "TextForms", "RingstoreAPI", "Users", "Commands", "NodeCore", "GRPC", nioCore, nioPosix,
        nioConcurrency, logging,
      ]),
    .target(
      name: "LegacyServices",
      dependencies: [
        "TextForms", "RingstoreAPI", "Users", "Commands", "NodeCore", "GRPC", nioCore,
      ]),
    .target(
      name: "StandardServices",
      dependencies: ["TextForms", "RingstoreAPI", "Commands", "GRPC", nioCore]),
    .target(
      name: "Front",
      dependencies: [
        "TextForms", "LargeMemory", "Tracing", "RingstoreAPI", "Users", "Commands", "NodeCore",
        "LegacyServices", "StandardServices", "GRPC", nioCore, logging,
      ]),
    .target(
      name: "ShardNode",
      dependencies: [
        "TextForms", "MetricTypes", "LargeMemory", "Tracing", "RingstoreAPI", "Patterns",
        "Placement", "Store", "Log", "LogFiles", "Users", "Commands", "NodeCore", "LineProtocol",
        "StandardServices", "Front", "GRPC", nioCore, nioPosix, logging,
      ]),
    .target(
      name: "RouterNode",
      dependencies: [
        "TextForms", "MetricTypes", "LargeMemory", "Tracing", "RingstoreAPI", "Placement", "Users",
        "Commands", "NodeCore", "LineProtocol", "StandardServices", "Front", "GRPC", "StatusCodes",
        nioCore, nioPosix, nioConcurrency, logging,
      ]),
    .target(
      name: "Admin",
      dependencies: [
        "TextForms", "MetricTypes", "RingstoreAPI", "Users", "Commands", "NodeCore", "GRPC",
        nioCore, nioPosix, nioHTTP1, nioConcurrency, logging, metrics,
      ]),
    .target(
      name: "Dashboard",
      dependencies: [
        "TextForms", "StatusCodes", "MetricTypes", "RingstoreAPI", "Users", "Commands", "NodeCore",
        "GRPC", "Admin", nioCore, nioHTTP1, nioConcurrency,
      ],
      exclude: ["Page"]),
    .target(
      name: "TraceExport",
      dependencies: [
        "TextForms", "MetricTypes", "Tracing", "GRPC", nioCore, nioPosix, nioHTTP1, logging,
      ]),
    .target(
      name: "RingstoreClient",
      dependencies: ["RingstoreAPI", "GRPC", nioCore, nioPosix, nioConcurrency]),
    .target(
      name: "LoadGenerator",
      dependencies: [
        "TextForms", "RingstoreAPI", "NodeCore", "StatusCodes", "GRPC", nioCore, nioPosix,
        histogram,
      ]),
    .systemLibrary(name: "CEdit", pkgConfig: "libedit", providers: [.apt(["libedit-dev"])]),
    .executableTarget(
      name: "ringstore",
      dependencies: [
        "CEdit", "TextForms", "SmallFiles",
        "Store", "Log", "LogFiles", "Backups", "Front", "ShardNode", "RouterNode",
        "RingstoreClient", "LoadGenerator", "RingstoreAPI", "Users",
        "Commands", "Placement", "LineProtocol", "NodeCore", "Admin", "Dashboard",
        "MetricTypes", "Tracing", "TraceExport", "GRPC",
        nioCore, nioPosix, logging, metrics,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        configuration,
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ]),
    // The seed of random tests, and numbers that follow from it.
    .target(name: "TestSeeds", path: "Tests/TestSeeds"),
    .target(
      name: "TestLogs", dependencies: [logging, nioConcurrency], path: "Tests/TestLogs"),
    .testTarget(name: "TextFormsTests", dependencies: ["TextForms"]),
    .testTarget(name: "SmallFilesTests", dependencies: ["SmallFiles"]),
    .testTarget(name: "MetricTypesTests", dependencies: ["MetricTypes"]),
    .testTarget(name: "TracingTests", dependencies: ["Tracing", "StatusCodes"]),
    .testTarget(
      name: "TraceExportTests",
      dependencies: [
        "TraceExport", "Tracing", "GRPC", "TestCertificates", "TestLogs", "TestSeeds", "NodeCore",
        nioCore, nioPosix,
        nioHTTP1, nioConcurrency, logging,
      ]),
    .testTarget(
      name: "AdminTests",
      dependencies: [
        "Admin", "MetricTypes", "NodeCore", "GRPC", "Users", "RingstoreAPI", nioCore, nioPosix,
        nioHTTP1, nioEmbedded, logging, metrics,
      ]),
    .testTarget(
      name: "DashboardTests",
      dependencies: [
        "Dashboard", "Admin", "ShardNode", "Users", "Commands", "NodeCore", "RingstoreAPI", "GRPC",
        "MetricTypes", nioCore, nioHTTP1, logging, crypto,
      ]),
    .testTarget(name: "LargeMemoryTests", dependencies: ["LargeMemory"]),
    .testTarget(name: "HTTP2Tests", dependencies: ["TestSeeds", "LargeMemory", "HTTP2", nioCore]),
    // Certificates, made by deploy/certificates when tests run.
    .target(name: "TestCertificates", path: "Tests/TestCertificates"),
    .testTarget(
      name: "GRPCTests",
      dependencies: [
        "TestSeeds", "LargeMemory", "GRPC", "HTTP2", "TestCertificates", nioCore, nioEmbedded,
        nioPosix,
        nioConcurrency, nioSSL, logging,
      ]),
    // SwiftProtobuf's messages, which our codec is compared with.
    .target(name: "ProtobufMessages", dependencies: [protobuf], path: "Tests/ProtobufMessages"),
    .target(
      name: "CodecReadings",
      dependencies: [
        "ProtobufMessages", "RingstoreAPI", "Commands", "NodeCore", nioCore, protobuf,
      ],
      path: "Tests/CodecReadings"),
    .testTarget(
      name: "RingstoreAPITests",
      dependencies: [
        "TestSeeds", "CodecReadings", "ProtobufMessages", "RingstoreAPI", "StatusCodes", "Commands",
        "NodeCore",
        nioCore,
        protobuf,
      ]),
    .testTarget(name: "PatternsTests", dependencies: ["TestSeeds", "Patterns"]),
    .testTarget(name: "PlacementTests", dependencies: ["TestSeeds", "Placement"]),
    .testTarget(
      name: "StoreTests", dependencies: ["TestSeeds", "TextForms", "LargeMemory", "Store"]),
    // A file system in memory that forgets what wasn't synced.
    .target(
      name: "SimulatedDisk", dependencies: ["TestSeeds", "LogFiles"], path: "Tests/SimulatedDisk"),
    // Lives of a log on a simulated disk whose power is lost.
    .target(
      name: "LogCrashes", dependencies: ["TestSeeds", "Log", "LogFiles", "SimulatedDisk"],
      path: "Tests/LogCrashes"),
    .executableTarget(
      name: "powerlosses", dependencies: ["LogCrashes", "LogFiles"],
      path: "Tests/PowerLossProgram"),
    .testTarget(
      name: "LogFilesTests",
      dependencies: ["TestSeeds", "Store", "Log", "LogFiles", "SimulatedDisk", "LogCrashes"]),
    .testTarget(
      name: "LogTests",
      dependencies: ["TestSeeds", "TextForms", "LargeMemory", "CCRC32C", "Log", "Store"]),
    .testTarget(
      name: "BackupsTests",
      dependencies: ["TestSeeds", "Store", "Log", "LogFiles", "Backups", "SimulatedDisk"]),
    .testTarget(
      name: "UsersTests",
      dependencies: ["TestSeeds", "TextForms", "Users", "Patterns", "RingstoreAPI"]),
    .testTarget(
      name: "CommandsTests",
      dependencies: ["Commands", "RingstoreAPI", "Placement", "Store", nioCore]),
    .testTarget(
      name: "NodeCoreTests",
      dependencies: [
        "TestSeeds", "LargeMemory", "Commands", "NodeCore", "RingstoreAPI", "Placement", "Patterns",
        "Users", "MetricTypes", "GRPC", nioCore, nioPosix, logging, "ProtobufMessages", protobuf,
      ]),
    .testTarget(
      name: "LegacyServicesTests",
      dependencies: [
        "LegacyServices", "Commands", "NodeCore", "RingstoreAPI", "GRPC", nioCore, nioPosix,
        logging, "ProtobufMessages", protobuf,
      ]),
    .target(
      name: "EncodedCalls", dependencies: ["Commands", "NodeCore", "RingstoreAPI", nioCore],
      path: "Tests/EncodedCalls"),
    .testTarget(
      name: "AccessTests",
      dependencies: [
        "Users", "Front", "ShardNode", "RouterNode", "LineProtocol", "LegacyServices",
        "StandardServices", "Commands", "NodeCore", "RingstoreAPI", "Placement", "GRPC", nioCore,
        nioPosix, logging,
      ]),
    .testTarget(
      name: "FrontTests",
      dependencies: [
        "EncodedCalls", "LargeMemory", "Front", "StandardServices", "ShardNode", "RouterNode",
        "Commands", "NodeCore", "RingstoreAPI", "GRPC",
        "Placement", nioCore, nioPosix, logging, "ProtobufMessages", protobuf,
      ]),
    .testTarget(
      name: "LineProtocolTests",
      dependencies: [
        "TestSeeds", "LineProtocol", "Commands", "NodeCore", "RingstoreAPI", "GRPC", nioCore,
        nioEmbedded,
        nioPosix, logging, "ProtobufMessages", protobuf,
      ]),
    .testTarget(
      name: "ShardNodeTests",
      dependencies: [
        "TestSeeds", "EncodedCalls", "LargeMemory", "MetricTypes", "Tracing", "ShardNode",
        "Commands", "NodeCore", "RingstoreAPI", "Placement", "Store", "Log", "LogFiles",
        "SimulatedDisk", "TestLogs", "Users", "GRPC",
        nioCore, nioPosix, nioConcurrency, logging, "ProtobufMessages", protobuf,
      ]
    ),
    .testTarget(
      name: "RouterNodeTests",
      dependencies: [
        "TestSeeds", "LargeMemory", "Tracing", "RouterNode", "ShardNode", "Commands", "NodeCore",
        "RingstoreAPI", "Placement", "Users", "GRPC",
        nioCore, logging, "ProtobufMessages", protobuf,
      ]
    ),
    .testTarget(
      name: "LinkTranscriptTests",
      dependencies: [
        "RouterNode", "ShardNode", "LineProtocol", "Commands", "NodeCore", "RingstoreAPI",
        "Placement", nioCore,
      ],
      exclude: ["Transcripts"]),
    .testTarget(
      name: "RingstoreClientTests",
      dependencies: [
        "TestSeeds", "TestCertificates", "TestLogs", "TextForms", "Store", "Log", "LogFiles",
        "RingstoreClient", "TraceExport",
        "RouterNode", "NodeCore", "Admin",
        "ShardNode",
        "RingstoreAPI", "Commands", "GRPC", "Placement", "Users",
        "ringstore", configuration, "ProtobufMessages", protobuf, nioCore, nioPosix, nioConcurrency,
        logging,
      ]),
    .testTarget(
      name: "LoadGeneratorTests",
      dependencies: [
        "TestSeeds", "LoadGenerator", "NodeCore", "RingstoreAPI", nioCore, nioEmbedded,
      ]),
    // gRPC's interop tests, both sides; run by Tests/RealClients.
    .executableTarget(
      name: "interop",
      dependencies: ["GRPC", "ProtobufMessages", nioCore, nioPosix, logging, protobuf],
      path: "Tests/Interop/Program"),
    // The real cores under a virtual clock and network.
    .target(
      name: "ClusterSimulation",
      dependencies: [
        "LargeMemory", "RingstoreAPI", "StatusCodes", "Placement", "Commands", "NodeCore",
        "LineProtocol", "ShardNode", "RouterNode", "Store", "Log", "LogFiles", "Backups",
        "SimulatedDisk", "GRPC", nioCore, logging,
      ],
      path: "Tests/ClusterSimulation"),
    .executableTarget(
      name: "simulate", dependencies: ["ClusterSimulation", nioCore],
      path: "Tests/SimulationProgram"),
    .testTarget(
      name: "ClusterSimulationTests",
      dependencies: [
        "TestSeeds", "ClusterSimulation", "RingstoreAPI", "Commands", "NodeCore", "ShardNode",
        "LogFiles", "SimulatedDisk", "GRPC", nioCore,
      ]),
    .target(
      name: "FuzzReaders",
      dependencies: [
        "CodecReadings", "TestCertificates", "TextForms", "LargeMemory", "HTTP2", "LineProtocol",
        "RingstoreAPI", "Users", "Placement", "Commands", "NodeCore", "ShardNode", "RouterNode",
        "GRPC", "Store", "Log", "Tracing", "Admin", "Dashboard", "MetricTypes", nioCore,
        nioEmbedded, nioSSL, logging,
      ],
      path: "Tests/Fuzzing/Readers"),
    .testTarget(
      name: "FuzzingTests", dependencies: ["TestSeeds", "FuzzReaders", "Commands", "NodeCore"]),
    .testTarget(name: "HouseRulesTests"),
  ],
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx17
)

// The program for libFuzzer, which links only with `-sanitize=fuzzer`: deploy/fuzz asks for it.
if Context.environment["RINGSTORE_FUZZ"] != nil {
  package.targets.append(
    .executableTarget(
      name: "Fuzz", dependencies: ["FuzzReaders"], path: "Tests/Fuzzing/Program"))
}
