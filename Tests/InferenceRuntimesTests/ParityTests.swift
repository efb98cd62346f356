import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import ONNXExport
import Quantization
import SearchSpaces
import Testing

/// The exported model in the runtime computes what the plain Swift interpreter computes.
@Suite("Parity of ONNX Runtime with the integer network")
struct ParityTests {
  /// Random quantisers beside the random weights: scales that are no powers of two, zero points anywhere.
  static func network(_ graph: NetworkGraph, _ generator: inout SeededGenerator) -> IntegerNetwork {
    var network = IntegerNetwork(randomWeights: generator.next(), for: graph)
    for index in graph.nodes.indices {
      let old = network.quantizers[index]
      network.quantizers[index] = AffineQuantizer(
        scale: old.scale * Float(0.7 + 0.3 * generator.uniform()),
        zeroPoint: graph.nodes[index].range == .unbounded ? UInt8(64 + generator.next(below: 128)) : 0)
    }
    return network
  }

  static func pixels(_ count: Int, _ generator: inout SeededGenerator) -> [UInt8] {
    (0..<count).map { _ in UInt8(generator.next(below: 256)) }
  }

  static func graph(
    _ hyperspace: Hyperspace, type: Int, resolution: Int, _ generator: inout SeededGenerator
  ) -> NetworkGraph {
    var space = hyperspace.randomSpace(using: &generator)
    space.blockTypes = space.blockTypes.map { _ in type }
    var subnet = hyperspace.randomSubnet(of: space, using: &generator)
    subnet.resolution = resolution
    return NetworkGraph(
      subnet, choices: hyperspace.choices(of: space).map(\.blockType), strides: hyperspace.stages.map(\.stride),
      hyperspace: hyperspace)
  }

  @Test("Where an activation's exact value is as good as a tie, the runtime's own arithmetic decides")
  func ties() throws {
    for activation in [Activation.swish, .hardSwish, .hardSigmoid] {
      let kernel = KernelSignature(
        kind: .activation(activation), input: TensorShape(channels: 256, height: 1, width: 1), range: .unbounded)
      for byte in stride(from: 2, to: 120, by: 3) {
        var network = IntegerNetwork(randomWeights: 1, for: NetworkGraph(kernel))
        let input = AffineQuantizer(scale: 0.04, zeroPoint: 128)
        let value = abs(activation(input.dequantize(UInt8(byte))))
        guard value > 0 else { continue }
        network.quantizers[0] = input
        network.quantizers[network.graph.output] = AffineQuantizer(
          scale: value / ((value / 0.025).rounded(.down) + 0.5), zeroPoint: 20)
        let session = try OnnxRuntimeSession(
          ONNXModel.bytes(network, .init(input: .maps(.channelsFirst), output: .map(.channelsFirst))))
        let maps = [[UInt8](0...255)]
        let expected = try #require(network.evaluate(maps: maps).last)
        #expect(try session.run(maps: maps) == expected, "\(activation) \(byte)")
      }
    }
  }

  @Test("Each operation alone computes the same bytes", arguments: ["mini32", "onnxw", "mobilew"])
  func kernels(name: String) throws {
    let hyperspace = try #require(Hyperspace.builtIn(name))
    var generator = SeededGenerator(seed: 11, stream: name)
    var kernels: Set<KernelSignature> = []
    for type in hyperspace.blockTypes.indices {
      let graph = ParityTests.graph(hyperspace, type: type, resolution: 32, &generator)
      kernels.formUnion(graph.kernelSignatures(isWhole: false).compactMap(\.self))
    }
    for kernel in kernels.sorted() where NetworkGraph(kernel).cost.macs < 1_000_000 {
      let network = ParityTests.network(NetworkGraph(kernel), &generator)
      let model = try ONNXModel.bytes(network, .init(input: .maps(.channelsFirst), output: .map(.channelsFirst)))
      let session = try OnnxRuntimeSession(model)
      let maps = network.graph.nodes.filter { $0.operation == .input }.map {
        ParityTests.pixels($0.shape.count, &generator)
      }
      let expected = try #require(network.evaluate(maps: maps).last)
      #expect(try session.run(maps: maps) == expected, "\(kernel)")
    }
  }

  @Test(
    "Additions and multiplications of all 65,536 pairs of bytes are rounded alike, ties too", arguments: [true, false])
  func pairs(adds: Bool) throws {
    var generator = SeededGenerator(seed: 5, stream: "pairs-\(adds)")
    let shape = TensorShape(channels: 1, height: 256, width: 256)
    for _ in 0..<12 {
      var graph = NetworkGraph(KernelSignature(kind: .add, input: shape, range: .unbounded))
      if !adds { graph.nodes[2].operation = .multiply }
      var network = IntegerNetwork(randomWeights: 1, for: graph)
      for index in 0..<3 {
        network.quantizers[index] = AffineQuantizer(
          scale: Float((0.3 + generator.uniform()) / 64), zeroPoint: UInt8(generator.next(below: 256)))
      }
      let model = try ONNXModel.bytes(network, .init(input: .maps(.channelsFirst), output: .map(.channelsFirst)))
      let maps = [(0..<65_536).map { UInt8($0 >> 8) }, (0..<65_536).map { UInt8($0 & 255) }]
      #expect(try OnnxRuntimeSession(model).run(maps: maps) == network.pairTable(of: 2))
    }
  }

  @Test(
    "Averages of any number of places are rounded alike where every other sum is as good as a tie",
    arguments: [1, 4, 6, 9, 25, 49])
  func averages(area: Int) throws {
    var generator = SeededGenerator(seed: 6, stream: "averages-\(area)")
    let pool = KernelSignature(
      kind: .globalAveragePool,
      input: TensorShape(
        channels: 512, height: area == 6 ? 2 : Int(Double(area).squareRoot()),
        width: area == 6 ? 3 : Int(Double(area).squareRoot())), range: .unbounded)
    for _ in 0..<40 {
      var network = IntegerNetwork(randomWeights: 1, for: NetworkGraph(pool))
      let input = AffineQuantizer(
        scale: Float((0.3 + generator.uniform()) / 64), zeroPoint: UInt8(generator.next(below: 256)))
      network.quantizers[0] = input
      // An odd sum is half a step, but for what single precision makes of the three numbers.
      network.quantizers[1] = AffineQuantizer(
        scale: 2 * input.scale / Float(area), zeroPoint: UInt8(generator.next(below: 256)))
      let map = (0..<512).flatMap { channel -> [UInt8] in
        // About the zero point, so that few averages are cut off.
        (0..<area).map { _ in UInt8(max(0, min(255, Int(input.zeroPoint) + generator.next(below: 9) - 4))) }
      }
      let model = try ONNXModel.bytes(
        network, .init(input: .maps(.channelsFirst), output: .map(.channelsFirst)))
      #expect(try OnnxRuntimeSession(model).run(maps: [map]) == network.evaluate(maps: [map]).last)
    }
  }

  @Test(
    "OpenVINO rounds averages as its arithmetic here does, ties and zero points included",
    .enabled(if: ParityTests.hasKnownOpenVINOKernels), arguments: [3, 4, 7, 8])
  func openVINOAverages(edge: Int) throws {
    let area = edge * edge
    var generator = SeededGenerator(seed: 7, stream: "averages-\(edge)")
    var graph = NetworkGraph(
      KernelSignature(
        kind: .globalAveragePool, input: TensorShape(channels: 512, height: edge, width: edge), range: .unbounded))
    graph.arithmetic = .openVINO
    for round in 0..<24 {
      var network = IntegerNetwork(randomWeights: 1, for: graph)
      let input = AffineQuantizer(
        scale: Float((0.3 + generator.uniform()) / 64), zeroPoint: UInt8(60 + generator.next(below: 136)))
      network.quantizers[0] = input
      // Sums of an odd number of halves are ties.
      network.quantizers[1] = AffineQuantizer(
        scale: Float([2, 6, 10, 14][round % 4]) * input.scale / Float(area),
        zeroPoint: UInt8(generator.next(below: 256)))
      let map = (0..<512).flatMap { channel -> [UInt8] in
        (0..<area).map { _ in UInt8(Int(input.zeroPoint) + generator.next(below: 9) - 4) }
      }
      let model = try ONNXModel.bytes(network, .init(input: .maps(.channelsFirst), output: .map(.channelsFirst)))
      let expected = try #require(network.evaluate(maps: [map]).last)
      let differing = zip(try OpenVINOSession(model).run(maps: [map]), expected).count { $0 != $1 }
      #expect(differing == 0, "\(differing) of 512; \(network.quantizers[1])")
    }
  }

  @Test("Zeros around a map with a zero point of its own are the runtime's too, with every kernel and stride")
  func padding() throws {
    var generator = SeededGenerator(seed: 21)
    for kernel in [3, 5, 7] {
      for stride in 1...2 {
        let signature = KernelSignature(
          kind: .depthwise(kernel: kernel, stride: stride), input: TensorShape(channels: 16, height: 9, width: 8),
          range: .unbounded)
        let network = ParityTests.network(NetworkGraph(signature), &generator)
        #expect(network.quantizers[0].zeroPoint != 0)
        let model = try ONNXModel.bytes(network, .init(input: .maps(.channelsFirst), output: .map(.channelsFirst)))
        let map = ParityTests.pixels(signature.input.count, &generator)
        #expect(try OnnxRuntimeSession(model).run(maps: [map]) == network.evaluate(maps: [map]).last)
      }
    }
  }

  @Test(
    "Blocks of stride 2 with a shortcut of their own agree, for every type that has one",
    arguments: ["onnxw", "mobilew"])
  func stridedShortcuts(name: String) throws {
    let hyperspace = try #require(Hyperspace.builtIn(name))
    var generator = SeededGenerator(seed: 22, stream: name)
    for type in hyperspace.blockTypes where type.projectsShortcut {
      let block = BlockChoice(kernel: type.kernels.last!, width: 24, expansion: type.expansions.first)
      let graph = NetworkGraph(
        stage: "stage", type, input: TensorShape(channels: 16, height: 9, width: 9), blocks: [block], stride: 2)
      let shortcuts = graph.nodes.filter { $0.name.hasSuffix("shortcut") }
      #expect(shortcuts.count == 1 && shortcuts[0].convolution?.stride == 2)
      let network = ParityTests.network(graph, &generator)
      let model = try ONNXModel.bytes(network, .init(input: .maps(.channelsFirst), output: .map(.channelsFirst)))
      let map = ParityTests.pixels(graph.inputShape.count, &generator)
      #expect(try OnnxRuntimeSession(model).run(maps: [map]) == network.evaluate(maps: [map]).last, "\(type.name)")
    }
  }

  /// Whether the kernels are those whose arithmetic is known; on other processors OpenVINO takes others.
  static let hasKnownOpenVINOKernels =
    (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.contains("avx512_vnni") ?? false

  @Test(
    "Whole networks of every block type agree with OpenVINO, image by image",
    .enabled(if: ParityTests.hasKnownOpenVINOKernels), arguments: ["mini32", "onnxw", "mobilew"])
  func openVINONetworks(name: String) throws {
    let hyperspace = try #require(Hyperspace.builtIn(name)).computed(in: .openVINO)
    var generator = SeededGenerator(seed: 24, stream: name)
    for type in hyperspace.blockTypes.indices {
      let graph = ParityTests.graph(hyperspace, type: type, resolution: 32, &generator)
      let network = ParityTests.network(graph, &generator)
      let session = try OpenVINOSession(try ONNXModel.bytes(network))
      for _ in 0..<(name == "mini32" ? 6 : 2) {
        let pixels = ParityTests.pixels(graph.inputShape.count, &generator)
        #expect(try session.run(pixels) == network.logits(pixels), "\(hyperspace.blockTypes[type].name)")
      }
    }
  }

  @Test(
    "OpenVINO computes every byte of a block in its own arithmetic, and many other bytes than ONNX Runtime's",
    .enabled(if: ParityTests.hasKnownOpenVINOKernels), arguments: ["mini32", "onnxw", "mobilew"])
  func openVINO(name: String) throws {
    let hyperspace = try #require(Hyperspace.builtIn(name))
    var generator = SeededGenerator(seed: 23, stream: name)
    for type in hyperspace.blockTypes {
      let block = BlockChoice(kernel: type.kernels.last!, width: 24, expansion: type.expansions.first)
      var differing: [IntegerArithmetic: Double] = [:]
      for arithmetic in [LocalRuntime.openVINO.arithmetic, .onnxRuntime] {
        var type = type
        type.arithmetic = arithmetic
        let graph = NetworkGraph(
          stage: "stage", type, input: TensorShape(channels: 24, height: 12, width: 12), blocks: [block, block],
          stride: 1)
        let network = ParityTests.network(graph, &generator)
        let model = try ONNXModel.bytes(network, .init(input: .maps(.channelsFirst), output: .map(.channelsFirst)))
        let map = ParityTests.pixels(graph.inputShape.count, &generator)
        let expected = try #require(network.evaluate(maps: [map]).last)
        let steps = zip(try OpenVINOSession(model).run(maps: [map]), expected).map { abs(Int($0) - Int($1)) }
        differing[arithmetic] = Double(steps.count { $0 > 0 }) / Double(steps.count)
      }
      #expect(differing[.openVINO] == 0, "\(type.name): \(differing)")
      #expect(differing[.onnxRuntime]! > 0.01, "\(type.name): \(differing)")
    }
  }

  @Test("A kernel measured with channels last computes the same")
  func channelsLast() throws {
    var generator = SeededGenerator(seed: 4)
    let kernel = KernelSignature(
      kind: .convolution(kernel: 3, stride: 2, outputChannels: 5),
      input: TensorShape(channels: 3, height: 7, width: 9), range: .relu)
    let network = ParityTests.network(NetworkGraph(kernel), &generator)
    let map = ParityTests.pixels(kernel.input.count, &generator)
    let model = try ONNXModel.bytes(network, .init(input: .maps(.channelsLast), output: .map(.channelsLast)))
    let session = try OnnxRuntimeSession(model, .init(keepsOptimizedModel: true))
    func channelsLast(_ map: [UInt8], _ shape: TensorShape) -> [UInt8] {
      let area = shape.height * shape.width
      return (0..<area).flatMap { position in (0..<shape.channels).map { map[$0 * area + position] } }
    }
    let expected = try #require(network.evaluate(maps: [map]).last)
    #expect(
      try session.run(maps: [channelsLast(map, kernel.input)]) == channelsLast(expected, network.graph.outputShape))
    // The changes of order cancel out: the kernel stands alone in what the runtime runs.
    #expect(try ONNXModelSummary(#require(session.optimizedModel)).counts == ["QLinearConv": 1])

    let pool = KernelSignature(kind: .globalAveragePool, input: kernel.input, range: .unbounded)
    let pooled = ParityTests.network(NetworkGraph(pool), &generator)
    #expect(
      try OnnxRuntimeSession(ONNXModel.channelsLastPool(pooled)).run(maps: [channelsLast(map, kernel.input)])
        == pooled.evaluate(maps: [map]).last)
  }

  @Test(
    "Whole networks of every block type agree, with no float convolution left",
    arguments: ["mini32", "onnxw", "mobilew"])
  func networks(name: String) throws {
    let hyperspace = try #require(Hyperspace.builtIn(name))
    var generator = SeededGenerator(seed: 12, stream: name)
    let images = name == "mini32" ? 6 : 2
    for type in hyperspace.blockTypes.indices {
      let graph = ParityTests.graph(hyperspace, type: type, resolution: 32, &generator)
      let network = ParityTests.network(graph, &generator)
      let session = try OnnxRuntimeSession(try ONNXModel.bytes(network), .init(keepsOptimizedModel: true))
      let summary = try ONNXModelSummary(#require(session.optimizedModel))
      #expect(summary.floatProducts.isEmpty, "\(hyperspace.blockTypes[type].name)")
      #expect(summary.counts["QLinearConv"] == graph.nodes.count { $0.convolution != nil })
      #expect(summary.counts["Relu"] == nil && summary.counts["Clip"] == nil)

      let size = graph.inputShape.count
      let pixels = ParityTests.pixels(images * size, &generator)
      let logits = try session.run(pixels, images: images)
      for image in 0..<images {
        // Dozens of layers of untrained weights carry one byte's difference far: there is none.
        let expected = network.logits(Array(pixels[image * size..<(image + 1) * size]))
        #expect(
          Array(logits[image * expected.count..<(image + 1) * expected.count]) == expected,
          "\(hyperspace.blockTypes[type].name)")
      }
    }
  }

  @Test("The float model computes what the integers stand for")
  func float() throws {
    let hyperspace = try #require(Hyperspace.builtIn("mini32"))
    var generator = SeededGenerator(seed: 13)
    // The gates of SE turn with small differences where weights are untrained.
    for type in hyperspace.blockTypes.indices where !hyperspace.blockTypes[type].hasSqueezeExcitation {
      let graph = ParityTests.graph(hyperspace, type: type, resolution: 32, &generator)
      let network = IntegerNetwork(randomWeights: 5, for: graph)
      let pixels = ParityTests.pixels(graph.inputShape.count, &generator)
      let session = try OnnxRuntimeSession(ONNXModel.bytes(FloatNetwork(dequantizing: network)))
      let float = try session.run(pixels)
      let integer = network.logits(pixels)
      // Rounding at every node, but no bias: the two lists of logits point the same way.
      func dot(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
      let cosine = dot(float, integer) / (dot(float, float) * dot(integer, integer)).squareRoot()
      #expect(cosine > 0.8, "\(hyperspace.blockTypes[type].name): \(cosine)")
    }
  }
}
