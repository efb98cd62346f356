internal import CTorch

/// What batch normalisation computed, and from which statistics.
public struct BatchNormalized {
  /// `[N, C, H, W]`
  public let output: Tensor
  /// `[C]`, without history.
  public let mean: Tensor
  /// `[C]`, biased (divided by N * H * W), without history.
  public let variance: Tensor
}

extension Tensor {
  /// `[N, I, H, W] -> [N, O, H', W']` with `weight` `[O, I / groups, K, K]`, `bias` `[O]` and zeros around the edges;
  /// `H' = (H + 2 padding - K) / stride + 1`.
  public func convolved(
    with weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0, groups: Int = 1
  ) throws(TorchError) -> Tensor {
    let result = try tensor {
      ct_conv2d(handle, weight.handle, bias?.handle, Int64(stride), Int64(padding), Int64(groups), $0)
    }
    withExtendedLifetime(bias) {}
    return result
  }

  /// Batch normalisation with the statistics of this batch, which come back too. `gamma`, `beta`: `[C]`.
  public func batchNormalized(
    gamma: Tensor, beta: Tensor, epsilon: Double
  ) throws(TorchError) -> BatchNormalized {
    var output: OpaquePointer?
    var mean: OpaquePointer?
    var variance: OpaquePointer?
    try check(ct_batch_norm(handle, gamma.handle, beta.handle, epsilon, &output, &mean, &variance))
    guard let output, let mean, let variance else { throw TorchError("libtorch handed over no tensor") }
    return BatchNormalized(
      output: Tensor(owning: output), mean: Tensor(owning: mean), variance: Tensor(owning: variance))
  }

  /// Batch normalisation with given statistics, `[C]` each.
  public func batchNormalized(
    gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, epsilon: Double
  ) throws(TorchError) -> Tensor {
    try tensor {
      ct_batch_norm_with(handle, gamma.handle, beta.handle, mean.handle, variance.handle, epsilon, $0)
    }
  }

  public func relu() throws(TorchError) -> Tensor { try tensor { ct_relu(handle, $0) } }

  /// Elements below `low` become `low`, those above `high` become `high`; `clamped(0, 6)` is ReLU6.
  public func clamped(_ low: Double, _ high: Double) throws(TorchError) -> Tensor {
    try tensor { ct_clamp(handle, low, high, $0) }
  }

  /// `x * clamp(x + 3, 0, 6) / 6` (Howard et al., MobileNetV3, arXiv 1905.02244).
  public func hardSwish() throws(TorchError) -> Tensor { try tensor { ct_hardswish(handle, $0) } }

  /// `clamp(x + 3, 0, 6) / 6`
  public func hardSigmoid() throws(TorchError) -> Tensor { try tensor { ct_hardsigmoid(handle, $0) } }

  /// `x * sigmoid(x)`, also called SiLU (Ramachandran et al., arXiv 1710.05941).
  public func swish() throws(TorchError) -> Tensor { try tensor { ct_silu(handle, $0) } }

  public func sigmoid() throws(TorchError) -> Tensor { try tensor { ct_sigmoid(handle, $0) } }

  /// `[N, C, H, W] -> [N, C, 1, 1]`: mean over rows and columns.
  public func globalAveragePooled() throws(TorchError) -> Tensor {
    try tensor { ct_global_average_pool(handle, $0) }
  }

  /// Mean over windows; the zeros of the padding are not counted.
  public func averagePooled(kernel: Int, stride: Int, padding: Int = 0) throws(TorchError) -> Tensor {
    try tensor { ct_average_pool(handle, Int64(kernel), Int64(stride), Int64(padding), $0) }
  }

  public func maxPooled(kernel: Int, stride: Int, padding: Int = 0) throws(TorchError) -> Tensor {
    try tensor { ct_max_pool(handle, Int64(kernel), Int64(stride), Int64(padding), $0) }
  }

  /// Zeroes elements with the given probability, in `0..<1`, and divides the others by `1 - probability`. The same seed
  /// chooses the same elements on every thread.
  public func dropout(_ probability: Double, seed: UInt64) throws(TorchError) -> Tensor {
    try tensor { ct_dropout(handle, probability, seed, $0) }
  }

  /// Elementwise with broadcasting.
  public static func + (a: Tensor, b: Tensor) throws(TorchError) -> Tensor {
    try tensor { ct_add(a.handle, b.handle, $0) }
  }

  public static func - (a: Tensor, b: Tensor) throws(TorchError) -> Tensor {
    try tensor { ct_subtract(a.handle, b.handle, $0) }
  }

  /// Elementwise with broadcasting: `[N, C, H, W] * [N, C, 1, 1]` gates channels.
  public static func * (a: Tensor, b: Tensor) throws(TorchError) -> Tensor {
    try tensor { ct_multiply(a.handle, b.handle, $0) }
  }

  public static func * (a: Tensor, factor: Double) throws(TorchError) -> Tensor {
    try tensor { ct_scaled(a.handle, factor, $0) }
  }

  /// A scalar.
  public func mean() throws(TorchError) -> Tensor { try tensor { ct_mean(handle, $0) } }

  /// A scalar.
  public func sum() throws(TorchError) -> Tensor { try tensor { ct_sum(handle, $0) } }

  /// Probabilities over the last dimension.
  public func softmax() throws(TorchError) -> Tensor { try tensor { ct_softmax(handle, $0) } }

  /// `[N, K] -> N` indices of the largest element of each row.
  public func argmax() throws(TorchError) -> [Int] { try tensor { ct_argmax(handle, $0) }.integers() }
}
