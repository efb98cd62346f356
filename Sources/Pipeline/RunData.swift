import Datasets
import Foundation
import Quantization
import SearchSpaces
import TorchTraining

/// The data of a run: training and validation images from the training set, and the test set, which is read for the last
/// step only.
struct RunData {
  let training: ImageDataset
  /// Indices into `training`.
  let split: Split
  let normalization: Datasets.Normalization
  let augmentation: Augmentation
  let seed: UInt64
  private let loadTest: @Sendable () throws -> ImageDataset

  /// Loads the training set, and pads it to the hyperspace's resolution.
  ///
  /// - Throws: `DatasetError` that names the file; `YAMLError` with the line of what does not fit data or hyperspace.
  ///
  /// - Parameter note: Told of files that are skipped.
  init(_ configuration: RunConfiguration, hyperspace: Hyperspace, note: (String) -> Void = { _ in }) throws {
    let settings = configuration.data
    let size = hyperspace.resolutions.last!
    guard hyperspace.resolutions.count == 1 else {
      throw configuration.error(
        at: "hyperspace",
        "\(hyperspace.name) has \(hyperspace.resolutions.count) resolutions, and a run is for one of them: set "
          + "resolution: \(size), for example")
    }
    let source = ImageSource(settings, size: size, seed: configuration.seed)
    do { training = try source.load(.train, note: note) } catch let error as DatasetError
      where error.code == .missing && settings.folder != nil
    {
      throw configuration.error(at: "data.folder", error.description)
    }
    guard training.channels == hyperspace.imageChannels else {
      throw configuration.error(
        at: "hyperspace",
        "\(settings.name) has \(training.channels) channels an image, hyperspace \(hyperspace.name) "
          + "\(hyperspace.imageChannels): set image.channels in a hyperspace file of your own")
    }
    guard training.classNames.count == hyperspace.classes else {
      throw configuration.error(
        at: "hyperspace",
        "\(settings.name) has \(training.classNames.count) classes, hyperspace \(hyperspace.name) \(hyperspace.classes): "
          + "set classes in a hyperspace file of your own")
    }
    do { split = try Split(training, validationCount: settings.validationImages, seed: configuration.seed) } catch {
      throw configuration.error(at: "data.validation-images", error.description)
    }
    try Self.check(configuration, trainingImages: split.training.count)
    normalization = Datasets.Normalization(training, indices: split.training)
    augmentation = settings.augmentation
    seed = configuration.seed
    loadTest = { try source.load(.test) }
  }

  /// Refuses numbers of images that the data set does not have, before anything is begun with it.
  private static func check(_ configuration: RunConfiguration, trainingImages count: Int) throws {
    let left = "the data set has \(count) for training, besides data.validation-images"
    let recalibration = configuration.search.recalibrationImages
    guard recalibration <= count else {
      throw configuration.error(
        at: "search.recalibration-images", "\(recalibration) images are asked for, and \(left)")
    }
    let distillation = configuration.distillation
    guard distillation.sampledImages <= count else {
      throw configuration.error(
        at: "distillation.images",
        "these \(distillation.images) and twice the \(distillation.evaluationImages) of evaluation-images are asked for, and "
          + left)
    }
    guard calibrationImages <= count else {
      throw configuration.error(
        at: "data.validation-images", "\(calibrationImages) images are needed to initialise quantisers, and \(left)")
    }
  }

  /// Training images that quantisers are initialised with.
  static let calibrationImages = 128

  /// The first quantiser of every model.
  var pixelQuantizer: AffineQuantizer {
    AffineQuantizer(scale: normalization.scale, zeroPoint: normalization.zeroPoint)
  }

  func test() throws -> ImageDataset { try loadTest() }

  /// One worker's part of the batch of a training step, augmented: a pure function of its arguments and the seed.
  ///
  /// - Parameter batch: Images of the whole step.
  func trainingBatch(
    stream: String, step: Int, batch: Int, worker: Int, workers: Int
  ) throws -> TrainingBatch {
    let count = split.training.count
    // Epochs are permutations, and steps go on where the step before ended, over the end of an epoch too.
    let part = (batch * worker / workers)..<(batch * (worker + 1) / workers)
    var indices: [Int] = []
    var generator = SeededGenerator(seed: seed, stream: "augmentation-\(stream)-\(worker)", step)
    for position in part {
      let place = step * batch + position
      indices.append(
        split.training[EpochOrder.index(of: place % count, epoch: place / count, count: count, seed: seed)])
    }
    let pixels = try Tensor.floats(shape: shape(of: indices), step: normalization.scale) { elements in
      training.fillBatch(
        indices, augmentation: augmentation, normalization: normalization, generator: &generator, into: elements)
    }
    return try self.batch(pixels, indices)
  }

  /// Images as they are, without augmentation.
  func plainBatch(_ indices: some Collection<Int>) throws -> TrainingBatch {
    let indices = Array(indices)
    let pixels = training.batch(
      indices, augmentation: .none, normalization: normalization, seed: 0, epoch: 0, step: 0)
    return try self.batch(Tensor.floats(pixels, shape: shape(of: indices), step: normalization.scale), indices)
  }

  /// A sample of the training images, in random order.
  func trainingSample(_ count: Int, stream: String) throws -> [Int] {
    guard count <= split.training.count else {
      throw TrainingError(
        "\(stream) needs \(count) images, and there are \(split.training.count) for training: ask for fewer")
    }
    var sample = training.stratifiedSample(of: split.training, count: count, seed: seed, stream: stream)
    var generator = SeededGenerator(seed: seed, stream: "order-\(stream)")
    generator.shuffle(&sample)
    return sample
  }

  private func shape(of indices: [Int]) -> [Int] {
    [indices.count, training.channels, training.height, training.width]
  }

  private func batch(_ pixels: Tensor, _ indices: [Int]) throws -> TrainingBatch {
    TrainingBatch(
      images: try pixels.channelsLast(),
      labels: try Tensor.integers(indices.map { Int(training.labels[$0]) }, shape: [indices.count]))
  }
}

/// The order of an epoch as a function of the position, so that a step need not draw a whole permutation: a Feistel
/// network over the next power of four, walked until it falls inside (Black and Rogaway, 2002).
enum EpochOrder {
  static func index(of position: Int, epoch: Int, count: Int, seed: UInt64) -> Int {
    var bits = 2
    while 1 << (2 * bits) < count { bits += 1 }
    let mask = UInt64(1 << bits) - 1
    var generator = SeededGenerator(seed: seed, stream: "epoch-order", epoch)
    let keys = (0..<6).map { _ in generator.next() }
    var place = UInt64(position)
    repeat {
      var (left, right) = (place >> UInt64(bits), place & mask)
      for key in keys {
        var mixed = (right ^ key) &* 0x9e37_79b9_7f4a_7c15
        mixed ^= mixed >> 29
        mixed = mixed &* 0xbf58_476d_1ce4_e5b9
        mixed ^= mixed >> 32
        (left, right) = (right, left ^ (mixed & mask))
      }
      place = left << UInt64(bits) | right
    } while place >= UInt64(count)
    return Int(place)
  }
}
