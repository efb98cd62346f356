import Datasets
import Testing

@Suite struct SplitTests {
  @Test(
    "Training and validation share no image and leave none out, each class in its share",
    arguments: 0..<20 as Range<UInt64>)
  func partition(seed: UInt64) throws {
    let dataset = try countingDataset(count: 100 + Int(seed) * 7, classes: 7)
    let count = 10 + Int(seed) * 3
    let split = try Split(dataset, validationCount: count, seed: seed)
    #expect(split.validation.count == count)
    #expect((split.training + split.validation).sorted() == Array(0..<dataset.count))
    #expect(split.training == split.training.sorted())
    for (label, members) in dataset.classCounts.enumerated() {
      let share = Double(members * count) / Double(dataset.count)
      let drawn = split.validation.count { dataset.labels[$0] == label }
      #expect(abs(Double(drawn) - share) < 1, "class \(label)")
    }
  }

  @Test("The same seed gives the same split, another seed another")
  func determinism() throws {
    let dataset = try countingDataset(count: 300)
    let split = try Split(dataset, validationCount: 60, seed: 5)
    #expect(try Split(dataset, validationCount: 60, seed: 5) == split)
    #expect(try Split(dataset, validationCount: 60, seed: 6) != split)
  }

  @Test("A sample of some images takes none but them; streams draw independently")
  func sample() throws {
    let dataset = try countingDataset(count: 300)
    let split = try Split(dataset, validationCount: 60, seed: 5)
    let sample = dataset.stratifiedSample(of: split.training, count: 90, seed: 5, stream: "distillation")
    #expect(Set(sample).count == 90)
    #expect(Set(sample).isSubset(of: split.training))
    #expect(sample.count { dataset.labels[$0] == 0 } == 30)
    #expect(dataset.stratifiedSample(of: split.training, count: 90, seed: 5, stream: "search") != sample)
    #expect(dataset.stratifiedSample(of: split.training, count: 240, seed: 5, stream: "all") == split.training)
    #expect(dataset.stratifiedSample(of: [], count: 0, seed: 5, stream: "none").isEmpty)
  }

  @Test("A split that leaves a side empty is refused", arguments: [-1, 0, 9, 10])
  func emptySide(count: Int) throws {
    let dataset = try countingDataset(count: 9)
    let error = try #require(refusal { _ = try Split(dataset, validationCount: count, seed: 1) })
    #expect(error.description.contains("1 to 8 is right"))
  }

  @Test("An epoch's order is a permutation that the seed and the epoch decide alone")
  func epochs() {
    let indices = Array(stride(from: 3, to: 300, by: 3))
    let order = epochOrder(of: indices, seed: 9, epoch: 4)
    #expect(order.sorted() == indices)
    #expect(order != indices)
    #expect(epochOrder(of: indices, seed: 9, epoch: 4) == order)
    #expect(epochOrder(of: indices, seed: 9, epoch: 5) != order)
    #expect(epochOrder(of: indices, seed: 10, epoch: 4) != order)
    #expect(epochOrder(of: [], seed: 1, epoch: 0).isEmpty)
  }

  @Test("A data set whose parts don't fit each other is refused")
  func inconsistentDataset() {
    for (pixels, labels) in [(3, [0, 1]), (5, [0, 1]), (4, [0, 2]), (4, [-1, 0]), (0, [])] as [(Int, [Int32])] {
      let error = refusal {
        _ = try ImageDataset(
          name: "odd", classNames: ["a", "b"], channels: 1, height: 2, width: 1,
          pixels: [UInt8](repeating: 0, count: pixels), labels: labels)
      }
      #expect(error?.code == .inconsistent)
      #expect(error?.description.hasPrefix("odd: ") == true)
    }
  }
}
