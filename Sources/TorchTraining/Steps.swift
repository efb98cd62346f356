internal import CTorch
internal import Quantization
internal import SearchSpaces

/// A quantised map in whole numbers: what the integer network holds, as floats, so that libtorch convolves it exactly and
/// gradients flow.
///
/// Its operations compute the bytes of `IntegerNetwork.evaluate`, ties too. The gradient that belongs to `steps` is that
/// with respect to the real values (see `Steps.hpp`); nothing outside this file computes with them.
struct SteppedMap {
  /// `[N, C, H, W]`: byte less zero point.
  let steps: Tensor
  let scale: Float
  /// `nil` for pixels, of which a tensor knows the step only. Only convolutions can do without.
  let zeroPoint: UInt8?

  /// Real values.
  func real() throws(TorchError) -> Tensor {
    try tensor { ct_from_steps(steps.handle, scale, $0) }
  }

  var quantizer: AffineQuantizer? { zeroPoint.map { AffineQuantizer(scale: scale, zeroPoint: $0) } }

  /// Normalised pixels, or `nil` where their step is not known.
  static func pixels(_ images: Tensor) throws(TorchError) -> SteppedMap? {
    guard let step = images.step, step > 0 else { return nil }
    return SteppedMap(
      steps: try tensor { ct_to_steps(images.handle, step, $0) }, scale: step, zeroPoint: nil)
  }

  /// Real values, quantised.
  static func quantizing(_ real: Tensor, _ quantizer: ActivationQuantizer) throws(TorchError) -> SteppedMap {
    try SteppedMap(quantizer) { (scale, beta, maximum, out) in
      ct_lsq_activation_steps(real.handle, scale, beta, maximum, out)
    }
  }

  /// What a kernel makes with the quantiser of its output.
  private init(
    _ quantizer: ActivationQuantizer,
    _ kernel: (OpaquePointer, OpaquePointer?, Float, UnsafeMutablePointer<OpaquePointer?>) -> Int32
  ) throws(TorchError) {
    let affine = try quantizer.affine()
    steps = try tensor { kernel(quantizer.scale.handle, quantizer.beta?.handle, quantizer.maximumScale ?? 0, $0) }
    (scale, zeroPoint) = (affine.scale, affine.zeroPoint)
    withExtendedLifetime(quantizer) {}
  }

  private init(steps: Tensor, scale: Float, zeroPoint: UInt8?) {
    (self.steps, self.scale, self.zeroPoint) = (steps, scale, zeroPoint)
  }
}

// MARK: - Convolution

/// The learned numbers behind a convolution's sums, and the statistics of its batch norm.
struct ConvolutionEpilogue {
  /// Of the batch norm, or `nil`.
  var gamma: Tensor?
  /// The batch norm's beta, or the bias, or `nil`.
  var shift: Tensor?
  /// Of the real output, where there is a batch norm.
  var moments: BatchNormStatistics.Moments?
  /// Whether the moments are those of the batch, through which gradients flow.
  var isOfBatch: Bool
}

extension SteppedMap {
  /// Sums of weight integers times steps: a convolution that is exact while no partial sum passes 2^24.
  ///
  /// - Parameters:
  ///   - weight: `[O, I / groups, K, K]`, real.
  ///   - scales: `[O]`.
  func sums(
    weight: Tensor, scales: Tensor, stride: Int, padding: Int, groups: Int
  ) throws(TorchError) -> Tensor {
    let integers = try tensor { ct_lsq_weight_steps(weight.handle, scales.handle, scale, $0) }
    return try steps.convolved(with: integers, stride: stride, padding: padding, groups: groups)
  }

  /// Mean and biased variance of a convolution's real output, from its sums.
  ///
  /// - Parameter weightScales: Effective, one an output channel.
  func moments(ofSums sums: Tensor, weightScales: [Float]) throws(TorchError) -> BatchNormStatistics.Moments {
    var means = [Double](repeating: 0, count: weightScales.count)
    var variances = means
    try check(ct_channel_moments(sums.handle, &means, &variances, Int64(means.count)))
    let units = weightScales.map { Double(scale) * Double($0) }
    return BatchNormStatistics.Moments(
      mean: zip(means, units).map { Float($0 * $1) }, variance: zip(variances, units).map { Float($0 * $1 * $1) })
  }

  /// The bytes that a convolution's sums become: folded as the exporter folds, with the bias rounded to a whole number.
  func requantized(
    _ sums: Tensor, weightScales: [Float], _ epilogue: ConvolutionEpilogue, _ quantizer: ActivationQuantizer,
    _ arithmetic: IntegerArithmetic
  ) throws(TorchError) -> SteppedMap {
    let numbers = try EpilogueNumbers(
      epilogue, inputScale: scale, weightScales: weightScales, output: try quantizer.affine(), arithmetic: arithmetic)
    return try SteppedMap(quantizer) { (outputScale, beta, maximum, out) in
      withLine(numbers.line) { line in
        ct_requantise_steps(
          sums.handle, epilogue.gamma?.handle, epilogue.shift?.handle, numbers.rows, numbers.biases,
          Int64(weightScales.count), scale, numbers.normalization, line, outputScale, beta, maximum, out)
      }
    }
  }

  /// The real output that a convolution's sums stand for, with the same bias.
  func realNumbers(
    _ sums: Tensor, weightScales: [Float], _ epilogue: ConvolutionEpilogue
  ) throws(TorchError) -> Tensor {
    let numbers = try EpilogueNumbers(
      epilogue, inputScale: scale, weightScales: weightScales, output: nil, arithmetic: .openVINO)
    return try tensor {
      ct_real_sums(
        sums.handle, epilogue.gamma?.handle, epilogue.shift?.handle, numbers.rows, Int64(weightScales.count), scale,
        numbers.normalization, $0)
    }
  }
}

/// What the kernels behind a convolution take, one column a channel.
private struct EpilogueNumbers {
  /// Signs, multipliers, real biases, weight scales, centres, inverse deviations, gammas.
  var rows: [Float]
  var biases: [Int32]
  var normalization: Int32
  var line: IntervalQuantizer.Line?

  /// - Parameter output: `nil` where the output stays real.
  init(
    _ epilogue: ConvolutionEpilogue, inputScale: Float, weightScales: [Float], output: AffineQuantizer?,
    arithmetic: IntegerArithmetic
  ) throws(TorchError) {
    let channels = weightScales.count
    let shifts = try epilogue.shift?.floats()
    var norm: BatchNormParameters?
    if let gamma = epilogue.gamma, let moments = epilogue.moments {
      norm = BatchNormParameters(
        gamma: try gamma.floats(), beta: shifts ?? [Float](repeating: 0, count: channels), mean: moments.mean,
        variance: moments.variance)
    }
    rows = [Float](repeating: 0, count: 7 * channels)
    normalization = Int32(
      norm == nil ? CT_NOT_NORMALISED : epilogue.isOfBatch ? CT_NORMALISED_BY_BATCH : CT_NORMALISED_BY_GIVEN)
    let folded = (0..<channels).map { channel in
      FoldedChannel(
        weightScale: weightScales[channel], bias: norm == nil ? shifts?[channel] ?? 0 : 0, batchNorm: norm?[channel],
        inputScale: inputScale)
    }
    biases = folded.map(\.bias)
    let requantization = Requantization(
      inputScale: inputScale, weightScales: folded.map(\.weightScale), biases: biases, output: output,
      arithmetic: arithmetic)
    line = requantization.line
    for channel in 0..<channels {
      rows[channel] = Float(folded[channel].sign)
      rows[channels + channel] = requantization.multipliers[channel]
      rows[2 * channels + channel] = requantization.realBiases[channel]
      rows[3 * channels + channel] = weightScales[channel]
      guard let norm else { continue }
      rows[4 * channels + channel] = norm.mean[channel] / (inputScale * weightScales[channel])
      rows[5 * channels + channel] = 1 / (norm.variance[channel] + BatchNormParameters.epsilon).squareRoot()
      rows[6 * channels + channel] = norm.gamma[channel]
    }
  }
}

extension CTLine {
  init(_ line: IntervalQuantizer.Line) {
    self.init(factor: line.factor, offset: line.offset, is_fused: line.isFused ? 1 : 0)
  }
}

/// Calls `body` with what the kernels take: a pointer, or none.
func withLine<Result>(_ line: IntervalQuantizer.Line?, _ body: (UnsafePointer<CTLine>?) -> Result) -> Result {
  guard let line else { return body(nil) }
  return withUnsafePointer(to: CTLine(line)) { body($0) }
}

// MARK: - Other operations

extension SteppedMap {
  /// This shortcut and what a block has computed in real numbers, rounded once; `nil` where a zero point is not known.
  ///
  /// - Parameter isFused: Whether nothing else reads this map (`RealAddition`).
  func added(
    toReal real: Tensor, isFused: Bool, _ output: ActivationQuantizer
  ) throws(TorchError) -> SteppedMap? {
    guard let shortcut = quantizer else { return nil }
    let addition = RealAddition(shortcut: shortcut, to: try output.affine(), isFused: isFused)
    return try SteppedMap(output) { (scale, beta, maximum, out) in
      ct_add_to_real_steps(
        real.handle, steps.handle, addition.shift, addition.factor, Int32(shortcut.zeroPoint),
        CTLine(addition.output), scale, beta, maximum, out)
    }
  }

  /// `nil` where a zero point is not known.
  func adding(_ other: SteppedMap, _ output: ActivationQuantizer) throws(TorchError) -> SteppedMap? {
    guard let a = quantizer, let b = other.quantizer else { return nil }
    let addition = IntegerAddition(a, b, to: try output.affine())
    let constants = [
      addition.first, addition.second, addition.constant, Float(a.zeroPoint), Float(b.zeroPoint),
    ]
    return try SteppedMap(output) { (scale, beta, maximum, out) in
      ct_add_steps(steps.handle, other.steps.handle, constants, scale, beta, maximum, out)
    }
  }

  /// Times a gate `[N, C, 1, 1]`; `nil` where a zero point is not known.
  func multiplied(
    by gate: SteppedMap, _ output: ActivationQuantizer, _ arithmetic: IntegerArithmetic
  ) throws(TorchError) -> SteppedMap? {
    guard let a = quantizer, let b = gate.quantizer else { return nil }
    let product = IntegerMultiplication(a, b, to: try output.affine(), arithmetic: arithmetic)
    let constants = [product.first, product.second, product.factor, product.offset]
    return try SteppedMap(output) { (outputScale, beta, maximum, out) in
      ct_multiply_steps(
        steps.handle, gate.steps.handle, scale, gate.scale, constants, outputScale, beta, maximum, out)
    }
  }

  /// `nil` where the zero point is not known.
  func activated(
    _ activation: Activation, _ output: ActivationQuantizer, _ arithmetic: IntegerArithmetic
  ) throws(TorchError) -> SteppedMap? {
    guard let input = quantizer else { return nil }
    let affine = try output.affine()
    let bytes = activation.table(from: input, to: affine, arithmetic: arithmetic)
    var tables = [Float](repeating: 0, count: 4 * 256)
    for byte in 0..<256 {
      let real = input.dequantize(UInt8(byte))
      let exact = activation(real, arithmetic) / affine.scale
      let rounded = exact.rounded(.toNearestOrEven) + Float(affine.zeroPoint)
      tables[byte] = Float(bytes[byte]) - Float(affine.zeroPoint)
      if (0...255).contains(rounded) {
        tables[256 + byte] = activation.derivative(at: real)
        tables[512 + byte] = exact.rounded(.toNearestOrEven) - exact
      } else {
        tables[512 + byte] = rounded > 255 ? 255 : 0
        tables[768 + byte] = 1
      }
    }
    return try SteppedMap(output) { (scale, beta, maximum, out) in
      ct_lookup_steps(steps.handle, Int32(input.zeroPoint), tables, scale, beta, maximum, out)
    }
  }

  /// `nil` where the zero point is not known.
  func globalAveragePooled(
    _ output: ActivationQuantizer, _ arithmetic: IntegerArithmetic
  ) throws(TorchError) -> SteppedMap? {
    guard let zeroPoint else { return nil }
    let affine = try output.affine()
    return try SteppedMap(output) { (outputScale, beta, maximum, out) in
      withLine(
        arithmetic == .openVINO
          ? IntervalQuantizer(affine, unit: scale).average(zeroPoint: Float(zeroPoint)) : nil
      ) { line in
        ct_pool_steps(steps.handle, scale, Int32(zeroPoint), line, outputScale, beta, maximum, out)
      }
    }
  }
}
