public import NetworkGraphs
internal import Quantization
internal import SearchSpaces

/// In which numbers a network computes.
public enum Precision: String, Hashable, Sendable, Codable {
  /// No quantiser at all; ReLU and ReLU6 are functions.
  case float
  /// Weights and outputs go through the quantisers that the graph has. Between quantisers the numbers are whole: those of
  /// the integer network, byte for byte.
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
  private let raw: Tensor?
  private let result: NodeValue

  init(index: Int, raw: Tensor?, result: NodeValue) {
    (self.index, self.raw, self.result) = (index, raw, result)
  }

  /// What the next nodes read, in real numbers.
  public var value: Tensor { get throws(TorchError) { try result.real() } }

  /// Before ReLU or ReLU6: the features that distillation compares. A node that was computed in integers has nothing
  /// before its value.
  public var beforeRange: Tensor {
    get throws(TorchError) {
      if let raw { return raw }
      return try value
    }
  }
}

/// A map between two nodes.
enum NodeValue {
  case real(Tensor)
  case steps(SteppedMap)

  func real() throws(TorchError) -> Tensor {
    switch self {
    case .real(let tensor): tensor
    case .steps(let map): try map.real()
    }
  }

  var steps: SteppedMap? { if case .steps(let map) = self { map } else { nil } }
}

extension ParameterStore {
  /// Runs a subnet, and records what gradients need unless inside ``withoutGradients(_:)``.
  ///
  /// - Parameters:
  ///   - input: `[N, C, H, W]`: the normalised image, or the map that a stage reads. It is not quantised here: pixels
  ///     are whole multiples of their step already (``Tensor/step``; where that is not known, the first convolution is
  ///     computed in real numbers).
  ///   - graph: The subnet. Its parameters are slices of this store's.
  ///   - dropout: `[N, C, 1, 1]`, multiplies what the last node (the classifier) reads; `nil` to leave it alone.
  ///   - visit: Called with every node's output in order; for features of stages (`graph.stageOutputs`).
  /// - Returns: The last node's output, `[N, C, H, W]`; logits are `[N, K, 1, 1]` (``Tensor/flattened()``).
  /// - Throws: `TorchError` that names the node, such as one whose quantisers were never calibrated.
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
  /// Gives a node's output quantiser; sees the real tensor that it is for, where there is one.
  var outputQuantizer: (Node, Tensor?) throws(TorchError) -> ActivationQuantizer
  /// Gives the scales of a node's weights; sees the slice that they are for.
  var weightScales: (Node, Tensor) throws(TorchError) -> Tensor
  /// Multiplies what the last node reads.
  var dropout: Tensor?
  /// Receives each batch norm's mean and biased variance of this batch.
  var receiveStatistics: ((Node, BatchNormStatistics.Moments) throws(TorchError) -> Void)?
  /// The device's that the graph is for.
  private var arithmetic = IntegerArithmetic.onnxRuntime
  private var shortcutsAddedInConvolutions: Set<Int> = []
  /// Whether every output is there in real numbers before it is quantised, as a calibration needs it.
  var quantizesRealNumbers = false

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
    arithmetic = graph.arithmetic
    var values: [NodeValue?] = []
    shortcutsAddedInConvolutions = graph.shortcutsAddedInConvolutions
    var remainingReaders = graph.readerCounts
    for (index, node) in graph.nodes.enumerated() {
      let inputs = node.inputs.compactMap { values[$0] }
      let (raw, value): (Tensor?, NodeValue)
      do throws(TorchError) { (raw, value) = try compute(node, inputs: inputs, image: input) } catch {
        throw error.naming(node.name)
      }
      try visit(NodeOutput(index: index, raw: raw, result: value))
      if let dropout, graph.nodes.last?.inputs.first == index {
        values.append(.real(try value.real() * dropout))
      } else {
        values.append(value)
      }
      // Let go of what nobody reads any more: without gradients that is most of the memory.
      for read in node.inputs {
        remainingReaders[read] -= 1
        if remainingReaders[read] == 0 { values[read] = nil }
      }
    }
    guard let last = values.last, let output = last else { throw TorchError("the graph has no nodes") }
    return try output.real()
  }

  private func compute(
    _ node: Node, inputs: [NodeValue], image: Tensor
  ) throws(TorchError) -> (raw: Tensor?, value: NodeValue) {
    if case .input = node.operation { return (nil, try self.image(image, node)) }
    let isQuantized = precision == .quantized && node.quantizesOutput
    if isQuantized, !quantizesRealNumbers {
      if let map = try integers(node, inputs.compactMap(\.steps)) { return (nil, .steps(map)) }
      if let map = try addition(node, inputs) { return (nil, .steps(map)) }
    }
    let raw: Tensor
    if let exact = try realConvolution(node, inputs) {
      raw = exact
    } else {
      var reals: [Tensor] = []
      for input in inputs { reals.append(try input.real()) }
      raw = try realNumbers(node, reals)
    }
    if isQuantized {
      let quantizer = try outputQuantizer(node, raw)
      return (
        raw, quantizesRealNumbers ? .real(try raw.fakeQuantized(quantizer)) : .steps(try .quantizing(raw, quantizer))
      )
    }
    let value =
      switch node.range {
      case .unbounded: raw
      case .relu: try raw.relu()
      case .relu6: try raw.clamped(0, 6)
      }
    return (raw, .real(value))
  }

  private func image(_ image: Tensor, _ node: Node) throws(TorchError) -> NodeValue {
    let shape = image.shape
    guard shape.count == 4, Array(shape.dropFirst()) == [node.shape.channels, node.shape.height, node.shape.width]
    else {
      throw TorchError("the input has shape \(shape); images of \(node.shape) (channels x height x width) are right")
    }
    let image = try image.channelsLast()
    if precision == .quantized, node.quantizesOutput, !quantizesRealNumbers, let pixels = try SteppedMap.pixels(image) {
      return .steps(pixels)
    }
    return .real(image)
  }

  // MARK: In integers

  /// A node's quantised output from whole numbers, or `nil` where an input is not in whole numbers.
  private func integers(_ node: Node, _ inputs: [SteppedMap]) throws(TorchError) -> SteppedMap? {
    guard inputs.count == node.inputs.count else { return nil }
    switch node.operation {
    case .input: return nil
    case .convolution(let convolution):
      // None of ours has both a bias and a batch norm.
      guard node.quantizesWeights, !(convolution.hasBias && convolution.hasBatchNorm) else { return nil }
      return try convolve(node, convolution, inputs[0])
    case .activation(let activation):
      return try inputs[0].activated(activation, try outputQuantizer(node, nil), arithmetic)
    case .add: return try inputs[0].adding(inputs[1], try outputQuantizer(node, nil))
    case .multiply:
      return try inputs[0].multiplied(by: inputs[1], try outputQuantizer(node, nil), arithmetic)
    case .globalAveragePool:
      return try inputs[0].globalAveragePooled(try outputQuantizer(node, nil), arithmetic)
    }
  }

  /// OpenVINO's addition of what a block has computed in real numbers to its shortcut in whole ones; `nil` where it is
  /// none.
  private func addition(_ node: Node, _ inputs: [NodeValue]) throws(TorchError) -> SteppedMap? {
    guard arithmetic == .openVINO, node.operation == .add, case .real(let real) = inputs[0],
      let shortcut = inputs[1].steps
    else { return nil }
    return try shortcut.added(
      toReal: real, isFused: shortcutsAddedInConvolutions.contains(node.inputs[1]), try outputQuantizer(node, nil))
  }

  private func convolve(
    _ node: Node, _ convolution: Convolution, _ input: SteppedMap
  ) throws(TorchError) -> SteppedMap {
    let (sums, scales, epilogue) = try sums(node, convolution, input)
    return try input.requantized(sums, weightScales: scales, epilogue, try outputQuantizer(node, nil), arithmetic)
  }

  /// A convolution of whole numbers whose output is not quantised, as an addition that rounds once reads it.
  private func realConvolution(_ node: Node, _ inputs: [NodeValue]) throws(TorchError) -> Tensor? {
    guard precision == .quantized, !quantizesRealNumbers, !node.quantizesOutput, node.quantizesWeights,
      let convolution = node.convolution, !(convolution.hasBias && convolution.hasBatchNorm),
      let input = inputs[0].steps
    else { return nil }
    let (sums, scales, epilogue) = try sums(node, convolution, input)
    return try input.realNumbers(sums, weightScales: scales, epilogue)
  }

  private func sums(
    _ node: Node, _ convolution: Convolution, _ input: SteppedMap
  ) throws(TorchError) -> (sums: Tensor, weightScales: [Float], epilogue: ConvolutionEpilogue) {
    let weight = try slice(node, convolution)
    let scales = try weightScales(node, weight)
    let sums = try input.sums(
      weight: weight, scales: scales, stride: convolution.stride, padding: convolution.padding,
      groups: convolution.groups)
    let effectiveScales = try scales.effectiveScales()
    var epilogue = ConvolutionEpilogue(shift: try bias(node, convolution), isOfBatch: false)
    if convolution.hasBatchNorm {
      (epilogue.gamma, epilogue.shift) = try batchNorm(node, convolution)
      switch normalization {
      case .ofBatch:
        let moments = try input.moments(ofSums: sums, weightScales: effectiveScales)
        try receiveStatistics?(node, moments)
        (epilogue.moments, epilogue.isOfBatch) = (moments, true)
      case .given(let statistics): epilogue.moments = try statistics.moments(of: node)
      }
    }
    return (sums, effectiveScales, epilogue)
  }

  // MARK: In real numbers

  private func realNumbers(_ node: Node, _ inputs: [Tensor]) throws(TorchError) -> Tensor {
    switch node.operation {
    case .input: inputs[0]
    case .convolution(let convolution): try convolve(node, convolution, inputs[0])
    case .activation(let activation):
      switch activation {
      case .relu: try inputs[0].relu()
      case .relu6: try inputs[0].clamped(0, 6)
      case .hardSwish: try inputs[0].hardSwish()
      case .swish: try inputs[0].swish()
      case .hardSigmoid: try inputs[0].hardSigmoid()
      }
    case .add: try inputs[0] + inputs[1]
    case .multiply: try inputs[0] * inputs[1]
    case .globalAveragePool: try inputs[0].globalAveragePooled()
    }
  }

  private func convolve(_ node: Node, _ convolution: Convolution, _ input: Tensor) throws(TorchError) -> Tensor {
    var weight = try slice(node, convolution)
    if precision == .quantized && node.quantizesWeights {
      weight = try weight.fakeQuantizedWeight(scales: try weightScales(node, weight))
    }
    let output = try input.convolved(
      with: weight, bias: try bias(node, convolution), stride: convolution.stride, padding: convolution.padding,
      groups: convolution.groups)
    guard convolution.hasBatchNorm else { return output }
    let (gamma, beta) = try batchNorm(node, convolution)
    let epsilon = Double(BatchNormParameters.epsilon)
    switch normalization {
    case .ofBatch:
      let normalized = try output.batchNormalized(gamma: gamma, beta: beta, epsilon: epsilon)
      if let receiveStatistics {
        try receiveStatistics(
          node,
          BatchNormStatistics.Moments(mean: try normalized.mean.floats(), variance: try normalized.variance.floats()))
      }
      return normalized.output
    case .given(let statistics):
      let (mean, variance) = try statistics.tensors(of: node)
      return try output.batchNormalized(gamma: gamma, beta: beta, mean: mean, variance: variance, epsilon: epsilon)
    }
  }

  // MARK: Parameters

  private func slice(_ node: Node, _ convolution: Convolution) throws(TorchError) -> Tensor {
    let shape = convolution.weightShape
    return try store.tensor(node.parameterName(.weight))
      .weightSlice(outputChannels: shape[0], inputChannels: shape[1], kernel: shape[2])
  }

  private func bias(_ node: Node, _ convolution: Convolution) throws(TorchError) -> Tensor? {
    guard convolution.hasBias else { return nil }
    return try store.tensor(node.parameterName(.bias)).prefix(convolution.outputChannels)
  }

  private func batchNorm(
    _ node: Node, _ convolution: Convolution
  ) throws(TorchError) -> (gamma: Tensor, beta: Tensor) {
    (
      try store.tensor(node.parameterName(.batchNormScale)).prefix(convolution.outputChannels),
      try store.tensor(node.parameterName(.batchNormShift)).prefix(convolution.outputChannels)
    )
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
