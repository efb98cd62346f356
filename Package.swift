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
  .target(
    name: "SearchSpaces", dependencies: ["StrictYAML"], resources: [.embedInCode("Hyperspaces")], swiftSettings: pure),
  .target(name: "NetworkGraphs", dependencies: ["SearchSpaces"], swiftSettings: pure),
  .target(name: "Quantization", dependencies: ["NetworkGraphs"], swiftSettings: pure),
  .target(name: "DeviceLatency", dependencies: ["NetworkGraphs", "SearchSpaces"], swiftSettings: pure),
  .target(name: "SpaceEvolution", dependencies: ["SearchSpaces", "NetworkGraphs"], swiftSettings: pure),
  .target(name: "Reports", swiftSettings: pure),
  // Not a product: `make bench` prints speeds and the figures that they stand for.
  .executableTarget(
    name: "spaceevo-benchmarks",
    dependencies: ["SpaceEvolution", "NetworkGraphs", "SearchSpaces"],
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
]

if !pureOnly {
  targets += [
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    .target(name: "CImages", linkerSettings: [.linkedLibrary("jpeg"), .linkedLibrary("png")]),
    .target(name: "Datasets", dependencies: ["CImages", "CZlib", "SearchSpaces"], swiftSettings: common),
    .target(name: "RunFolders", dependencies: ["StrictYAML"], swiftSettings: common),
    .target(
      name: "ONNXExport", dependencies: ["NetworkGraphs", "Quantization"], swiftSettings: common),
    .target(
      name: "COnnxRuntime", cSettings: [.unsafeFlags(["-isystem", onnxRuntimeHeaders])],
      linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    .target(
      name: "COpenVINO", cSettings: [.unsafeFlags(["-isystem", openVINOHeaders])],
      linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
    .target(
      name: "InferenceRuntimes",
      dependencies: [
        "COnnxRuntime", "COpenVINO", "DeviceLatency", "StrictYAML", "SearchSpaces", "ONNXExport", "NetworkGraphs",
        "Quantization",
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
      name: "TorchTraining", dependencies: ["CTorch", "NetworkGraphs", "Quantization", "SearchSpaces"],
      swiftSettings: common),
    .target(
      name: "Pipeline",
      dependencies: [
        "StrictYAML", "SearchSpaces", "NetworkGraphs", "Quantization", "DeviceLatency", "SpaceEvolution", "Reports",
        "Datasets", "RunFolders", "ONNXExport", "InferenceRuntimes", "TorchTraining",
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
    // Runs the built program.
    .testTarget(name: "CommandTests", dependencies: ["spaceevo"], swiftSettings: common),
    .testTarget(name: "DatasetsTests", dependencies: ["Datasets", "SearchSpaces"], swiftSettings: common),
    .testTarget(name: "RunFoldersTests", dependencies: ["RunFolders"], swiftSettings: common),
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
