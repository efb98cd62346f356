public import SearchSpaces

/// What is done to a training image before it enters a batch.
public enum Augmentation: Hashable, Sendable {
  case none
  /// Moves the image by up to `shift` pixels in each direction (what comes in is pixel 0), and mirrors it left to right
  /// half of the time if `flips`.
  case shift(by: Int, flips: Bool)
  /// For photographs, see `PhotographicAugmentation`.
  case photographic(PhotographicAugmentation)
}

/// A random part of a photograph at full size again, mirrored half of the time, and changed by random operations.
public struct PhotographicAugmentation: Hashable, Sendable {
  /// The part has from this share of the area up to all of it, and sides from 3:4 to 4:3 to each other; 1 takes the
  /// whole picture always.
  public var leastArea: Double
  /// In pixels, after that.
  public var shift: Int
  public var flips: Bool
  /// RandAugment's N (Cubuk et al., arXiv 1909.13719): operations drawn for each image.
  public var operations: Int
  /// RandAugment's M, from 0 to 10.
  public var magnitude: Double

  /// - Precondition: `leastArea` from 0.05 to 1, `magnitude` from 0 to 10.
  public init(leastArea: Double, shift: Int = 0, flips: Bool, operations: Int, magnitude: Double) {
    precondition((0.05...1).contains(leastArea) && (0...10).contains(magnitude), "see the comments")
    self.leastArea = leastArea
    self.shift = shift
    self.flips = flips
    self.operations = operations
    self.magnitude = magnitude
  }

  /// Crop and operations; shift and mirror come after.
  func apply(to picture: Picture, using generator: inout SeededGenerator) -> Picture {
    var picture = picture
    if leastArea < 1 {
      let (height, width) = (Double(picture.height), Double(picture.width))
      let area = height * width * (leastArea + (1 - leastArea) * generator.uniform())
      let ratio = (0.75 * pow(16.0 / 9, generator.uniform())).squareRoot()
      let (rows, columns) = (min(height, area.squareRoot() * ratio), min(width, area.squareRoot() / ratio))
      picture = picture.resized(
        height: picture.height, width: picture.width,
        of: Picture.Region(
          top: (height - rows) * generator.uniform(), left: (width - columns) * generator.uniform(), height: rows,
          width: columns))
    }
    return RandomOperations(count: operations, magnitude: magnitude).apply(to: picture, using: &generator)
  }
}

extension ImageDataset {
  /// Fills a batch with normalised images.
  ///
  /// - Parameters:
  ///   - indices: which images, `[n]`.
  ///   - generator: draws the augmentation. For a batch that does not
  ///     depend on what was done before it, take `SeededGenerator(seed: seed, stream: "augmentation", epoch, step)`.
  ///   - output: `[n, channels, height, width]`, contiguous; all of it is written.
  /// - Precondition: `output` has `n * imageSize` elements.
  public func fillBatch(
    _ indices: some Collection<Int>, augmentation: Augmentation, normalization: Normalization,
    generator: inout SeededGenerator, into output: UnsafeMutableBufferPointer<Float>
  ) {
    precondition(output.count == indices.count * imageSize, "a batch of \(indices.count) images has another size")
    pixels.withUnsafeBufferPointer { pixels in
      for (position, index) in indices.enumerated() {
        let source = UnsafeBufferPointer(rebasing: pixels[(index * imageSize)..<((index + 1) * imageSize)])
        let target = UnsafeMutableBufferPointer(rebasing: output[(position * imageSize)..<((position + 1) * imageSize)])
        switch augmentation {
        case .none: normalise(source, normalization, into: target)
        case .shift(let reach, let flips):
          shift(source, by: reach, flips: flips, normalization, &generator, into: target)
        case .photographic(let photographic):
          let picture = photographic.apply(
            to: Picture(channels: channels, height: height, width: width, pixels: Array(source)), using: &generator)
          picture.pixels.withUnsafeBufferPointer {
            shift($0, by: photographic.shift, flips: photographic.flips, normalization, &generator, into: target)
          }
        }
      }
    }
  }

  /// The batch of one training step, as an array; see the other `fillBatch`.
  public func batch(
    _ indices: some Collection<Int>, augmentation: Augmentation, normalization: Normalization, seed: UInt64, epoch: Int,
    step: Int
  ) -> [Float] {
    var generator = SeededGenerator(seed: seed, stream: "augmentation", epoch, step)
    return [Float](unsafeUninitializedCapacity: indices.count * imageSize) { buffer, count in
      let whole = UnsafeMutableBufferPointer(rebasing: buffer[..<(indices.count * imageSize)])
      fillBatch(
        indices, augmentation: augmentation, normalization: normalization, generator: &generator, into: whole)
      count = whole.count
    }
  }

  /// The labels of a batch, as the loss takes them.
  public func labels(of indices: some Collection<Int>) -> [Int64] { indices.map { Int64(labels[$0]) } }

  /// The pixels of a batch, as an exported model takes them: `[n, channels, height, width]`.
  public func pixels(of indices: some Collection<Int>) -> [UInt8] {
    var batch: [UInt8] = []
    batch.reserveCapacity(indices.count * imageSize)
    for index in indices { batch += image(index) }
    return batch
  }

  /// Moves and mirrors; three draws.
  private func shift(
    _ source: UnsafeBufferPointer<UInt8>, by reach: Int, flips: Bool, _ normalization: Normalization,
    _ generator: inout SeededGenerator, into target: UnsafeMutableBufferPointer<Float>
  ) {
    let down = generator.next(below: 2 * reach + 1) - reach
    let right = generator.next(below: 2 * reach + 1) - reach
    let isFlipped = generator.next(below: 2) == 1 && flips
    for plane in 0..<channels {
      let range = (plane * height * width)..<((plane + 1) * height * width)
      move(
        UnsafeBufferPointer(rebasing: source[range]), down: down, right: right, isFlipped: isFlipped, normalization,
        into: UnsafeMutableBufferPointer(rebasing: target[range]))
    }
  }

  private func normalise(
    _ source: UnsafeBufferPointer<UInt8>, _ normalization: Normalization,
    into target: UnsafeMutableBufferPointer<Float>
  ) {
    let zeroPoint = Int32(normalization.zeroPoint)
    for position in 0..<source.count {
      target[position] = normalization.scale * Float(Int32(source[position]) &- zeroPoint)
    }
  }

  /// One plane `[height, width]`: mirrored first, then moved.
  private func move(
    _ source: UnsafeBufferPointer<UInt8>, down: Int, right: Int, isFlipped: Bool, _ normalization: Normalization,
    into target: UnsafeMutableBufferPointer<Float>
  ) {
    target.update(repeating: normalization(0))
    guard abs(down) < height, abs(right) < width else { return }
    let zeroPoint = Int32(normalization.zeroPoint)
    for row in max(0, down)..<min(height, height + down) {
      let from = UnsafeBufferPointer(rebasing: source[((row - down) * width)..<((row - down + 1) * width)])
      let to = UnsafeMutableBufferPointer(rebasing: target[(row * width)..<((row + 1) * width)])
      let (first, sign) = isFlipped ? (width - 1 + right, -1) : (-right, 1)
      for column in max(0, right)..<min(width, width + right) {
        to[column] = normalization.scale * Float(Int32(from[first &+ sign &* column]) &- zeroPoint)
      }
    }
  }
}

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Darwin)
  private import Darwin
#elseif canImport(Musl)
  private import Musl
#endif
