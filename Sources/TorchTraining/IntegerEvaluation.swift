internal import CTorch
internal import NetworkGraphs
public import Quantization

/// An integer network that libtorch evaluates, many images at once: what `IntegerNetwork.evaluate` computes, byte for
/// byte, at the speed of float convolutions.
///
/// A convolution runs in float32 on integers, which is exact while no partial sum passes 2^24; everything else is
/// integers and tables. Not `Sendable`, but several threads may evaluate at once.
public final class IntegerEvaluation {
  private enum Step {
    case convolution(weights: Tensor, biases: [Int32], Requantization, stride: Int, padding: Int, groups: Int)
    case lookup([UInt8])
    case pairs([UInt8])
    case pool
    /// An addition whose first addend is in real numbers.
    case addToReal(RealAddition)
  }

  public let network: IntegerNetwork
  /// One a node; `nil` for the input.
  private let steps: [Step?]

  public init(_ network: IntegerNetwork) throws(TorchError) {
    var steps: [Step?] = []
    for (index, node) in network.graph.nodes.enumerated() {
      switch node.operation {
      case .input: steps.append(nil)
      case .convolution(let convolution):
        guard let numbers = network.convolutions[index] else { throw TorchError("\(node.name): has no weights") }
        let weights = try Tensor.floats(numbers.weights.map(Float.init), shape: convolution.weightShape)
        steps.append(
          .convolution(
            weights: convolution.kernel > 1 ? try weights.channelsLast() : weights, biases: numbers.biases,
            network.requantization(at: index),
            stride: convolution.stride, padding: convolution.padding, groups: convolution.groups))
      case .activation: steps.append(.lookup(node.quantizesOutput ? network.elementTable(of: index) : []))
      case .add where !network.graph.nodes[node.inputs[0]].quantizesOutput:
        steps.append(.addToReal(network.realAddition(at: index)))
      case .add, .multiply: steps.append(.pairs(network.pairTable(of: index)))
      case .globalAveragePool: steps.append(.pool)
      }
    }
    self.network = network
    self.steps = steps
  }

  /// Runs the network.
  ///
  /// - Parameters:
  ///   - pixels: uint8 `[N, C, H, W]`.
  ///   - visit: Called with each node's index and output, uint8 `[N, C, H, W]`, in order; real numbers where the output
  ///     is not quantised.
  /// - Returns: The last node's output, uint8 `[N, C, H, W]`.
  public func run(
    _ pixels: Tensor, visit: (Int, Tensor) throws(TorchError) -> Void = { _, _ throws(TorchError) in }
  ) throws(TorchError) -> Tensor {
    try withoutGradients { () throws(TorchError) in
      var values: [Tensor?] = []
      var readers = network.graph.readerCounts
      for (index, node) in network.graph.nodes.enumerated() {
        let inputs = node.inputs.compactMap { values[$0] }
        let output: Tensor
        do throws(TorchError) { output = try compute(index, inputs, pixels) } catch {
          throw error.naming(node.name)
        }
        try visit(index, output)
        values.append(output)
        for read in node.inputs {
          readers[read] -= 1
          if readers[read] == 0 { values[read] = nil }
        }
      }
      guard let last = values.last, let output = last else { throw TorchError("the graph has no nodes") }
      return output
    }
  }

  /// The class of the largest logit of each image, the first of equal ones.
  public func classes(_ pixels: Tensor) throws(TorchError) -> [Int] {
    let logits = try run(pixels)
    let bytes = try logits.integers()
    let classes = bytes.count / max(1, logits.shape[0])
    return (0..<logits.shape[0]).map { image in
      let row = bytes[image * classes..<(image + 1) * classes]
      return row.indices.reduce(row.startIndex) { row[$1] > row[$0] ? $1 : $0 } - row.startIndex
    }
  }

  private func compute(_ index: Int, _ inputs: [Tensor], _ pixels: Tensor) throws(TorchError) -> Tensor {
    let node = network.graph.nodes[index]
    switch steps[index] {
    case nil:
      let shape = node.shape
      guard pixels.shape.count == 4, Array(pixels.shape.dropFirst()) == [shape.channels, shape.height, shape.width]
      else {
        throw TorchError("the input has shape \(pixels.shape); bytes of \(shape) (channels x height x width) are right")
      }
      return pixels
    case .convolution(let weights, let biases, let requantization, let stride, let padding, let groups):
      let zeroPoint = network.quantizers[node.inputs[0]].zeroPoint
      let sums = try inputs[0].pixelsAsFloats(shift: Float(zeroPoint))
        .convolved(with: weights, stride: stride, padding: padding, groups: groups)
      guard node.quantizesOutput else {
        let real = try tensor {
          ct_accumulated_reals(
            sums.handle, requantization.multipliers, requantization.realBiases, Int64(biases.count), $0)
        }
        return switch node.range {
        case .unbounded: real
        case .relu: try real.relu()
        case .relu6: try real.clamped(0, 6)
        }
      }
      return try tensor { out in
        withLine(requantization.line) { line in
          ct_requantise(
            sums.handle, biases, requantization.multipliers, requantization.realBiases, Int64(biases.count),
            Int32(network.quantizers[index].zeroPoint), line, out)
        }
      }
    case .lookup where !node.quantizesOutput:
      guard case .activation(let activation) = node.operation else { throw TorchError("is no activation") }
      let from = network.quantizers[node.inputs[0]]
      let table = (0...255).map { activation(from.dequantize(UInt8($0)), network.graph.arithmetic) }
      return try Tensor.floats(
        inputs[0].contiguous().integers().map { table[$0] }, shape: inputs[0].shape
      ).channelsLast()
    case .addToReal(let addition):
      return try tensor {
        ct_add_to_real(
          inputs[0].handle, inputs[1].handle, addition.shift, addition.factor, CTLine(addition.output), $0)
      }
    case .lookup(let table): return try tensor { ct_lookup(inputs[0].handle, table, $0) }
    case .pairs(let table): return try tensor { ct_lookup_pairs(inputs[0].handle, inputs[1].handle, table, $0) }
    case .pool:
      let sums = try tensor { ct_channel_sums(inputs[0].handle, $0) }.integers()
      let from = network.graph.nodes[node.inputs[0]].shape
      let bytes = sums.map { network.pooled(sum: $0, area: from.height * from.width, at: index) }
      return try Tensor.bytes(bytes, shape: [inputs[0].shape[0], from.channels, 1, 1])
    }
  }
}
