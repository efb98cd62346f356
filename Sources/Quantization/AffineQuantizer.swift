/// The affine map between real numbers and uint8: `real = scale * (integer - zeroPoint)`.
public struct AffineQuantizer: Hashable, Sendable, Codable {
  /// Positive.
  public var scale: Float
  /// The integer that stands for 0.
  public var zeroPoint: UInt8

  /// - Precondition: `scale` is positive and finite.
  public init(scale: Float, zeroPoint: UInt8) {
    precondition(scale > 0 && scale.isFinite, "a quantiser's scale is positive")
    self.scale = scale
    self.zeroPoint = zeroPoint
  }

  /// The nearest integer, ties to even, clamped to 0...255.
  public func quantize(_ real: Float) -> UInt8 {
    let integer = (real / scale).rounded(.toNearestOrEven) + Float(zeroPoint)
    return UInt8(max(0, min(255, integer)))
  }

  public func dequantize(_ integer: UInt8) -> Float { scale * (Float(integer) - Float(zeroPoint)) }
}
