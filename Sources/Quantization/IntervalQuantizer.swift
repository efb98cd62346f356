public import SearchSpaces

/// OpenVINO's way from real numbers to bytes: by the interval that the bytes cover, in place of scale and zero point.
///
/// A value becomes `round(value * factor + offset)`, half to even, clamped to 0...255, with
/// `factor = 255 / (high - low)`, each operation in single precision. That is a step away from
/// `round(value / scale) + zeroPoint` for a few values in a million. Which of the next roundings differ between the kinds of
/// kernels was found by comparing with OpenVINO 2026.4 (`Documentation/Agreement.md`).
public struct IntervalQuantizer: Hashable, Sendable {
  /// One kind of kernel.
  public struct Line: Hashable, Sendable {
    public let factor: Float
    public let offset: Float
    /// Whether multiplication and addition are one operation.
    public let isFused: Bool

    public func callAsFunction(_ value: Float) -> UInt8 {
      let steps = isFused ? offset.addingProduct(value, factor) : value * factor + offset
      return UInt8(max(0, min(255, steps.rounded(.toNearestOrEven))))
    }
  }

  /// Of element-wise kernels: the offset is `-low * factor`.
  public let elementwise: Line
  /// Behind a convolution: the offset is `-low * 255 / (high - low)`. Where that is 0, oneDNN takes the reciprocal of the
  /// factor as the scale of the output, and multiplies by the reciprocal of that.
  public let convolution: Line
  /// The convolutions' offset, and the plain factor.
  public let plain: Line

  /// - Parameter unit: What one unit of the values stands for, where they are not real numbers themselves.
  public init(_ quantizer: AffineQuantizer, unit: Float = 1) {
    let zeroPoint = Float(quantizer.zeroPoint)
    let low = quantizer.scale * -zeroPoint / unit
    let high = quantizer.scale * (255 - zeroPoint) / unit
    let factor = 255 / (high - low)
    elementwise = Line(factor: factor, offset: -low * factor, isFused: false)
    plain = Line(factor: factor, offset: -low * 255 / (high - low), isFused: true)
    convolution = Line(
      factor: quantizer.zeroPoint == 0 ? 1 / (1 / factor) : factor, offset: plain.offset, isFused: true)
  }

  /// Behind an average of bytes with a zero point: that moves into the offset.
  public func average(zeroPoint: Float) -> Line {
    Line(factor: plain.factor, offset: plain.offset - zeroPoint * plain.factor, isFused: true)
  }
}

/// OpenVINO's addition of a convolution's real output to a shortcut in bytes, all in steps of the shortcut:
/// `(real - zeroPoint * scale) * (1 / scale) + byte`, rounded once.
public struct RealAddition: Hashable, Sendable {
  /// Subtracted from the real number, which is then multiplied.
  public let shift: Float, factor: Float
  public let output: IntervalQuantizer.Line

  /// - Parameter isFused: Whether the addition is part of the convolution, see `NetworkGraph.shortcutsAddedInConvolutions`;
  ///   else it is a kernel of its own, or one with the activation that made the shortcut.
  public init(shortcut: AffineQuantizer, to output: AffineQuantizer, isFused: Bool) {
    shift = Float(shortcut.zeroPoint) * shortcut.scale
    factor = 1 / shortcut.scale
    let interval = IntervalQuantizer(output, unit: shortcut.scale)
    self.output = isFused ? interval.convolution : interval.elementwise
  }

  public func callAsFunction(_ real: Float, _ byte: UInt8) -> UInt8 { output((real - shift) * factor + Float(byte)) }
}

/// What follows the accumulators of a convolution whose weights are integers.
public struct Requantization: Hashable, Sendable {
  /// One an output channel: steps of the output in a step of the accumulator; or what such a step stands for, where
  /// `line` goes on from real numbers or the output stays real.
  public let multipliers: [Float]
  /// One an output channel, in real numbers.
  public let realBiases: [Float]
  /// OpenVINO's quantiser of the output.
  public let line: IntervalQuantizer.Line?

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
      line = nil
    case (.openVINO, let output?) where biases.allSatisfy { $0 == 0 }:
      // Without a bias in between, the units move into the quantiser, which has a factor for each channel then, and the
      // offset of the first.
      let intervals = units.map { IntervalQuantizer(output, unit: $0).plain }
      multipliers = intervals.map(\.factor)
      line = .init(factor: 1, offset: intervals.first?.offset ?? 0, isFused: true)
    case (.openVINO, _), (_, nil):
      multipliers = units
      line = output.map { IntervalQuantizer($0).convolution }
    }
  }
}
