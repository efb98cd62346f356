/// How pixels become the numbers that a network computes with: `scale * (pixel - zeroPoint)`.
///
/// This is the dequantisation of an affine uint8 quantiser, and the exported model's first one: the model takes pixels,
/// and what it makes of them is exactly what it was trained on. All channels share it.
public struct Normalization: Hashable, Codable, Sendable {
  /// The real size of one pixel step; positive.
  public let scale: Float
  /// The pixel that becomes 0.
  public let zeroPoint: UInt8

  public init(scale: Float, zeroPoint: UInt8) {
    self.scale = scale
    self.zeroPoint = zeroPoint
  }

  /// Of the given images (the training split's): the zero point is their mean pixel, rounded; the scale makes their
  /// standard deviation 1. Images of one grey alone have scale 1.
  public init(_ dataset: ImageDataset, indices: [Int]) {
    var histogram = [Int](repeating: 0, count: 256)
    for index in indices {
      for pixel in dataset.image(index) { histogram[Int(pixel)] += 1 }
    }
    let count = Double(max(1, indices.count * dataset.imageSize))
    let mean = histogram.enumerated().reduce(0) { $0 + Double($1.offset) * Double($1.element) } / count
    let variance =
      histogram.enumerated().reduce(0) {
        $0 + (Double($1.offset) - mean) * (Double($1.offset) - mean) * Double($1.element)
      }
      / count
    zeroPoint = UInt8(mean.rounded())
    scale = variance > 0 ? Float(1 / variance.squareRoot()) : 1
  }

  /// The number that a pixel becomes.
  public func callAsFunction(_ pixel: UInt8) -> Float { scale * Float(Int(pixel) - Int(zeroPoint)) }
}
