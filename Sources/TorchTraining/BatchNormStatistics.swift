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

  func moments(of node: Node) throws(TorchError) -> Moments {
    guard let moments = moments[node.name] else { throw TorchError("its batch norm has no statistics") }
    guard moments.mean.count == node.shape.channels, moments.variance.count == node.shape.channels else {
      throw TorchError("its batch norm has \(node.shape.channels) channels, its statistics \(moments.mean.count)")
    }
    return moments
  }

  func tensors(of node: Node) throws(TorchError) -> (mean: Tensor, variance: Tensor) {
    let moments = try moments(of: node)
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
    var measured: [String: [BatchNormStatistics.Moments]] = [:]
    var hasBatch = false
    for batch in batches {
      var pass = ForwardPass(store: self, precision: precision, normalization: .ofBatch)
      pass.receiveStatistics = { node, moments throws(TorchError) in measured[node.name, default: []].append(moments) }
      _ = try withoutGradients { () throws(TorchError) in try pass.run(graph, on: batch) { _ in } }
      hasBatch = true
    }
    guard hasBatch else { throw TorchError("batch norm statistics need at least one batch of images") }
    return BatchNormStatistics(moments: measured.mapValues(BatchNormStatistics.Moments.init(pooling:)))
  }
}

extension BatchNormStatistics.Moments {
  /// Mean and variance of several batches of one size together: those of one batch are its own.
  init(pooling batches: [BatchNormStatistics.Moments]) {
    let channels = batches[0].mean.indices
    let count = Double(batches.count)
    let means = channels.map { channel in batches.reduce(0.0) { $0 + Double($1.mean[channel]) } / count }
    let variances = channels.map { channel in
      batches.reduce(0.0) { sum, batch in
        let distance = Double(batch.mean[channel]) - means[channel]
        return sum + Double(batch.variance[channel]) + distance * distance
      } / count
    }
    self.init(mean: means.map(Float.init), variance: variances.map(Float.init))
  }
}
