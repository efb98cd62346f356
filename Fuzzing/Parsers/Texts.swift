import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import Pipeline
import SearchSpaces
import SpaceEvolution

extension Parser {
  /// YAML, stage tables, encodings and what devices print.
  static var textParsers: [Parser] {
    [
      Parser(name: "hyperspace", seeds: { try hyperspaceTexts.map { Array($0.utf8) } }) { bytes in
        try use(Hyperspace(yaml: text(bytes), file: "hyperspace.yaml"))
      },
      Parser(name: "configuration", seeds: { configurationTexts.map { Array($0.utf8) } }) { bytes in
        _ = try RunConfiguration(yaml: text(bytes), file: "run.yaml")
      },
      Parser(name: "device", seeds: { deviceTexts.map { Array($0.utf8) } }) { bytes in
        let device = try CommandDevice(yaml: text(bytes), file: "device.yaml")
        _ = device.identity(threads: 1).description
        _ = CommandOutput("1.5\nm-2.onnx 2", names: ["m-1.onnx", "m-2.onnx"], device: device)
      },
      Parser(name: "device-output", seeds: { deviceOutputs.map { Array($0.utf8) } }) { bytes in
        let output = text(bytes)
        let names = ["m1-0.onnx", "m1-1.onnx", "m1-2.onnx"]
        for device in readers {
          for nanoseconds in CommandOutput(output, names: names, device: device).nanoseconds {
            guard let nanoseconds else { continue }
            guard (1..<1e13).contains(nanoseconds) else { throw UnfaithfulParser(description: "\(nanoseconds) ns") }
          }
        }
      },
      Parser(name: "stage-table", seeds: { try stageTables() }) { bytes in
        let table = try StageTable(text: bytes, file: "table.csv", key: tableKey, hyperspace: mini32)
        guard !table.rows.isEmpty else { throw UnfaithfulParser(description: "a table without rows") }
        _ = table.costs(in: mini32)
        let written = table.provenance == nil ? table.publishedText(in: mini32) : table.text(in: mini32)
        _ = try StageTable(text: Array(written.utf8), file: "again.csv", key: tableKey, hyperspace: mini32)
      },
      Parser(name: "encoding", seeds: { encodings.map { Array($0.utf8) } }) { bytes in try readEncodings(text(bytes)) },
    ]
  }

  static let mini32 = Hyperspace.builtIn("mini32")!

  // MARK: - Hyperspaces

  private static var hyperspaceTexts: [String] {
    get throws {
      try ["mini32", "onnxw", "mobilew"].map { name in
        let file = repository.appending(path: "Sources/SearchSpaces/Hyperspaces/\(name).yaml")
        return try String(contentsOf: file, encoding: .utf8)
      } + [smallHyperspace]
    }
  }

  /// The folder of the package.
  static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  static let smallHyperspace = """
    name: small
    image: {channels: 3, resolutions: [16, 32]}
    classes: 4
    blocks: [{family: mbconv, kernels: [3, 5], expansions: [1, 4.5], activation: swish, stack-depthwise: true}]
    stem: {name: stem, widths: [8, 16], kernel: 3, stride: 1, activation: relu6}
    stages:
      - {name: a, widths: {first: 8, last: 32, step: 8}, window: 2, depths: [1, 2], stride: 2}
      - {name: b, widths: [32, 40], window: all, depths: [1, 1], stride: 1,
         block: {name: "fixed", family: dual-depthwise, kernels: [3], activation: relu, project-shortcut: false}}
    head: [{layer: global-average-pool, name: pool}, {layer: linear, name: logits}]
    """

  /// What the program asks of a hyperspace before it trains anything.
  private static func use(_ hyperspace: Hyperspace) throws {
    guard hyperspace.spaceCount > 0 else { throw UnfaithfulParser(description: "no search spaces") }
    var generator = SeededGenerator(seed: 1, stream: "fuzzing")
    let space = hyperspace.randomSpace(using: &generator)
    guard try hyperspace.space(space.encoding) == space else { throw UnfaithfulParser(description: space.encoding) }
    for subnet in [hyperspace.largestSubnet(of: space), hyperspace.smallestSubnet(of: space)] {
      guard try hyperspace.subnet(subnet.encoding, in: space) == subnet else {
        throw UnfaithfulParser(description: subnet.encoding)
      }
      let graph = try NetworkGraph(subnet, of: space, in: hyperspace)
      guard graph.cost.macs > 0, graph.cost.macs <= 1_000_000_000_000_000, graph.cost.parameters > 0 else {
        throw UnfaithfulParser(description: "\(graph.cost)")
      }
      for kernel in graph.kernelSignatures(isWhole: true) { _ = kernel?.description }
    }
    let keys = hyperspace.stageTableKeys
    for key in [keys.first!, keys.last!] {
      guard !hyperspace.stageTableFileName(key).contains("/") else {
        throw UnfaithfulParser(description: hyperspace.stageTableFileName(key))
      }
      _ = try? StageTable(text: Array("3#8#1,1x8x8x8,1,1,1,1\n".utf8), file: "t", key: key, hyperspace: hyperspace)
    }
  }

  // MARK: - Configurations and devices

  private static var configurationTexts: [String] {
    let text = RunConfiguration.builtInText
    return [
      text, text.replacing("name: fashion-mnist", with: "name: cifar10"),
      text.replacing("name: onnxruntime", with: "name: device.yaml"),
    ]
  }

  static let deviceTexts = [
    """
    name: raspberry-pi-5
    version: onnxruntime 1.22.0
    processor: Cortex-A76
    threads: 1
    prepare: [scp, -q, "{files}", "pi@raspberrypi.local:spaceevo/"]
    time: [ssh, pi@raspberrypi.local, "cd spaceevo && python3 time_models.py --threads {threads} {names}"]
    clean: [ssh, pi@raspberrypi.local, "rm {names}"]
    timeout: 120
    retries: 2
    """,
    """
    name: phone
    version: "1"
    shell: true
    time: adb shell "cd /data/local/tmp && ./benchmark --model {name}" | tail -n 3
    pattern: "Median: +([0-9.]+) ms"
    unit: us
    batch: 4
    rounds: 5
    """,
    "{name: a, version: b, time: [tool, '{file}'], pattern: '(?<t>[0-9]+)|x{2,3}', unit: s, retries: 0}",
  ]

  private static let readers: [CommandDevice] = [
    "name: a\nversion: 1\ntime: [tool, '{files}']",
    "name: a\nversion: 1\ntime: [tool, '{files}']\npattern: \"Median: +([0-9.]+) ms\"",
    "name: a\nversion: 1\ntime: [tool, '{files}']\nunit: s\npattern: '([0-9.e+-]+)'",
  ].map { try! CommandDevice(yaml: $0, file: "device.yaml") }

  private static let deviceOutputs = [
    "1.25\n2.5\n3\n", "m1-1.onnx 2.5\nm1-0.onnx 1e-3\nm1-2.onnx 7\n", "Median:  12.5 ms\nMedian: 3 ms\nMedian: .7 ms\n",
    "loading\nm1-0.onnx\t0.5\r\n", "inf\nnan\n-1\n0\n", "\u{1b}[1m1.5\u{1b}[0m\n",
  ]

  // MARK: - Stage tables

  static let tableKey = StageTableKey(stage: 2, block: 1, window: 1)

  private static func stageTables() throws -> [[UInt8]] {
    let choices = mini32.stageChoices(
      stage: mini32.searchedStages[tableKey.stage], block: tableKey.block, window: tableKey.window)
    var generator = SeededGenerator(seed: 1, stream: "stage-table")
    let input = TensorShape(channels: 24, height: 8, width: 8)
    let rows = (0..<4).map { index in
      StageRow(
        blocks: choices.randomBlocks(using: &generator), input: input, resolution: 32, loss: 0.1 + Double(index),
        megaMACs: 1.5, megaParameters: 0.25, latencyMilliseconds: 0.0125 * Double(index))
    }
    let published = StageTable(key: tableKey, rows: rows)
    let own = StageTable(
      key: tableKey,
      provenance: StageTableProvenance(
        data: "fashion-mnist", teacher: "bottleneck", device: "onnxruntime", seed: 7, isQuantized: true,
        versions: ["libtorch": "2"]), rows: rows)
    return [Array(published.publishedText(in: mini32).utf8), Array(own.text(in: mini32).utf8)]
  }

  // MARK: - Encodings

  private static var encodings: [String] {
    var generator = SeededGenerator(seed: 1, stream: "encodings")
    let space = mini32.randomSpace(using: &generator)
    let subnets = (0..<3).map { _ in mini32.randomSubnet(of: space, using: &generator) }
    let kernels = [
      "conv-k3-s2-o32 16x16x16 relu", "depthwise-k5-s1 8x8x8", "global-average-pool 8x4x4", "hard-swish 4x4x4 last",
      "conv-k1-s1-o10 64x1x1 only", "map 8x8x8", "branch 16x4x4", "gate 8x2x2", "call",
    ]
    return subnets.map { "\(space.encoding)\n\($0.encoding)" } + kernels
  }

  /// A space and a subnet of it on two lines; and each line as a kernel and a kernel's context.
  private static func readEncodings(_ text: String) throws {
    let lines = text.split(separator: "\n", maxSplits: 1).map(String.init)
    for line in lines {
      if let kernel = KernelSignature(line) {
        guard KernelSignature(kernel.description) == kernel else { throw UnfaithfulParser(description: line) }
        _ = NetworkGraph(kernel).cost
        _ = NetworkGraph(inContext: kernel).cost
        return
      }
      if let context = KernelContext(line) {
        _ = NetworkGraph(context)?.cost
        return
      }
    }
    if let space = SearchSpace(lines.first ?? "") {
      guard SearchSpace(space.encoding) == space else { throw UnfaithfulParser(description: space.encoding) }
    }
    if let subnet = Subnet(lines.last ?? "") {
      guard Subnet(subnet.encoding) == subnet else { throw UnfaithfulParser(description: subnet.encoding) }
    }
    let space = try mini32.space(lines.first ?? "")
    let subnet = try mini32.subnet(lines.last ?? "", in: space)
    _ = try NetworkGraph(subnet, of: space, in: mini32).cost
  }
}

extension StageTable {
  /// MACs of all rows together.
  fileprivate func costs(in hyperspace: Hyperspace) -> Int {
    var costs = StageCosts(key: key, hyperspace: hyperspace)
    return rows.reduce(0) { $0 + costs.cost(of: $1.blocks, input: $1.input).macs }
  }
}
