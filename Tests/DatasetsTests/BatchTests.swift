import Datasets
import SearchSpaces
import Testing

@Suite struct BatchTests {
  let normalization = Normalization(scale: 0.5, zeroPoint: 100)

  @Test("Without augmentation a batch is the images in the order of the indices, each pixel normalised")
  func plain() throws {
    let dataset = try countingDataset(count: 5, channels: 3)
    let batch = dataset.batch(
      [4, 0, 4], augmentation: .none, normalization: normalization, seed: 1, epoch: 0, step: 0)
    let pixels = dataset.pixels(of: [4, 0, 4])
    #expect(pixels == Array(dataset.image(4)) + Array(dataset.image(0)) + Array(dataset.image(4)))
    #expect(batch == pixels.map { (Float($0) - 100) / 2 })
    #expect(dataset.labels(of: [4, 0, 4]) == [1, 0, 1])
  }

  @Test("An augmented image is the image moved and perhaps mirrored, all its planes alike, with pixel 0 around it")
  func augmented() throws {
    let dataset = try countingDataset(count: 40, channels: 2)
    var seen: Set<[Int]> = []
    for step in 0..<10 {
      let indices = Array(0..<40)
      let batch = dataset.batch(
        indices, augmentation: .shift(by: 1, flips: true), normalization: normalization, seed: 3, epoch: 2, step: step)
      for index in indices {
        let found = Array(batch[(index * dataset.imageSize)..<((index + 1) * dataset.imageSize)])
        let ways = [-1, 0, 1].flatMap { down in [-1, 0, 1].flatMap { right in [[down, right, 0], [down, right, 1]] } }
        let way = ways.first { moved(dataset, index, $0[0], $0[1], $0[2] == 1) == found }
        seen.insert(try #require(way))
      }
    }
    // 400 draws of 18 ways: missing one has a probability below 1e-8, and the seed is fixed.
    #expect(seen.count == 18)
  }

  private func moved(_ dataset: ImageDataset, _ index: Int, _ down: Int, _ right: Int, _ isFlipped: Bool) -> [Float] {
    let image = Array(dataset.image(index))
    var result: [Float] = []
    for plane in 0..<dataset.channels {
      for row in 0..<dataset.height {
        for column in 0..<dataset.width {
          let (sourceRow, sourceColumn) = (row - down, column - right)
          let isInside = (0..<dataset.height).contains(sourceRow) && (0..<dataset.width).contains(sourceColumn)
          let mirrored = isFlipped ? dataset.width - 1 - sourceColumn : sourceColumn
          result.append(
            normalization(isInside ? image[(plane * dataset.height + sourceRow) * dataset.width + mirrored] : 0))
        }
      }
    }
    return result
  }

  @Test("A batch depends on the seed, the epoch and the step, not on what was made before")
  func counterBased() throws {
    let dataset = try countingDataset(count: 30)
    let indices = Array(0..<30)
    func batch(seed: UInt64 = 1, epoch: Int = 2, step: Int = 3) -> [Float] {
      dataset.batch(
        indices, augmentation: .shift(by: 2, flips: true), normalization: normalization, seed: seed, epoch: epoch,
        step: step)
    }
    let first = batch()
    #expect(batch(step: 4) != first)
    #expect(batch(epoch: 3) != first)
    #expect(batch(seed: 2) != first)
    #expect(batch() == first)
  }

  @Test("Shifts beyond the image leave only pixel 0, and never reach outside of it")
  func largeShift() throws {
    let dataset = try countingDataset(count: 200)
    let batch = dataset.batch(
      Array(0..<200), augmentation: .shift(by: 9, flips: false), normalization: normalization, seed: 1, epoch: 0,
      step: 0)
    let empty = [Float](repeating: normalization(0), count: dataset.imageSize)
    let emptyCount = (0..<200).count { Array(batch[($0 * 20)..<(($0 + 1) * 20)]) == empty }
    #expect((1..<200).contains(emptyCount))
  }

  @Test("The normalisation gives the chosen images mean near 0 and standard deviation 1")
  func statistics() throws {
    let dataset = try countingDataset(count: 90, channels: 3, height: 8, width: 8)
    let indices = Array(0..<40)
    let normalization = Normalization(dataset, indices: indices)
    let values = dataset.pixels(of: indices).map { Double(normalization($0)) }
    let mean = values.reduce(0, +) / Double(values.count)
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
    #expect(abs(variance - 1) < 1e-5)
    // The zero point is a whole pixel: the mean is off by half of a pixel step at most.
    #expect(abs(mean) <= Double(normalization.scale) / 2 + 1e-6)
    #expect(normalization(normalization.zeroPoint) == 0)
    let grey = try ImageDataset(
      name: "grey", classNames: ["a"], channels: 1, height: 1, width: 2, pixels: [7, 7], labels: [0])
    #expect(Normalization(grey, indices: [0]) == Normalization(scale: 1, zeroPoint: 7))
  }

  @Test("A batch can be written into memory of the caller's")
  func callersMemory() throws {
    let dataset = try countingDataset(count: 8)
    var memory = [Float](repeating: .nan, count: 3 * dataset.imageSize)
    memory.withUnsafeMutableBufferPointer { buffer in
      var generator = SeededGenerator(seed: 1, stream: "augmentation", 0, 7)
      dataset.fillBatch(
        [1, 2, 3], augmentation: .shift(by: 1, flips: true), normalization: normalization, generator: &generator,
        into: buffer)
    }
    #expect(
      memory
        == dataset.batch(
          1...3, augmentation: .shift(by: 1, flips: true), normalization: normalization, seed: 1, epoch: 0, step: 7))
  }
}
