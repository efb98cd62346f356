internal import CTorch
internal import Quantization

/// What a quantiser of activations learns: a scale and, if it is affine, a real offset.
///
/// The integers are `clamp(round(x / scale) + z, 0, 255)` with the zero point `z = clamp(round(-beta / scale), 0, 255)`;
/// without a beta `z` is 0, and the quantiser is a ReLU at the same time.
public struct ActivationQuantizer {
  /// `[1]`
  public let scale: Tensor
  /// `[1]`, or nil where the zero point is fixed at 0.
  public let beta: Tensor?
  /// Upper bound of the scale where the zero point is fixed at 0: 6/255 makes the quantiser a ReLU6.
  public let maximumScale: Float?

  public init(scale: Tensor, beta: Tensor?, maximumScale: Float? = nil) {
    self.scale = scale
    self.beta = beta
    self.maximumScale = maximumScale
  }

  /// The scale and integer zero point that the forward pass uses.
  ///
  /// Throws if the scale or beta is not a finite number.
  public func parameters() throws(TorchError) -> (scale: Float, zeroPoint: UInt8) {
    var effective: Float = 0
    var zeroPoint: Int32 = 0
    try check(ct_activation_parameters(scale.handle, beta?.handle, maximumScale ?? 0, &effective, &zeroPoint))
    return (effective, UInt8(zeroPoint))
  }

  /// The same as integer networks have it.
  func affine() throws(TorchError) -> AffineQuantizer {
    let (scale, zeroPoint) = try parameters()
    return AffineQuantizer(scale: scale, zeroPoint: zeroPoint)
  }
}

/// The range of integers that a quantiser of activations gets to start with.
public struct ActivationRange: Hashable, Sendable {
  public let scale: Float
  /// `-zeroPoint * scale`; 0 where the zero point is fixed at 0.
  public let beta: Float
}

/// LSQ+ (Esser et al., arXiv 1902.08153; Bhalgat et al., arXiv 2004.09576). The formulas and the scaling of the
/// gradients are at the head of `Quantizers.cpp`.
extension Tensor {
  /// A weight `[O, ...]` rounded to integers in -127...127 times the scale of its output channel. `scales`: `[O]`.
  public func fakeQuantizedWeight(scales: Tensor) throws(TorchError) -> Tensor {
    try tensor { ct_lsq_weight(handle, scales.handle, $0) }
  }

  /// Activations rounded to integers in 0...255, offset by the zero point, times the scale. Memory order is kept.
  public func fakeQuantized(_ quantizer: ActivationQuantizer) throws(TorchError) -> Tensor {
    try tensor {
      ct_lsq_activation(
        handle, quantizer.scale.handle, quantizer.beta?.handle, quantizer.maximumScale ?? 0, $0)
    }
  }

  /// The quantiser of activations with the least mean squared error on these elements, of those that a fixed search
  /// tries.
  ///
  /// With `positiveOnly` the zero point is 0 and the error is that against `clamp(x, 0, 255 * maximumScale)`. Throws if
  /// an element is not finite.
  public func leastErrorRange(
    positiveOnly: Bool, maximumScale: Float? = nil
  ) throws(TorchError) -> ActivationRange {
    var scale: Float = 0
    var beta: Float = 0
    try check(ct_lsq_init_activation(handle, positiveOnly ? 1 : 0, maximumScale ?? 0, &scale, &beta))
    return ActivationRange(scale: scale, beta: beta)
  }

  /// The scales `[O]` with the least mean squared error on each output channel of a weight `[O, ...]`. A channel of
  /// zeros gets the mean of the others. Throws if an element is not finite.
  public func leastErrorWeightScales() throws(TorchError) -> Tensor {
    try tensor { ct_lsq_init_weight(handle, $0) }
  }

  /// The integers of ``fakeQuantizedWeight(scales:)`` in row-major order.
  public func weightIntegers(scales: Tensor) throws(TorchError) -> [Int8] {
    var values = [Int8](repeating: 0, count: count)
    try check(ct_weight_integers(handle, scales.handle, &values, Int64(values.count)))
    return values
  }

  /// The positive scales that ``fakeQuantizedWeight(scales:)`` makes of these learned ones.
  public func effectiveScales() throws(TorchError) -> [Float] {
    var values = [Float](repeating: 0, count: count)
    try check(ct_effective_scales(handle, &values, Int64(values.count)))
    return values
  }
}
