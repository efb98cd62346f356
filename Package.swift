// swift-tools-version: 6.2
import PackageDescription

// The engines are fetched by `make setup` into the ignored folder `.deps`; nothing is looked for outside the package.
// Without them the pure half still builds and tests: `SPACEEVO_PURE=1 swift test`.
let pureOnly = Context.environment["SPACEEVO_PURE"] == "1"
let dependencies = "\(Context.packageDirectory)/.deps"
let libtorch = Context.environment["LIBTORCH"] ?? "\(dependencies)/torch"
let onnxRuntimeHeaders = Context.environment["ONNXRUNTIME_INCLUDE"] ?? "\(dependencies)/onnxruntime/include"

let openVINOHeaders = Context.environment["OPENVINO_INCLUDE"] ?? "\(dependencies)/openvino/include"

let common: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]
let pure: [SwiftSetting] = common + [.strictMemorySafety()]

let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

var targets: [Target] = [
  // Pure: no engine, no device.
  .target(name: "StrictYAML", dependencies: [yams], swiftSettings: pure),
  .target(name: "InputFiles", swiftSettings: common),
  .target(
    name: "SearchSpaces", dependencies: ["StrictYAML"], resources: [.embedInCode("Hyperspaces")], swiftSettings: pure),
  .target(name: "NetworkGraphs", dependencies: ["SearchSpaces"], swiftSettings: pure),
  .target(name: "Quantization", dependencies: ["NetworkGraphs"], swiftSettings: pure),
  .target(name: "DeviceLatency", dependencies: ["NetworkGraphs", "SearchSpaces"], swiftSettings: pure),
  .target(
    name: "SpaceEvolution", dependencies: ["InputFiles", "SearchSpaces", "NetworkGraphs"], swiftSettings: pure),
  .target(name: "Reports", swiftSettings: pure),
  // Files and nothing else: no engine either.
  .target(name: "RunFolders", dependencies: ["InputFiles", "StrictYAML"], swiftSettings: common),
  // Not a product: `make bench` prints speeds and the figures that they stand for.
  .executableTarget(
    name: "spaceevo-benchmarks",
    dependencies: ["SpaceEvolution", "DeviceLatency", "RunFolders", "NetworkGraphs", "SearchSpaces"],
    path: "Benchmarks", exclude: ["Training", "training.py", "training.sh"], swiftSettings: pure),
  .testTarget(name: "SearchSpacesTests", dependencies: ["SearchSpaces", "StrictYAML"], swiftSettings: common),
  .testTarget(name: "NetworkGraphsTests", dependencies: ["NetworkGraphs", "SearchSpaces"], swiftSettings: common),
  .testTarget(
    name: "QuantizationTests", dependencies: ["Quantization", "NetworkGraphs", "SearchSpaces"], swiftSettings: common),
  .testTarget(
    name: "DeviceLatencyTests", dependencies: ["DeviceLatency", "NetworkGraphs", "SearchSpaces"],
    swiftSettings: common),
  .testTarget(
    name: "SpaceEvolutionTests", dependencies: ["SpaceEvolution", "SearchSpaces", "NetworkGraphs"],
    swiftSettings: common),
  .testTarget(name: "ReportsTests", dependencies: ["Reports"], swiftSettings: common),
  .testTarget(name: "RunFoldersTests", dependencies: ["RunFolders"], swiftSettings: common),
]

if !pureOnly {
  targets += [
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    .target(name: "CImages", linkerSettings: [.linkedLibrary("jpeg"), .linkedLibrary("png")]),
    .target(
      name: "Datasets", dependencies: ["CImages", "CZlib", "InputFiles", "SearchSpaces"], swiftSettings: common),
    .target(
      name: "ONNXExport", dependencies: ["InputFiles", "NetworkGraphs", "Quantization"], swiftSettings: common),
    .target(
      name: "COnnxRuntime", cSettings: [.unsafeFlags(["-isystem", onnxRuntimeHeaders])],
      linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    .target(
      name: "COpenVINO", cSettings: [.unsafeFlags(["-isystem", openVINOHeaders])],
      linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    .target(
      name: "InferenceRuntimes",
      dependencies: [
        "COnnxRuntime", "COpenVINO", "DeviceLatency", "InputFiles", "StrictYAML", "SearchSpaces", "ONNXExport",
        "NetworkGraphs", "Quantization",
      ],
      swiftSettings: common),
    .target(
      name: "CTorch",
      exclude: ["gloo-declarations"],
      cxxSettings: [
        .headerSearchPath("gloo-declarations"),
        .unsafeFlags([
          "-isystem", "\(libtorch)/include", "-isystem", "\(libtorch)/include/torch/csrc/api/include",
          "-std=c++20", "-O2",
        ]),
      ],
      linkerSettings: [
        .unsafeFlags(["-L\(libtorch)/lib", "-Xlinker", "-rpath", "-Xlinker", "\(libtorch)/lib"]),
        .linkedLibrary("torch_cpu"), .linkedLibrary("c10"),
      ]),
    .target(
      name: "TorchTraining", dependencies: ["CTorch", "InputFiles", "NetworkGraphs", "Quantization", "SearchSpaces"],
      swiftSettings: common),
    .target(
      name: "Pipeline",
      dependencies: [
        "CZlib", "InputFiles", "StrictYAML", "SearchSpaces", "NetworkGraphs", "Quantization", "DeviceLatency",
        "SpaceEvolution",
        "Reports", "Datasets", "RunFolders", "ONNXExport", "InferenceRuntimes", "TorchTraining",
      ], resources: [.embedInCode("Configurations")], swiftSettings: common),
    // Not a product: `Benchmarks/training.sh` compares it with the same network in Python.
    .executableTarget(
      name: "spaceevo-training-benchmark",
      dependencies: ["TorchTraining", "Datasets", "NetworkGraphs", "Quantization", "SearchSpaces"],
      path: "Benchmarks/Training",
      swiftSettings: common),
    .executableTarget(
      name: "spaceevo",
      dependencies: [
        "Pipeline", "SearchSpaces", "NetworkGraphs", "Quantization", "DeviceLatency", "SpaceEvolution", "Reports",
        "Datasets", "RunFolders", "ONNXExport", "InferenceRuntimes", "TorchTraining", argumentParser,
      ], swiftSettings: common),
    // Everything that reads what a stranger may have written, for tests and for `make fuzz`.
    .target(
      name: "Parsers",
      dependencies: [
        "Pipeline", "SearchSpaces", "NetworkGraphs", "Quantization", "DeviceLatency", "SpaceEvolution", "Datasets",
        "RunFolders", "ONNXExport", "InferenceRuntimes", "TorchTraining",
      ], path: "Fuzzing/Parsers", swiftSettings: common),
    .testTarget(
      name: "ParserTests",
      dependencies: [
        "Parsers", "SearchSpaces", "Datasets", "DeviceLatency", "InferenceRuntimes", "InputFiles", "RunFolders",
        "TorchTraining",
      ], exclude: ["Inputs"], swiftSettings: common),
    .testTarget(name: "ThreadTests", dependencies: ["RunFolders", "TorchTraining"], swiftSettings: common),
    // Runs the built program.
    .testTarget(name: "CommandTests", dependencies: ["spaceevo"], swiftSettings: common),
    .testTarget(name: "DatasetsTests", dependencies: ["Datasets", "SearchSpaces"], swiftSettings: common),
    .testTarget(
      name: "InferenceRuntimesTests",
      dependencies: [
        "InferenceRuntimes", "ONNXExport", "NetworkGraphs", "Quantization", "SearchSpaces", "DeviceLatency",
        "StrictYAML",
      ], swiftSettings: common),
    .testTarget(
      name: "TorchTrainingTests",
      dependencies: ["TorchTraining", "Datasets", "NetworkGraphs", "Quantization", "SearchSpaces"],
      swiftSettings: common),
    .testTarget(
      name: "PipelineTests",
      dependencies: [
        "Pipeline", "StrictYAML", "RunFolders", "SearchSpaces", "NetworkGraphs", "Quantization", "Datasets",
        "TorchTraining",
        "ONNXExport", "InferenceRuntimes", "DeviceLatency", "SpaceEvolution",
      ], swiftSettings: common),
  ]
}

// `make sanitize` runs what works on several threads under ThreadSanitizer. The engines were not compiled for that, so the
// package is then only what does without: of the training, the pool of its threads.
if Context.environment["SPACEEVO_THREADS"] == "1" {
  let threaded = [
    "StrictYAML", "InputFiles", "SearchSpaces", "NetworkGraphs", "SpaceEvolution", "CZlib", "CImages", "Datasets",
    "RunFolders", "SpaceEvolutionTests", "DatasetsTests", "RunFoldersTests", "ThreadTests",
  ]
  targets = targets.filter { threaded.contains($0.name) }
  for target in targets where target.isTest { target.dependencies.append("ThreadedApply") }
  targets += [
    .target(name: "ThreadedApply", path: "Fuzzing/ThreadedApply"),
    .target(
      name: "TorchTraining", path: "Sources/TorchTraining", sources: ["WorkerPool.swift", "TorchError.swift"],
      swiftSettings: common),
  ]
}

// libFuzzer has no place in an ordinary build; `make fuzz` sets this, to the library's path.
if let fuzzer = Context.environment["SPACEEVO_FUZZER"] {
  targets += [
    .target(name: "CFuzzer", path: "Fuzzing/CFuzzer"),
    .executableTarget(
      name: "spaceevo-fuzz", dependencies: ["CFuzzer", "Parsers"], path: "Fuzzing/Fuzzer", swiftSettings: common,
      linkerSettings: [.unsafeFlags([fuzzer]), .linkedLibrary("stdc++")]),
  ]
}

let package = Package(
  name: "spaceevo",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
  ],
  targets: targets,
  swiftLanguageModes: [.v6]
)
