/// LSQ+ (Bhalgat et al., 2004.09576) in plain Swift and double precision, written out from the paper: the reference for
/// the trainer's fused operation.
public enum LearnedStepSize {
  /// Gradients of a fake-quantised tensor.
  public struct Gradients: Hashable, Sendable {
    /// With respect to each value.
    public var values: [Double]
    /// With respect to the step size, gradient scale applied.
    public var scale: Double
    /// With respect to the offset, gradient scale applied; 0 where the offset is fixed.
    public var offset: Double
  }

  /// Activations as uint8 with the integer zero point `z = round(-offset / scale)`, clamped to 0...255:
  /// `scale * (clamp(round(x / scale) + z, 0, 255) - z)`.
  public static func activation(_ x: Double, scale: Double, offset: Double) -> Double {
    let z = zeroPoint(scale: scale, offset: offset)
    let integer = max(0, min(255, (x / scale).rounded(.toNearestOrEven) + z))
    return scale * (integer - z)
  }

  /// The integer zero point of an offset.
  public static func zeroPoint(scale: Double, offset: Double) -> Double {
    max(0, min(255, (-offset / scale).rounded(.toNearestOrEven)))
  }

  /// Straight-through gradients of `activation` for an upstream gradient.
  ///
  /// Inside the range, the value's gradient passes and the step size's is `q - x / scale` with `q = round(x / scale)`;
  /// outside, the value's is 0, the step size's is the bound, 0 or 255, and the offset's is 1: there the output is
  /// `scale * bound + offset`, up to the rounding of the zero point, which passes gradients straight through.
  public static func activationGradients(
    _ x: [Double], scale: Double, offset: Double, upstream: [Double], gradientScale: Double
  ) -> Gradients {
    let z = zeroPoint(scale: scale, offset: offset)
    var gradients = Gradients(values: [], scale: 0, offset: 0)
    for (value, upstream) in zip(x, upstream) {
      let integer = (value / scale).rounded(.toNearestOrEven) + z
      if integer < 0 || integer > 255 {
        let bound = integer < 0 ? 0.0 : 255
        gradients.values.append(0)
        gradients.scale += upstream * bound
        gradients.offset += upstream
      } else {
        gradients.values.append(upstream)
        gradients.scale += upstream * (integer - z - value / scale)
      }
    }
    gradients.scale *= gradientScale
    gradients.offset *= gradientScale
    return gradients
  }

  /// Weights of one output channel as integers in [-127, 127].
  public static func weight(_ w: Double, scale: Double) -> Double {
    scale * max(-127, min(127, (w / scale).rounded(.toNearestOrEven)))
  }

  /// Straight-through gradients of `weight` for one output channel.
  public static func weightGradients(
    _ w: [Double], scale: Double, upstream: [Double], gradientScale: Double
  ) -> Gradients {
    var gradients = Gradients(values: [], scale: 0, offset: 0)
    for (value, upstream) in zip(w, upstream) {
      let integer = (value / scale).rounded(.toNearestOrEven)
      if integer < -127 || integer > 127 {
        gradients.values.append(0)
        gradients.scale += upstream * (integer < 0 ? -127 : 127)
      } else {
        gradients.values.append(upstream)
        gradients.scale += upstream * (integer - value / scale)
      }
    }
    gradients.scale *= gradientScale
    return gradients
  }
}
