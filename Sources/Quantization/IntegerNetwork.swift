public import NetworkGraphs
import SearchSpaces

/// The numbers of one convolution as an integer runtime holds them, batch norm folded in.
public struct IntegerConvolution: Hashable, Sendable {
  /// In [-127, 127]; out x in/groups x k x k, row-major.
  public var weights: [Int8]
  /// One an output channel; the real weight is `scale * integer`.
  public var weightScales: [Float]
  /// One an output channel, in units of input scale x weight scale.
  public var biases: [Int32]

  public init(weights: [Int8], weightScales: [Float], biases: [Int32]) {
    self.weights = weights
    self.weightScales = weightScales
    self.biases = biases
  }
}

/// A network in integers: what the trainer trained, what the exporter writes, and what the runtime runs.
///
/// Every node's output is uint8 with the quantiser of the same index, and the clamp to 0...255 is also its ReLU or ReLU6.
/// A convolution sums `weights * (input - zeroPoint)` in int32. What follows is the device's
/// (`NetworkGraph.arithmetic`), every operation in single precision, half rounded to even:
///
/// - ONNX Runtime: `round((sum + bias) * (inputScale * weightScale / outputScale)) + zeroPoint`; an average over `n` places
///   likewise, `round(sum * (inputScale / (outputScale * n))) + zeroPoint`. Every other node computes in real numbers
///   between dequantised inputs and its quantised output, in the order of that runtime's kernels.
/// - OpenVINO: `sum * (inputScale * weightScale) + realBias`, quantised by the interval that the bytes cover
///   (`IntervalQuantizer`), as every other node's output is. A convolution or an activation whose output is not quantised
///   (`Node.quantizesOutput`) hands that sum, clamped at 0 or to 0...6 where it has that range, to the addition that reads
///   it, which rounds once (`RealAddition`).
public struct IntegerNetwork: Hashable, Sendable {
  public var graph: NetworkGraph
  /// One a node: its output's. The first is the normalisation of the pixels. That of an output which is not quantised
  /// says nothing.
  public var quantizers: [AffineQuantizer]
  /// By node index.
  public var convolutions: [Int: IntegerConvolution]

  /// - Precondition: a quantiser for every node and numbers of the right size for every convolution.
  public init(graph: NetworkGraph, quantizers: [AffineQuantizer], convolutions: [Int: IntegerConvolution]) {
    precondition(quantizers.count == graph.nodes.count, "one quantiser a node")
    precondition(graph.readersOfRealNumbersAdd, "only additions read what is not quantised")
    for (index, node) in graph.nodes.enumerated() {
      guard let convolution = node.convolution else { continue }
      let numbers = convolutions[index]
      precondition(
        numbers?.weights.count == convolution.weightCount
          && numbers?.weightScales.count == convolution.outputChannels
          && numbers?.biases.count == convolution.outputChannels, "\(node.name): weights do not fit its shape")
    }
    self.graph = graph
    self.quantizers = quantizers
    self.convolutions = convolutions
  }
}

extension IntegerNetwork {
  /// What follows the accumulators of a convolution.
  ///
  /// - Precondition: the node is a convolution.
  public func requantization(at node: Int) -> Requantization {
    let numbers = convolutions[node]!
    return Requantization(
      inputScale: quantizers[graph.nodes[node].inputs[0]].scale, weightScales: numbers.weightScales,
      biases: numbers.biases, output: graph.nodes[node].quantizesOutput ? quantizers[node] : nil,
      arithmetic: graph.arithmetic)
  }

  /// An addition whose first addend is in real numbers.
  ///
  /// - Precondition: the node is one.
  public func realAddition(at node: Int) -> RealAddition {
    let shortcut = graph.nodes[node].inputs[1]
    return RealAddition(
      shortcut: quantizers[shortcut], to: quantizers[node],
      isFused: graph.shortcutsAddedInConvolutions.contains(shortcut))
  }
}

extension NetworkGraph {
  /// Whether every output that is not quantised is a convolution's or an activation's, and read by additions only, which
  /// add it to bytes.
  public var readersOfRealNumbersAdd: Bool {
    nodes.indices.allSatisfy { index in
      guard !nodes[index].quantizesOutput else { return true }
      switch nodes[index].operation {
      case .convolution, .activation: break
      default: return false
      }
      return index != output
        && nodes.allSatisfy {
          !$0.inputs.contains(index)
            || ($0.operation == .add && $0.inputs[0] == index && nodes[$0.inputs[1]].quantizesOutput)
        }
    }
  }
}

/// The same network in real numbers, batch norm folded in: for comparison on the device.
public struct FloatNetwork: Hashable, Sendable {
  public struct FoldedConvolution: Hashable, Sendable {
    /// out x in/groups x k x k, row-major.
    public var weights: [Float]
    /// One an output channel.
    public var biases: [Float]

    public init(weights: [Float], biases: [Float]) {
      self.weights = weights
      self.biases = biases
    }
  }

  public var graph: NetworkGraph
  /// The normalisation of the uint8 pixels.
  public var input: AffineQuantizer
  /// By node index.
  public var convolutions: [Int: FoldedConvolution]

  public init(graph: NetworkGraph, input: AffineQuantizer, convolutions: [Int: FoldedConvolution]) {
    self.graph = graph
    self.input = input
    self.convolutions = convolutions
  }
}

extension IntegerNetwork {
  /// Random weights for a graph, with ranges such that activations neither vanish nor saturate: for measuring latency,
  /// which does not depend on the values.
  public init(randomWeights seed: UInt64, for graph: NetworkGraph) {
    var generator = SeededGenerator(seed: seed, stream: "random-integer-weights")
    var quantizers: [AffineQuantizer] = []
    var convolutions: [Int: IntegerConvolution] = [:]
    for (index, node) in graph.nodes.enumerated() {
      // Real values have a standard deviation near 1: 32 steps of 1/32, four deviations each side of zero.
      quantizers.append(
        node.range == .unbounded
          ? AffineQuantizer(scale: 1 / 32, zeroPoint: 128)
          : AffineQuantizer(scale: node.range == .relu6 ? 6 / 255 : 1 / 64, zeroPoint: 0))
      guard let convolution = node.convolution else { continue }
      let fanIn = Float(convolution.weightCount / convolution.outputChannels)
      let weights = (0..<convolution.weightCount).map { _ in Int8(generator.next(below: 255) - 127) }
      // Uniform integers have a deviation of 73.6; He's rule wants sqrt(2 / fan-in).
      let scale = (2 / fanIn).squareRoot() / 73.6
      convolutions[index] = IntegerConvolution(
        weights: weights, weightScales: [Float](repeating: scale, count: convolution.outputChannels),
        biases: (0..<convolution.outputChannels).map { _ in Int32(generator.next(below: 201) - 100) })
    }
    self.init(graph: graph, quantizers: quantizers, convolutions: convolutions)
  }
}

extension FloatNetwork {
  /// The real weights that an integer network's integers stand for.
  public init(dequantizing network: IntegerNetwork) {
    var convolutions: [Int: FoldedConvolution] = [:]
    for (index, numbers) in network.convolutions {
      let filter = numbers.weights.count / numbers.weightScales.count
      let inputScale = network.quantizers[network.graph.nodes[index].inputs[0]].scale
      convolutions[index] = FoldedConvolution(
        weights: numbers.weights.enumerated().map { Float($1) * numbers.weightScales[$0 / filter] },
        biases: zip(numbers.biases, numbers.weightScales).map { Float($0) * inputScale * $1 })
    }
    self.init(graph: network.graph, input: network.quantizers[0], convolutions: convolutions)
  }
}
