public import Foundation

/// CIFAR-10: 32 x 32 colour photographs in 10 classes (Krizhevsky, "Learning multiple layers of features from tiny
/// images", 2009), in the published binary version.
public enum CIFAR10 {
  public static let classNames = [
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
  ]

  /// Reads one part from the folder `cifar-10-batches-bin`.
  ///
  /// - Throws: `DatasetError`: `missing` with the files that are expected; `damaged` with the file.
  public static func load(folder: URL, part: PublishedPart) throws(DatasetError) -> ImageDataset {
    let names = part == .train ? (1...5).map { "data_batch_\($0).bin" } : ["test_batch.bin"]
    return try CIFARBinary(name: "CIFAR-10, \(part.rawValue)", classNames: classNames, labelBytes: 1)
      .load(names, in: folder)
  }
}

/// CIFAR-100: as CIFAR-10, with 100 classes ("fine labels").
public enum CIFAR100 {
  public static let classNames = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
    "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard",
    "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum",
    "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
    "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
  ]

  /// Reads one part from the folder `cifar-100-binary`.
  ///
  /// - Throws: `DatasetError`: `missing` with the files that are expected; `damaged` with the file.
  public static func load(folder: URL, part: PublishedPart) throws(DatasetError) -> ImageDataset {
    try CIFARBinary(name: "CIFAR-100, \(part.rawValue)", classNames: classNames, labelBytes: 2)
      .load(["\(part.rawValue).bin"], in: folder)
  }
}

/// The binary format: for each image its label bytes, the last of which is the class, then 3 x 32 x 32 pixel bytes.
private struct CIFARBinary {
  let name: String
  let classNames: [String]
  let labelBytes: Int

  private static let pixelBytes = 3 * 32 * 32

  func load(_ names: [String], in folder: URL) throws(DatasetError) -> ImageDataset {
    var pixels: [UInt8] = []
    var labels: [Int32] = []
    for name in names { try read(folder.appending(path: name), names, &pixels, &labels) }
    return try ImageDataset(
      name: name, classNames: classNames, channels: 3, height: 32, width: 32, pixels: pixels, labels: labels)
  }

  private func read(
    _ url: URL, _ names: [String], _ pixels: inout [UInt8], _ labels: inout [Int32]
  ) throws(DatasetError) {
    guard FileManager.default.fileExists(atPath: url.path(percentEncoded: false)) else {
      throw DatasetError(
        .missing,
        "\(url.relativePath): this file is not there. The folder must hold \(names.joined(separator: ", ")) of the binary "
          + "version of \(name.prefix { $0 != "," }), from https://www.cs.toronto.edu/~kriz/cifar.html.")
    }
    let file = try ByteFile(url)
    let recordBytes = labelBytes + Self.pixelBytes
    guard !file.isCompressed else { throw .damaged(url, "the file is compressed; unpack it first.") }
    let length = file.longestPossibleContent
    guard length > 0, length.isMultiple(of: recordBytes) else {
      throw .damaged(
        url,
        "its length is \(length) bytes, and a multiple of \(recordBytes) (an image with its label) is right; "
          + "\(length % recordBytes) bytes are left over. Fetch it again.")
    }
    let bytes = try file.read(length, "\(length / recordBytes) images")
    for start in stride(from: 0, to: length, by: recordBytes) {
      let label = bytes[start + labelBytes - 1]
      guard Int(label) < classNames.count else {
        throw .damaged(
          url,
          "image \(start / recordBytes) has label \(label), and labels are 0 to \(classNames.count - 1). "
            + "Fetch it again.")
      }
      labels.append(Int32(label))
      pixels += bytes[(start + labelBytes)..<(start + recordBytes)]
    }
  }
}
