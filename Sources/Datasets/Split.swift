internal import SearchSpaces

/// Which images of a data set train and which validate: none does both.
public struct Split: Hashable, Sendable {
  /// Indices, ascending.
  public let training: [Int]
  /// Indices, ascending.
  public let validation: [Int]

  /// Draws `validationCount` images for validation, of each class as many as its share in the data set asks for.
  ///
  /// The same seed gives the same split on every machine.
  ///
  /// - Throws: `DatasetError` (`inconsistent`) unless at least one image is left on each side.
  public init(_ dataset: ImageDataset, validationCount: Int, seed: UInt64) throws(DatasetError) {
    guard validationCount > 0, validationCount < dataset.count else {
      throw DatasetError(
        .inconsistent,
        "\(dataset.name): \(validationCount) validation images cannot be taken from \(dataset.count) images; "
          + "1 to \(dataset.count - 1) is right.")
    }
    validation = dataset.stratifiedSample(
      of: Array(0..<dataset.count), count: validationCount, seed: seed, stream: "validation split")
    var isValidation = [Bool](repeating: false, count: dataset.count)
    for index in validation { isValidation[index] = true }
    training = (0..<dataset.count).filter { !isValidation[$0] }
  }
}

extension ImageDataset {
  /// Draws `count` of the given images, of each class as many as its share among them asks for, rounded so that the sum
  /// is right (the largest remainders are rounded up).
  ///
  /// - Parameter stream: what the sample is for; samples of different streams are drawn independently.
  /// - Returns: indices, ascending.
  /// - Precondition: `count` is at most the number of indices.
  public func stratifiedSample(of indices: [Int], count: Int, seed: UInt64, stream: String) -> [Int] {
    precondition((0...indices.count).contains(count), "a sample of \(count) from \(indices.count) images")
    if indices.isEmpty { return [] }
    var members = [[Int]](repeating: [], count: classNames.count)
    for index in indices { members[Int(labels[index])].append(index) }
    var quotas = members.map { $0.count * count / indices.count }
    let remainders = members.map { $0.count * count % indices.count }
    let byRemainder = members.indices.sorted { (remainders[$1], $0) < (remainders[$0], $1) }
    for label in byRemainder.prefix(count - quotas.reduce(0, +)) { quotas[label] += 1 }
    var sample: [Int] = []
    for (label, quota) in quotas.enumerated() {
      var generator = SeededGenerator(seed: seed, stream: stream, label)
      generator.shuffle(&members[label])
      sample += members[label].prefix(quota)
    }
    return sample.sorted()
  }
}

/// The order in which an epoch goes through the given images: a permutation that only the seed and the epoch decide.
public func epochOrder(of indices: [Int], seed: UInt64, epoch: Int) -> [Int] {
  var order = indices
  var generator = SeededGenerator(seed: seed, stream: "epoch order", epoch)
  generator.shuffle(&order)
  return order
}
