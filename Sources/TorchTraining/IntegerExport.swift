public import NetworkGraphs
public import Quantization

extension ParameterStore {
  /// The integers of a trained subnet: what the exported model holds, and what fake quantisation computed with.
  ///
  /// - Parameters:
  ///   - graph: A subnet in which every node is quantised, but for those that only additions read.
  ///   - statistics: Of this subnet's batch norms, measured in quantised precision.
  ///   - pixels: The quantiser of the input: the normalisation of uint8 pixels.
  /// - Throws: `TorchError` that names a node whose quantisers were never calibrated, that is not quantised, or whose
  ///   batch norm has no statistics.
  public func integerNetwork(
    _ graph: NetworkGraph, statistics: BatchNormStatistics, pixels: AffineQuantizer
  ) throws(TorchError) -> IntegerNetwork {
    let missing = try uncalibratedQuantizers(of: graph)
    guard missing.isEmpty else {
      throw TorchError("quantisers were never calibrated: " + missing.prefix(5).joined(separator: ", "))
    }
    var quantizers: [AffineQuantizer] = []
    var convolutions: [Int: IntegerConvolution] = [:]
    for (index, node) in graph.nodes.enumerated() {
      if case .input = node.operation {
        quantizers.append(pixels)
        continue
      }
      guard graph.readersOfRealNumbersAdd, node.convolution == nil || node.quantizesWeights else {
        throw TorchError("\(node.name): is not quantised, so there is no integer network of this graph")
      }
      // Where there is none, any will do.
      quantizers.append(
        node.quantizesOutput ? try outputQuantizer(of: node).affine() : AffineQuantizer(scale: 1, zeroPoint: 0))
      guard let convolution = node.convolution else { continue }
      let weight = try slicedWeight(node, convolution)
      let scales = try tensor(node.parameterName(.weightScale)).prefix(convolution.outputChannels)
      convolutions[index] = IntegerConvolution(
        folding: try weight.weightIntegers(scales: scales), scales: try scales.effectiveScales(),
        bias: try bias(node, convolution), batchNorm: try batchNorm(node, convolution, statistics),
        inputScale: quantizers[node.inputs[0]].scale)
    }
    return IntegerNetwork(graph: graph, quantizers: quantizers, convolutions: convolutions)
  }

  /// The same subnet without quantisers, batch norm folded in.
  ///
  /// `statistics` are those measured in float precision. Throws as ``integerNetwork(_:statistics:pixels:)``.
  public func floatNetwork(
    _ graph: NetworkGraph, statistics: BatchNormStatistics, pixels: AffineQuantizer
  ) throws(TorchError) -> FloatNetwork {
    var convolutions: [Int: FloatNetwork.FoldedConvolution] = [:]
    for (index, node) in graph.nodes.enumerated() {
      guard let convolution = node.convolution else { continue }
      convolutions[index] = FloatNetwork.FoldedConvolution(
        folding: try slicedWeight(node, convolution).floats(), outputChannels: convolution.outputChannels,
        bias: try bias(node, convolution), batchNorm: try batchNorm(node, convolution, statistics))
    }
    return FloatNetwork(graph: graph, input: pixels, convolutions: convolutions)
  }

  private func slicedWeight(_ node: Node, _ convolution: Convolution) throws(TorchError) -> Tensor {
    let weight = try tensor(node.parameterName(.weight))
    let shape = convolution.weightShape
    return try withoutGradients { () throws(TorchError) in
      try weight.weightSlice(outputChannels: shape[0], inputChannels: shape[1], kernel: shape[2])
    }
  }

  private func bias(_ node: Node, _ convolution: Convolution) throws(TorchError) -> [Float]? {
    guard convolution.hasBias else { return nil }
    return try finite(node.parameterName(.bias), convolution.outputChannels)
  }

  /// The first values of a parameter, none of which may be infinite or no number: no integer stands for that.
  private func finite(_ name: String, _ count: Int) throws(TorchError) -> [Float] {
    let values = try tensor(name).prefix(count).floats()
    guard values.allSatisfy(\.isFinite) else {
      throw TorchError("\(name): it is not finite; the training has diverged", tellsDivergence: true)
    }
    return values
  }

  private func batchNorm(
    _ node: Node, _ convolution: Convolution, _ statistics: BatchNormStatistics
  ) throws(TorchError) -> BatchNormParameters? {
    guard convolution.hasBatchNorm else { return nil }
    guard let moments = statistics.moments[node.name], moments.mean.count == convolution.outputChannels else {
      throw TorchError("\(node.name): the statistics are not those of this subnet")
    }
    guard (moments.mean + moments.variance).allSatisfy(\.isFinite) else {
      throw TorchError(
        "\(node.name): its batch norm's statistics are not finite; the training has diverged", tellsDivergence: true)
    }
    let parameters = BatchNormParameters(
      gamma: try finite(node.parameterName(.batchNormScale), convolution.outputChannels),
      beta: try finite(node.parameterName(.batchNormShift), convolution.outputChannels),
      mean: moments.mean, variance: moments.variance)
    guard parameters.isFoldable else {
      throw TorchError(
        "\(node.name): what its batch norm multiplies or adds is not finite; the training has diverged",
        tellsDivergence: true)
    }
    return parameters
  }
}
