public import NetworkGraphs

/// Mean and variance of every batch norm of one subnet, as its exported model has them.
///
/// A supernet has no running statistics: those of one subnet are wrong for another (Yu et al., BigNAS, arXiv
/// 2003.11142), so each subnet's are measured when it is evaluated or exported.
public struct BatchNormStatistics: Hashable, Sendable {
  public struct Moments: Hashable, Sendable {
    /// One a channel.
    public var mean: [Float]
    /// One a channel, biased.
    public var variance: [Float]

    public init(mean: [Float], variance: [Float]) {
      self.mean = mean
      self.variance = variance
    }
  }

  /// By node name.
  public var moments: [String: Moments]

  public init(moments: [String: Moments]) { self.moments = moments }

  func tensors(of node: Node) throws(TorchError) -> (mean: Tensor, variance: Tensor) {
    guard let moments = moments[node.name] else { throw TorchError("its batch norm has no statistics") }
    return (
      try Tensor.floats(moments.mean, shape: [moments.mean.count]),
      try Tensor.floats(moments.variance, shape: [moments.variance.count])
    )
  }
}

extension ParameterStore {
  /// Measures the statistics of a subnet over batches of images `[N, C, H, W]`: the mean and variance of all of them
  /// together, each layer reading what the layers before make of their batch.
  ///
  /// Throws if there is no batch.
  public func batchNormStatistics(
    of graph: NetworkGraph, precision: Precision, batches: some Sequence<Tensor>
  ) throws(TorchError) -> BatchNormStatistics {
    var sums: [String: (mean: [Double], square: [Double])] = [:]
    var count = 0.0
    for batch in batches {
      count += 1
      var measured: [(name: String, normalized: BatchNormalized)] = []
      var pass = ForwardPass(store: self, precision: precision, normalization: .ofBatch)
      pass.receiveStatistics = { node, normalized throws(TorchError) in measured.append((node.name, normalized)) }
      _ = try withoutGradients { () throws(TorchError) in try pass.run(graph, on: batch) { _ in } }
      for (name, normalized) in measured {
        let means = try normalized.mean.floats().map(Double.init)
        let squares = zip(try normalized.variance.floats().map(Double.init), means).map { $0 + $1 * $1 }
        let sum = sums[name]
        sums[name] = (
          mean: sum.map { zip($0.mean, means).map(+) } ?? means,
          square: sum.map { zip($0.square, squares).map(+) } ?? squares
        )
      }
    }
    guard count > 0 else { throw TorchError("batch norm statistics need at least one batch of images") }
    return BatchNormStatistics(
      moments: sums.mapValues { sum in
        let means = sum.mean.map { $0 / count }
        return BatchNormStatistics.Moments(
          mean: means.map(Float.init),
          variance: zip(sum.square, means).map { Float(max(0, $0 / count - $1 * $1)) })
      })
  }
}
