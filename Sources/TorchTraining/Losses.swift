internal import CTorch

/// Losses are scalars, averaged over the batch; gradients reach the student only.
extension Tensor {
  /// Cross entropy of logits `[N, K]` with integer labels `[N]`; a share `smoothing` of each target is spread over all
  /// classes (Szegedy et al., arXiv 1512.00567).
  public func crossEntropy(labels: Tensor, smoothing: Double = 0) throws(TorchError) -> Tensor {
    try tensor { ct_cross_entropy(handle, labels.handle, smoothing, $0) }
  }

  /// Kullback-Leibler divergence of these logits' softmax from a teacher's probabilities `[N, K]`.
  public func divergence(fromProbabilities teacher: Tensor) throws(TorchError) -> Tensor {
    try tensor { ct_soft_target_loss(handle, teacher.handle, $0) }
  }

  /// The larger of two alpha-divergences of each image (Wang et al., AlphaNet, arXiv 2102.07954): one punishes a student
  /// that misses what the teacher finds likely, the other one that finds likely what the teacher does not. `clip` bounds
  /// the powers of the probability ratio.
  public func adaptiveAlphaDivergence(
    fromProbabilities teacher: Tensor, alphaMinus: Double = -1, alphaPlus: Double = 1, clip: Double = 5
  ) throws(TorchError) -> Tensor {
    try tensor { ct_alpha_divergence(handle, teacher.handle, alphaMinus, alphaPlus, clip, $0) }
  }

  /// Noise-to-signal ratio of feature maps `[N, C, H, W]`: the mean over images and channels of
  /// `mean((student - teacher)^2) / (variance + epsilon)`.
  ///
  /// `variance` is `[C]`: that of the teacher's channel over the data set and space, which never vanishes where the
  /// channel is alive. Nil means the variance of each image's own channel, as in DNA (Li et al., arXiv 1911.13053).
  public func noiseToSignalRatio(
    teacher: Tensor, variance: Tensor?, epsilon: Double = 1e-6
  ) throws(TorchError) -> Tensor {
    let result = try tensor { ct_noise_to_signal(handle, teacher.handle, variance?.handle, epsilon, $0) }
    withExtendedLifetime(variance) {}
    return result
  }
}
