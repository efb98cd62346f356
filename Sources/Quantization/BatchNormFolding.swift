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

extension IntegerConvolution {
  /// Folds bias and batch norm into trained integers.
  ///
  /// The weights keep their integers; only their scale is multiplied by `gamma / sigma`. A negative gamma flips the sign
  /// of the integers, which [-127, 127] allows, so that scales stay positive. A channel whose gamma is 0 has integers 0.
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
    var weightScales = scales
    var biases = [Int32](repeating: 0, count: scales.count)
    let filter = integers.count / max(1, scales.count)
    for channel in scales.indices {
      var factor: Float = 1
      var shift = bias?[channel] ?? 0
      if let batchNorm {
        factor = batchNorm.gamma[channel] / (batchNorm.variance[channel] + BatchNormParameters.epsilon).squareRoot()
        shift = (shift - batchNorm.mean[channel]) * factor + batchNorm.beta[channel]
      }
      let range = channel * filter..<(channel + 1) * filter
      if factor < 0 { for index in range { weights[index] = -weights[index] } }
      var scale = scales[channel] * factor.magnitude
      if !(scale > Float.leastNormalMagnitude) || !scale.isFinite {
        for index in range { weights[index] = 0 }
        scale = scales[channel]
      }
      // int32 holds 2^31 steps. A scale so small that the bias needs more belongs to a channel that is its bias and
      // nothing else: give it the steps that the bias needs, and lose weights below any output step.
      let limit: Float = 0x1p30
      if shift.magnitude > limit * inputScale * scale {
        let wider = shift.magnitude / (limit * inputScale)
        for index in range {
          weights[index] = Int8((Float(weights[index]) * scale / wider).rounded(.toNearestOrEven))
        }
        scale = wider
      }
      weightScales[channel] = scale
      // In double precision, where the product of two tiny scales is not 0.
      let steps = Double(shift) / (Double(inputScale) * Double(scale))
      biases[channel] = Int32(max(-0x1p31, min(0x1p31 - 1, steps.rounded(.toNearestOrEven))))
    }
    self.init(weights: weights, weightScales: weightScales, biases: biases)
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
