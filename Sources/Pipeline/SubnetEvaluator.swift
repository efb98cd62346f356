import Datasets
import Foundation
import NetworkGraphs
import Quantization
import TorchTraining

/// Judges subnets on validation images, with batch norm statistics of their own from training images.
///
/// Tensors are read by several threads at once, and written by none.
struct SubnetEvaluator {
  /// Batches of training images, not augmented.
  let recalibration: [Tensor]
  private let batches: [PixelBatch]
  private let pixels: AffineQuantizer

  /// Images as they are, `[N, C, H, W]`, and their classes.
  private struct PixelBatch {
    let pixels: Tensor
    let labels: [Int]
  }

  init(_ data: RunData, images: Int, recalibrationImages: Int) throws {
    let sample = try data.trainingSample(recalibrationImages, stream: "recalibration")
    recalibration = try sample[...].chunks(of: 256).map { try data.plainBatch($0).images }
    batches = try Self.validation(data, images: images)[...].chunks(of: 256).map { chunk in
      let shape = [chunk.count, data.training.channels, data.training.height, data.training.width]
      return PixelBatch(
        pixels: try Tensor.bytes(data.training.pixels(of: chunk), shape: shape),
        labels: chunk.map { Int(data.training.labels[$0]) })
    }
    pixels = data.pixelQuantizer
  }

  /// The validation images that are judged by, as indices of training images. By seed and class as all samples; the first
  /// images of a smaller number are those of a larger.
  static func validation(_ data: RunData, images: Int) -> [Int] {
    data.training.stratifiedSample(
      of: data.split.validation, count: min(images, data.split.validation.count), seed: data.seed,
      stream: "validation-images")
  }

  func statistics(
    of graph: NetworkGraph, _ store: ParameterStore, precision: Precision
  ) throws -> BatchNormStatistics {
    try store.batchNormStatistics(of: graph, precision: precision, batches: recalibration)
  }

  /// The share of the validation images that a subnet names right.
  ///
  /// A quantised subnet is judged as the integers that would be exported, which the runtime computes byte for byte.
  func accuracy(of graph: NetworkGraph, _ store: ParameterStore, precision: Precision) throws -> Double {
    let statistics = try statistics(of: graph, store, precision: precision)
    let classes: (Tensor) throws -> [Int]
    switch precision {
    case .quantized:
      let evaluation = try IntegerEvaluation(
        store.integerNetwork(graph, statistics: statistics, pixels: pixels))
      classes = { try evaluation.classes($0) }
    case .float:
      classes = { batch in
        let images = try batch.pixelsAsFloats(shift: Float(pixels.zeroPoint), factor: pixels.scale)
        return try withoutGradients { () throws(TorchError) in
          try store.forward(images, through: graph, precision: .float, normalization: .given(statistics))
            .flattened().argmax()
        }
      }
    }
    var correct = 0
    for batch in batches { correct += zip(try classes(batch.pixels), batch.labels).count { $0 == $1 } }
    return Double(correct) / Double(batches.reduce(0) { $0 + $1.labels.count })
  }
}

extension ArraySlice {
  /// Consecutive pieces of at most `size` elements.
  func chunks(of size: Int) -> [ArraySlice<Element>] {
    stride(from: startIndex, to: endIndex, by: size).map { self[$0..<Swift.min($0 + size, endIndex)] }
  }
}

/// The variance of each channel over images and space, `[C]`; maps are `[N, C, H, W]`.
func channelVariances(_ maps: Tensor) throws -> Tensor {
  let shape = maps.shape
  let values = try maps.floats()
  let area = shape[2] * shape[3]
  var variances = [Float](repeating: 0, count: shape[1])
  for channel in 0..<shape[1] {
    var (sum, squares) = (0.0, 0.0)
    for image in 0..<shape[0] {
      let start = (image * shape[1] + channel) * area
      for value in values[start..<start + area] {
        sum += Double(value)
        squares += Double(value) * Double(value)
      }
    }
    let count = Double(shape[0] * area)
    variances[channel] = Float(max(0, squares / count - (sum / count) * (sum / count)))
  }
  return try Tensor.floats(variances, shape: [shape[1]])
}

extension Double {
  /// For messages.
  func rounded(to decimals: Int) -> String { formatted(.number.precision(.fractionLength(decimals))) }
}
