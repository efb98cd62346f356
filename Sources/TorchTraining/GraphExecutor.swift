public import NetworkGraphs
internal import Quantization
internal import SearchSpaces

/// In which numbers a network computes.
public enum Precision: String, Hashable, Sendable, Codable {
  /// No quantiser at all; ReLU and ReLU6 are functions.
  case float
  /// Weights and outputs go through the quantisers that the graph has, in real numbers on the integers' grid.
  case quantized
}

/// Where batch norm takes its statistics from.
public enum Normalization {
  /// The batch itself, as in training.
  case ofBatch
  /// Statistics of this very subnet, as in the exported model.
  case given(BatchNormStatistics)
}

/// What a node computed, `[N, C, H, W]`.
public struct NodeOutput {
  /// Index in the graph.
  public let index: Int
  /// Before ReLU or ReLU6 and before the quantiser: the features that distillation compares.
  public let beforeRange: Tensor
  /// What the next nodes read.
  public let value: Tensor
}

extension ParameterStore {
  /// Runs a subnet, and records what gradients need unless inside ``withoutGradients(_:)``.
  ///
  /// - Parameters:
  ///   - input: `[N, C, H, W]`: the normalised image, or the map that a stage reads. It is not quantised here: pixels
  ///     are on the grid of their quantiser already.
  ///   - graph: The subnet. Its parameters are slices of this store's.
  ///   - dropout: `[N, C, 1, 1]`, multiplies what the last node (the classifier) reads; `nil` to leave it alone.
  ///   - visit: Called with every node's output in order; for features of stages (`graph.stageOutputs`).
  /// - Returns: The last node's output, `[N, C, H, W]`; logits are `[N, K, 1, 1]` (``Tensor/flattened()``).
  /// - Throws: `TorchError` that names the node. A quantiser that was never calibrated gives NaN, not an error.
  public func forward(
    _ input: Tensor, through graph: NetworkGraph, precision: Precision, normalization: Normalization = .ofBatch,
    dropout: Tensor? = nil, visit: (NodeOutput) throws(TorchError) -> Void = { _ in }
  ) throws(TorchError) -> Tensor {
    var pass = ForwardPass(store: self, precision: precision, normalization: normalization)
    pass.dropout = dropout
    return try pass.run(graph, on: input, visit: visit)
  }
}

/// One walk over a graph. Calibration and recalibration are walks in which something is measured on the way.
struct ForwardPass {
  let store: ParameterStore
  let precision: Precision
  let normalization: Normalization
  /// Gives a node's output quantiser; sees the tensor that it is for.
  var outputQuantizer: (Node, Tensor) throws(TorchError) -> ActivationQuantizer
  /// Gives the scales of a node's weights; sees the slice that they are for.
  var weightScales: (Node, Tensor) throws(TorchError) -> Tensor
  /// Multiplies what the last node reads.
  var dropout: Tensor?
  /// Receives each batch norm's mean and biased variance of this batch.
  var receiveStatistics: (Node, BatchNormalized) throws(TorchError) -> Void = { _, _ in }

  init(store: ParameterStore, precision: Precision, normalization: Normalization) {
    self.store = store
    self.precision = precision
    self.normalization = normalization
    self.outputQuantizer = { node, _ throws(TorchError) in try store.outputQuantizer(of: node) }
    self.weightScales = { node, weight throws(TorchError) in
      try store.tensor(node.parameterName(.weightScale)).prefix(weight.shape[0])
    }
  }

  mutating func run(
    _ graph: NetworkGraph, on input: Tensor, visit: (NodeOutput) throws(TorchError) -> Void
  ) throws(TorchError) -> Tensor {
    var values: [Tensor?] = []
    var remainingReaders = [Int](repeating: 0, count: graph.nodes.count)
    for node in graph.nodes { for index in node.inputs { remainingReaders[index] += 1 } }
    for (index, node) in graph.nodes.enumerated() {
      let inputs = node.inputs.compactMap { values[$0] }
      let output: NodeOutput
      do throws(TorchError) { output = try compute(node, index: index, inputs: inputs, image: input) } catch {
        throw TorchError("\(node.name): \(error.message)")
      }
      try visit(output)
      if let dropout, graph.nodes.last?.inputs.first == index {
        values.append(try output.value * dropout)
      } else {
        values.append(output.value)
      }
      // Let go of what nobody reads any more: without gradients that is most of the memory.
      for read in node.inputs {
        remainingReaders[read] -= 1
        if remainingReaders[read] == 0 { values[read] = nil }
      }
    }
    guard let last = values.last, let output = last else { throw TorchError("the graph has no nodes") }
    return output
  }

  private func compute(
    _ node: Node, index: Int, inputs: [Tensor], image: Tensor
  ) throws(TorchError) -> NodeOutput {
    let raw: Tensor
    switch node.operation {
    case .input:
      let shape = image.shape
      guard shape.count == 4, Array(shape.dropFirst()) == [node.shape.channels, node.shape.height, node.shape.width]
      else {
        throw TorchError("the input has shape \(shape); images of \(node.shape) (channels x height x width) are right")
      }
      let image = try image.channelsLast()
      return NodeOutput(index: index, beforeRange: image, value: image)
    case .convolution(let convolution): raw = try convolve(node, convolution, inputs[0])
    case .activation(let activation):
      switch activation {
      case .relu: raw = try inputs[0].relu()
      case .relu6: raw = try inputs[0].clamped(0, 6)
      case .hardSwish: raw = try inputs[0].hardSwish()
      case .swish: raw = try inputs[0].swish()
      case .hardSigmoid: raw = try inputs[0].hardSigmoid()
      }
    case .add: raw = try inputs[0] + inputs[1]
    case .multiply: raw = try inputs[0] * inputs[1]
    case .globalAveragePool: raw = try inputs[0].globalAveragePooled()
    }
    if precision == .quantized && node.quantizesOutput {
      let quantizer = try outputQuantizer(node, raw)
      return NodeOutput(index: index, beforeRange: raw, value: try raw.fakeQuantized(quantizer))
    }
    let value =
      switch node.range {
      case .unbounded: raw
      case .relu: try raw.relu()
      case .relu6: try raw.clamped(0, 6)
      }
    return NodeOutput(index: index, beforeRange: raw, value: value)
  }

  private func convolve(_ node: Node, _ convolution: Convolution, _ input: Tensor) throws(TorchError) -> Tensor {
    let channels = convolution.outputChannels
    let shape = convolution.weightShape
    var weight = try store.tensor(node.parameterName(.weight))
      .weightSlice(outputChannels: shape[0], inputChannels: shape[1], kernel: shape[2])
    if precision == .quantized && node.quantizesWeights {
      weight = try weight.fakeQuantizedWeight(scales: try weightScales(node, weight))
    }
    let bias = convolution.hasBias ? try store.tensor(node.parameterName(.bias)).prefix(channels) : nil
    let output = try input.convolved(
      with: weight, bias: bias, stride: convolution.stride, padding: convolution.padding, groups: convolution.groups)
    guard convolution.hasBatchNorm else { return output }
    let gamma = try store.tensor(node.parameterName(.batchNormScale)).prefix(channels)
    let beta = try store.tensor(node.parameterName(.batchNormShift)).prefix(channels)
    let epsilon = Double(BatchNormParameters.epsilon)
    switch normalization {
    case .ofBatch:
      let normalized = try output.batchNormalized(gamma: gamma, beta: beta, epsilon: epsilon)
      try receiveStatistics(node, normalized)
      return normalized.output
    case .given(let statistics):
      let (mean, variance) = try statistics.tensors(of: node)
      return try output.batchNormalized(gamma: gamma, beta: beta, mean: mean, variance: variance, epsilon: epsilon)
    }
  }
}

extension ParameterStore {
  /// The quantiser of a node's output.
  func outputQuantizer(of node: Node) throws(TorchError) -> ActivationQuantizer {
    let scale = try tensor(node.parameterName(.outputScale))
    let beta = node.range == .unbounded ? try tensor(node.parameterName(.outputOffset)) : nil
    return ActivationQuantizer(scale: scale, beta: beta, maximumScale: node.maximumScale)
  }
}

extension Node {
  /// ReLU6 reaches 6 at most, so 255 steps must too.
  var maximumScale: Float? { range == .relu6 ? 6 / 255 : nil }
}
