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
    var measured: [String: [(moments: BatchNormStatistics.Moments, images: Int)]] = [:]
    var hasBatch = false
    for batch in batches {
      var pass = ForwardPass(store: self, precision: precision, normalization: .ofBatch)
      let images = batch.shape.first ?? 0
      pass.receiveStatistics = { node, moments throws(TorchError) in
        measured[node.name, default: []].append((moments, images))
      }
      _ = try withoutGradients { () throws(TorchError) in try pass.run(graph, on: batch) { _ in } }
      hasBatch = true
    }
    guard hasBatch else { throw TorchError("batch norm statistics need at least one batch of images") }
    return BatchNormStatistics(moments: measured.mapValues(BatchNormStatistics.Moments.init(pooling:)))
  }
}

extension BatchNormStatistics.Moments {
  /// Mean and variance of several batches together, each by its number of images: those of one batch are its own.
  init(pooling batches: [(moments: BatchNormStatistics.Moments, images: Int)]) {
    let channels = batches[0].moments.mean.indices
    let images = Double(batches.reduce(0) { $0 + $1.images })
    func mean(_ value: (BatchNormStatistics.Moments) -> Double) -> Double {
      batches.reduce(0) { $0 + value($1.moments) * Double($1.images) } / images
    }
    let means = channels.map { channel in mean { Double($0.mean[channel]) } }
    let variances = channels.map { channel in
      mean { batch in
        let distance = Double(batch.mean[channel]) - means[channel]
        return Double(batch.variance[channel]) + distance * distance
      }
    }
    self.init(mean: means.map(Float.init), variance: variances.map(Float.init))
  }
}
