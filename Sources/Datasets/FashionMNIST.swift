public import Foundation

/// Fashion-MNIST: 28 x 28 grey pictures of clothes in 10 classes (Xiao, Rasul and Vollgraf, arXiv 1708.07747; MIT).
public enum FashionMNIST {
  public static let classNames = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
  ]

  /// Reads one part from a folder with the four published files, compressed (`.gz`) or not.
  ///
  /// - Parameter padTo: height and width in pixels to pad to with zero pixels; nil leaves 28 x 28.
  /// - Throws: `DatasetError`: `missing` with the files that are expected and how to get them; `damaged` with the file;
  ///   `inconsistent` if images and labels don't belong together.
  public static func load(folder: URL, part: PublishedPart, padTo: Int? = nil) throws(DatasetError) -> ImageDataset {
    let prefix = part == .train ? "train" : "t10k"
    let imageFile = try file("\(prefix)-images-idx3-ubyte", in: folder)
    let labelFile = try file("\(prefix)-labels-idx1-ubyte", in: folder)
    let images = try IDXFile(imageFile, rank: 3, content: "pixels")
    let labels = try IDXFile(labelFile, rank: 1, content: "labels")
    let (count, height, width) = (images.dimensions[0], images.dimensions[1], images.dimensions[2])
    guard height == 28, width == 28 else {
      throw .damaged(imageFile, "its images are \(height) x \(width) pixels, and 28 x 28 is right for Fashion-MNIST.")
    }
    guard labels.dimensions[0] == count else {
      throw DatasetError(
        .inconsistent,
        "\(labelFile.relativePath) has \(labels.dimensions[0]) labels and \(imageFile.relativePath) has \(count) images; "
          + "there must be as many of each. Fetch both again.")
    }
    if let index = labels.elements.firstIndex(where: { Int($0) >= classNames.count }) {
      throw .damaged(labelFile, "label \(index) is \(labels.elements[index]), and labels are 0 to 9. Fetch it again.")
    }
    let dataset = try ImageDataset(
      name: "Fashion-MNIST, \(part.rawValue)", classNames: classNames, channels: 1, height: height, width: width,
      pixels: images.elements, labels: labels.elements.map(Int32.init))
    guard let padTo else { return dataset }
    return try dataset.padded(to: padTo)
  }

  private static func file(_ name: String, in folder: URL) throws(DatasetError) -> URL {
    for candidate in ["\(name).gz", name] {
      let url = folder.appending(path: candidate)
      if FileManager.default.fileExists(atPath: url.path(percentEncoded: false)) { return url }
    }
    let expected = ["train", "t10k"].flatMap { ["\($0)-images-idx3-ubyte.gz", "\($0)-labels-idx1-ubyte.gz"] }
    let state =
      FileManager.default.fileExists(atPath: folder.path(percentEncoded: false)) ? "has no" : "is not there, nor"
    throw DatasetError(
      .missing,
      "\(folder.relativePath): this folder \(state) \(name).gz. The four files of Fashion-MNIST are expected in it: "
        + "\(expected.joined(separator: ", ")) (also without .gz). `make setup` fetches them.")
  }
}
