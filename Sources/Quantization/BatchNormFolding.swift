/// Batch norm, folded into a convolution's scales and bias so that the integers stay what the trainer trained:
/// `gamma (x - mean) / sqrt(variance + epsilon) + beta`.
public struct BatchNormParameters: Hashable, Sendable {
  public var gamma: [Float]
  public var beta: [Float]
  public var mean: [Float]
  public var variance: [Float]

  /// The epsilon of every batch norm of the program.
  public static let epsilon: Float = 1e-5

  public init(gamma: [Float], beta: [Float], mean: [Float], variance: [Float]) {
    self.gamma = gamma
    self.beta = beta
    self.mean = mean
    self.variance = variance
  }

  /// Whether what is multiplied and what is added is finite in every channel.
  public var isFoldable: Bool {
    gamma.indices.allSatisfy { channel in
      let factor = gamma[channel] / (variance[channel] + BatchNormParameters.epsilon).squareRoot()
      return factor.isFinite && (beta[channel] - mean[channel] * factor).isFinite
    }
  }
}

/// What weight scale, bias and batch norm of one output channel become behind a convolution of integers: the one folding,
/// which the exporter writes down and the trainer computes with in every step.
public struct FoldedChannel: Hashable, Sendable {
  /// What the weights' integers are multiplied by: -1 where gamma is negative, so that scales stay positive; 0 where the
  /// channel is its bias and nothing else.
  public var sign: Int8
  /// Positive; NaN where a number that it comes from is not finite.
  public var weightScale: Float
  /// In units of input scale x weight scale.
  public var bias: Int32

  /// - Parameters:
  ///   - weightScale: The trainer's; positive.
  ///   - bias: Of the convolution.
  ///   - batchNorm: Gamma, beta, mean and variance of the channel, or `nil`.
  ///   - inputScale: Of the quantiser of the convolution's input.
  public init(
    weightScale: Float, bias: Float, batchNorm: (gamma: Float, beta: Float, mean: Float, variance: Float)?,
    inputScale: Float
  ) {
    var factor: Float = 1
    var shift = bias
    if let batchNorm {
      factor = batchNorm.gamma / (batchNorm.variance + BatchNormParameters.epsilon).squareRoot()
      shift = (bias - batchNorm.mean) * factor + batchNorm.beta
    }
    guard factor.isFinite, shift.isFinite, weightScale.isFinite, inputScale.isFinite else {
      (sign, self.weightScale, self.bias) = (0, .nan, 0)
      return
    }
    sign = factor < 0 ? -1 : 1
    var scale = weightScale * factor.magnitude
    if !(scale > Float.leastNormalMagnitude) || !scale.isFinite {
      sign = 0
      scale = weightScale
    }
    // int32 holds 2^31 steps. A channel whose bias needs more is its bias and nothing else: its weights are below any
    // step of the output. It gets a scale in which the bias fits.
    let limit: Float = 0x1p30
    if shift.magnitude > limit * inputScale * scale {
      sign = 0
      scale = shift.magnitude / (limit * inputScale)
    }
    self.weightScale = scale
    // The product of two tiny scales is 0 in single precision.
    let step = inputScale * scale
    let steps = step > 0 ? Double(shift / step) : Double(shift) / (Double(inputScale) * Double(scale))
    self.bias = steps.isNaN ? 0 : Int32(max(-0x1p31, min(0x1p31 - 1, steps.rounded(.toNearestOrEven))))
  }
}

extension BatchNormParameters {
  /// The four numbers of a channel.
  public subscript(channel: Int) -> (gamma: Float, beta: Float, mean: Float, variance: Float) {
    (gamma[channel], beta[channel], mean[channel], variance[channel])
  }
}

extension IntegerConvolution {
  /// Folds bias and batch norm into trained integers.
  ///
  /// The weights keep their integers, up to a sign (``FoldedChannel``); only their scale is multiplied by
  /// `gamma / sigma`. [-127, 127] allows the sign. A channel whose gamma is 0 has integers 0.
  ///
  /// - Precondition: the bias is finite, and the batch norm `isFoldable`.
  /// - Parameters:
  ///   - integers: out x in/groups x k x k.
  ///   - scales: The trainer's weight scales, one an output channel.
  ///   - bias: One an output channel, or `nil`.
  ///   - batchNorm: With statistics of this very subnet, or `nil`.
  ///   - inputScale: Of the quantiser of the convolution's input.
  public init(
    folding integers: [Int8], scales: [Float], bias: [Float]?, batchNorm: BatchNormParameters?, inputScale: Float
  ) {
    var weights = integers
    let filter = integers.count / max(1, scales.count)
    let channels = scales.indices.map { channel in
      FoldedChannel(
        weightScale: scales[channel], bias: bias?[channel] ?? 0, batchNorm: batchNorm?[channel], inputScale: inputScale)
    }
    for (channel, folded) in channels.enumerated() where folded.sign != 1 {
      for index in channel * filter..<(channel + 1) * filter { weights[index] *= folded.sign }
    }
    self.init(weights: weights, weightScales: channels.map(\.weightScale), biases: channels.map(\.bias))
  }
}

extension FloatNetwork.FoldedConvolution {
  /// Folds bias and batch norm into float weights; parameters as for `IntegerConvolution`.
  public init(folding weights: [Float], outputChannels: Int, bias: [Float]?, batchNorm: BatchNormParameters?) {
    var folded = weights
    var biases = bias ?? [Float](repeating: 0, count: outputChannels)
    if let batchNorm {
      let filter = weights.count / outputChannels
      for channel in 0..<outputChannels {
        let factor = batchNorm.gamma[channel] / (batchNorm.variance[channel] + BatchNormParameters.epsilon).squareRoot()
        for index in channel * filter..<(channel + 1) * filter { folded[index] *= factor }
        biases[channel] = (biases[channel] - batchNorm.mean[channel]) * factor + batchNorm.beta[channel]
      }
    }
    self.init(weights: folded, biases: biases)
  }
}
