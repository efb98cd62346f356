public import SearchSpaces

/// OpenVINO's way from real numbers to bytes: by the interval that the bytes cover, in place of scale and zero point.
///
/// A value becomes `round(value * factor + offset)`, half to even, clamped to 0...255, with
/// `factor = 255 / (high - low)` and `offset = -low * 255 / (high - low)`, each operation in single precision. That is a
/// step away from `round(value / scale) + zeroPoint` for a few values in a million.
public struct IntervalQuantizer: Hashable, Sendable {
  public let factor: Float
  public let offset: Float

  /// - Parameter unit: What one unit of the values stands for, where they are not real numbers themselves.
  public init(_ quantizer: AffineQuantizer, unit: Float = 1) {
    let zeroPoint = Float(quantizer.zeroPoint)
    let low = quantizer.scale * -zeroPoint / unit
    let high = quantizer.scale * (255 - zeroPoint) / unit
    factor = 255 / (high - low)
    offset = -low * 255 / (high - low)
  }

  /// Of element-wise kernels, which multiply and then add.
  public func callAsFunction(_ value: Float) -> UInt8 { Self.byte(value * factor + offset) }

  /// Of convolutions, which do both at once.
  public func fused(_ value: Float) -> UInt8 { Self.byte(offset.addingProduct(value, factor)) }

  private static func byte(_ steps: Float) -> UInt8 { UInt8(max(0, min(255, steps.rounded(.toNearestOrEven)))) }
}

/// OpenVINO's addition of a convolution's real output to a shortcut in bytes, all in steps of the shortcut:
/// `(real - zeroPoint * scale) * (1 / scale) + byte`, rounded once.
public struct RealAddition: Hashable, Sendable {
  /// Subtracted from the real number, which is then multiplied.
  public let shift: Float, factor: Float
  public let output: IntervalQuantizer

  public init(shortcut: AffineQuantizer, to output: AffineQuantizer) {
    shift = Float(shortcut.zeroPoint) * shortcut.scale
    factor = 1 / shortcut.scale
    self.output = IntervalQuantizer(output, unit: shortcut.scale)
  }

  public func callAsFunction(_ real: Float, _ byte: UInt8) -> UInt8 {
    output.fused((real - shift) * factor + Float(byte))
  }
}

/// What follows the accumulators of a convolution whose weights are integers.
public struct Requantization: Hashable, Sendable {
  /// One an output channel: steps of the output in a step of the accumulator; or what such a step stands for, where
  /// `interval` is set or the output stays real.
  public let multipliers: [Float]
  /// One an output channel, in real numbers.
  public let realBiases: [Float]
  /// OpenVINO's quantiser of the output.
  public let interval: IntervalQuantizer?

  /// - Parameters:
  ///   - biases: In steps of the accumulator.
  ///   - output: `nil` where the output stays real.
  public init(
    inputScale: Float, weightScales: [Float], biases: [Int32], output: AffineQuantizer?, arithmetic: IntegerArithmetic
  ) {
    let units = weightScales.map { inputScale * $0 }
    realBiases = zip(biases, units).map { Float($0) * $1 }
    switch (arithmetic, output) {
    case (.onnxRuntime, let output?):
      multipliers = units.map { $0 / output.scale }
      interval = nil
    case (.openVINO, _), (_, nil):
      multipliers = units
      interval = output.map { IntervalQuantizer($0) }
    }
  }
}
