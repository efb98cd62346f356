import Datasets
import Foundation
import NetworkGraphs
import Quantization
import SearchSpaces
import TorchTraining

// The speed of training steps of one fixed network, for Benchmarks/training.sh, which runs this and the same network in
// Python in turn. One JSON line a mode; with the argument `describe` the network's nodes and nothing else.

/// A network of `mini32` with MBConv and fused MBConv stages, 19 M MACs.
func benchmarkGraph() throws -> NetworkGraph {
  guard let hyperspace = Hyperspace.builtIn("mini32") else { throw TorchError("mini32 is not built in") }
  let space = try hyperspace.space("mini32-1155-1222")
  return try NetworkGraph(hyperspace.largestSubnet(of: space), of: space, in: hyperspace)
}

struct NodeDescription: Encodable {
  var operation: String
  var inputs: [Int]
  var range: String
  var channels: [Int]?
  var kernel: Int?
  var stride: Int?
  var groups: Int?
  var bias: Bool?
  var batchNorm: Bool?

  init(_ node: Node) {
    inputs = node.inputs
    range = node.range.rawValue
    switch node.operation {
    case .input: operation = "input"
    case .convolution(let convolution):
      operation = "convolution"
      channels = [convolution.inputChannels, convolution.outputChannels]
      kernel = convolution.kernel
      stride = convolution.stride
      groups = convolution.groups
      bias = convolution.hasBias
      batchNorm = convolution.hasBatchNorm
    case .activation(let activation): operation = activation.rawValue
    case .add: operation = "add"
    case .multiply: operation = "multiply"
    case .globalAveragePool: operation = "pool"
    }
  }
}

struct Speed: Encodable {
  var mode: String
  var imagesPerSecond: Double
}

@main struct TrainingBenchmark {
  static func main() throws {
    let batch = 64
    Torch.keepFreedMemory()
    try Torch.setThreads(1)
    let graph = try benchmarkGraph()
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys

    if CommandLine.arguments.contains("describe") {
      print(String(decoding: try encoder.encode(graph.nodes.map(NodeDescription.init)), as: UTF8.self))
      exit(0)
    }

    let store = try ParameterStore(ParameterLayout([graph]), seed: 1)
    var generator = SeededGenerator(seed: 1)
    let pixels = (0..<batch * 1024).map { _ in Float(generator.next(below: 256) - 128) / 64 }
    let images = try Tensor.floats(pixels, shape: [batch, 1, 32, 32], step: 1 / 64).channelsLast()
    let labels = try Tensor.integers((0..<batch).map { _ in generator.next(below: 10) }, shape: [batch])
    try store.calibrateQuantizers(graphs: [graph], batches: [images])
    let names = store.layout.names
    let optimizer = try SGD(store.tensors(names), settings: store.settings(names, weightDecay: 3e-5))

    /// Seconds of one step: forward, backward, update.
    func step(_ precision: Precision) throws -> Double {
      let start = ContinuousClock.now
      let loss = try store.forward(images, through: graph, precision: precision).flattened()
        .crossEntropy(labels: labels, smoothing: 0.1)
      try optimizer.step(gradients: loss.gradients(of: optimizer.parameters), learningRate: 1e-4)
      let duration = start.duration(to: .now)
      return Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    }

    for (mode, precision) in [("float", Precision.float), ("quantised", .quantized)] {
      _ = try step(precision)
      let best = try (0..<12).map { _ in try step(precision) }.min()!
      print(
        String(
          decoding: try encoder.encode(Speed(mode: mode, imagesPerSecond: Double(batch) / best)), as: UTF8.self))
    }

    // Augmentation has to keep up with training.
    for size in [32, 224] {
      let count = size == 32 ? 256 : 16
      let bytes = (0..<count * 3 * size * size).map { _ in UInt8(generator.next(below: 256)) }
      let dataset = try ImageDataset(
        name: "noise", classNames: ["noise"], channels: 3, height: size, width: size, pixels: bytes,
        labels: [Int32](repeating: 0, count: count))
      let augmentation = Augmentation.photographic(
        .init(leastArea: 0.35, shift: 0, flips: true, operations: 2, magnitude: 9))
      let normalization = Normalization(scale: 1 / 64, zeroPoint: 128)
      let best = (0..<5).map { step in
        let start = ContinuousClock.now
        _ = dataset.batch(
          0..<count, augmentation: augmentation, normalization: normalization, seed: 1, epoch: 0, step: step)
        let duration = start.duration(to: .now)
        return Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
      }.min()!
      print(
        String(
          decoding: try encoder.encode(
            Speed(mode: "augmenting \(size)x\(size)", imagesPerSecond: Double(count) / best)), as: UTF8.self))
    }
  }
}
