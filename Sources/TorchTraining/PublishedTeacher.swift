public import NetworkGraphs
internal import Quantization

extension EfficientNetLite {
  /// The published preprocessing: `(pixel - 127) / 128`.
  public static let publishedScale: Float = 1 / 128
  public static let publishedZeroPoint: UInt8 = 127

  /// The published epsilon of batch norm; the program's is smaller, which the gammas make up for.
  private static let publishedEpsilon: Float = 1e-3

  /// The parameters of a published weight file, and its batch norm statistics.
  ///
  /// Grey images take the sum of the stem's weights over the colours. A number of classes other than 1000 leaves the
  /// last layer as the seed made it.
  ///
  /// - Parameters:
  ///   - pixelScale: The scale of the images' normalisation; the stem's weights are adapted to it.
  ///   - seed: For what the file does not give.
  /// - Throws: `TorchError` that names a tensor which is missing or has another shape.
  public func parameters(
    from file: LegacyTorchFile, pixelScale: Float = EfficientNetLite.publishedScale, seed: UInt64
  ) throws(TorchError) -> (store: ParameterStore, statistics: BatchNormStatistics) {
    let graph = graph
    let store = try ParameterStore(ParameterLayout([graph]), seed: seed)
    let names = publishedNames
    var moments: [String: BatchNormStatistics.Moments] = [:]
    for node in graph.nodes {
      guard let convolution = node.convolution, let published = names[node.name] else { continue }
      if node.name == "logits" {
        guard classes == 1000 else { continue }
        try assign(
          floats(file, "_fc.bias", [classes]), shape: [classes], to: node.parameterName(.bias), of: store)
      }
      let factor = node.name == "stem" ? Self.publishedScale / pixelScale : 1
      try assign(
        weight(node, convolution, published.weight + ".weight", file).map { $0 * factor },
        shape: convolution.weightShape, to: node.parameterName(.weight), of: store)
      guard let prefix = published.batchNorm else { continue }
      let shape = [convolution.outputChannels]
      let variance = try floats(file, prefix + ".running_var", shape)
      guard variance.allSatisfy({ $0 >= 0 && $0.isFinite }) else {
        throw TorchError("\(prefix).running_var: a variance is negative or not finite")
      }
      let gamma = zip(try floats(file, prefix + ".weight", shape), variance).map { gamma, variance in
        gamma * ((variance + BatchNormParameters.epsilon) / (variance + Self.publishedEpsilon)).squareRoot()
      }
      try assign(gamma, shape: shape, to: node.parameterName(.batchNormScale), of: store)
      try assign(
        floats(file, prefix + ".bias", shape), shape: shape, to: node.parameterName(.batchNormShift), of: store)
      moments[node.name] = .init(mean: try floats(file, prefix + ".running_mean", shape), variance: variance)
    }
    return (store, BatchNormStatistics(moments: moments))
  }

  private func assign(
    _ values: [Float], shape: [Int], to name: String, of store: ParameterStore
  ) throws(TorchError) {
    try store.tensor(name).assign(Tensor.floats(values, shape: shape))
  }

  private func floats(_ file: LegacyTorchFile, _ name: String, _ shape: [Int]) throws(TorchError) -> [Float] {
    guard let tensor = file.tensors[name] else {
      throw TorchError("the file has no tensor \(name); it is not of EfficientNet-Lite\(variant)")
    }
    guard tensor.shape == shape, case .float32(let values) = tensor.elements else {
      throw TorchError(
        "\(name) has shape \(tensor.shape) in the file; float32 of shape \(shape) is that of EfficientNet-Lite\(variant)"
      )
    }
    return values
  }

  /// A published weight in the place that the graph's kernel has for it.
  private func weight(
    _ node: Node, _ convolution: Convolution, _ name: String, _ file: LegacyTorchFile
  ) throws(TorchError) -> [Float] {
    let wanted = convolution.weightShape
    guard let tensor = file.tensors[name] else {
      throw TorchError("the file has no tensor \(name); it is not of EfficientNet-Lite\(variant)")
    }
    var shape = tensor.shape
    if shape.count == 2 { shape += [1, 1] }
    let isStem = node.name == "stem"
    guard shape.count == 4, shape[0] == wanted[0], isStem ? shape[1] == 3 : shape[1] == wanted[1],
      shape[2] == shape[3], shape[2] <= wanted[2], case .float32(let values) = tensor.elements
    else {
      throw TorchError(
        "\(name) has shape \(tensor.shape) in the file, which does not go into \(wanted) of EfficientNet-Lite\(variant)"
      )
    }
    let (side, place) = (shape[2], Self.weightOffset(convolution, published: shape[2]))
    var placed = [Float](repeating: 0, count: convolution.weightCount)
    for out in 0..<shape[0] {
      for input in 0..<shape[1] {
        let target = isStem && wanted[1] == 1 ? 0 : input
        for row in 0..<side {
          for column in 0..<side {
            placed[((out * wanted[1] + target) * wanted[2] + row + place) * wanted[3] + column + place] +=
              values[((out * shape[1] + input) * side + row) * side + column]
          }
        }
      }
    }
    return placed
  }
}
