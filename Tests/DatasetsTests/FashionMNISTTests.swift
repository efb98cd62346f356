import Datasets
import Foundation
import Testing

@Suite struct FashionMNISTTests {
  let folder: DatasetFolder
  let count = 6
  let pixels: [UInt8]
  let labels: [UInt8] = [9, 0, 3, 3, 1, 8]

  init() throws {
    folder = try DatasetFolder()
    pixels = (0..<(6 * 28 * 28)).map { UInt8($0 * $0 % 256) }
  }

  private func writeGood() throws {
    try folder.write(gzip(idx([count, 28, 28], pixels)), "train-images-idx3-ubyte.gz")
    try folder.write(gzip(idx([count], labels)), "train-labels-idx1-ubyte.gz")
  }

  private func load(padTo: Int? = nil) throws -> ImageDataset {
    try FashionMNIST.load(folder: folder.url, part: .train, padTo: padTo)
  }

  @Test("Compressed and plain files give the same images and labels")
  func goodFiles() throws {
    try writeGood()
    let compressed = try load()
    #expect(compressed.count == 6)
    #expect(compressed.shape == [1, 28, 28])
    #expect(compressed.pixels == pixels)
    #expect(compressed.labels == [9, 0, 3, 3, 1, 8])
    #expect(compressed.classNames.count == 10)
    let plain = try DatasetFolder()
    try plain.write(idx([count, 28, 28], pixels), "t10k-images-idx3-ubyte")
    try plain.write(idx([count], labels), "t10k-labels-idx1-ubyte")
    let test = try FashionMNIST.load(folder: plain.url, part: .test)
    #expect(test.pixels == compressed.pixels)
    #expect(test.labels == compressed.labels)
  }

  @Test("Padding puts the image in the middle of zero pixels")
  func padding() throws {
    try writeGood()
    let padded = try load(padTo: 32)
    #expect(padded.shape == [1, 32, 32])
    for (index, row, column) in [(0, 0, 0), (5, 2, 2), (3, 29, 29), (3, 30, 29), (1, 15, 1), (1, 15, 2), (5, 31, 31)] {
      let isInside = (2..<30).contains(row) && (2..<30).contains(column)
      let expected = isInside ? pixels[(index * 28 + row - 2) * 28 + column - 2] : 0
      #expect(
        padded.pixels[(index * 32 + row) * 32 + column] == expected, "image \(index), row \(row), column \(column)")
    }
    #expect(padded.pixels.reduce(0) { $0 + Int($1) } == pixels.reduce(0) { $0 + Int($1) })
    // An odd border: one pixel above and on the left, two below and on the right.
    let odd = try load(padTo: 31).pixels
    #expect(odd[31 + 1] == pixels[0] && odd[31 + 2] == pixels[1] && odd[2 * 31 + 1] == pixels[28])
    #expect(odd[28 * 31 + 28] == pixels[28 * 28 - 1])
    #expect(refusal { _ = try load(padTo: 27) }?.code == .inconsistent)
  }

  @Test("An empty or missing folder is named, with the four files and the command that fetches them")
  func missingFiles() throws {
    for url in [folder.url, folder.url.appending(path: "none")] {
      let error = try #require(refusal { _ = try FashionMNIST.load(folder: url, part: .test) })
      #expect(error.code == .missing)
      for text in [
        url.lastPathComponent, "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz", "`make setup`",
      ] {
        #expect(error.description.contains(text))
      }
    }
  }

  @Test("A file cut at any of many lengths is refused by its name", arguments: [true, false])
  func truncated(isCompressed: Bool) throws {
    try writeGood()
    let plain = idx([count], labels)
    let whole = isCompressed ? gzip(plain) : plain
    for length in 0..<whole.count {
      try folder.write(Array(whole.prefix(length)), "train-labels-idx1-ubyte.gz")
      let error = refusal { _ = try load() }
      #expect(error?.code == .damaged, "\(length) bytes: \(error?.description ?? "accepted")")
      #expect(error?.description.contains("train-labels-idx1-ubyte.gz: ") == true)
    }
    let images = idx([count, 28, 28], pixels)
    for length in stride(from: 0, to: images.count, by: 97) {
      try writeGood()
      let cut = Array(images.prefix(length))
      try folder.write(isCompressed ? gzip(cut) : cut, "train-images-idx3-ubyte.gz")
      let error = refusal { _ = try load() }
      #expect(error?.code == .damaged, "\(length) bytes: \(error?.description ?? "accepted")")
      #expect(error?.description.contains("too short") == true, "\(length) bytes: \(error?.description ?? "accepted")")
    }
  }

  @Test("Bytes after the end are refused, in the compressed content and after it")
  func trailing() throws {
    let plain = idx([count], labels)
    for file in [plain + [0], gzip(plain + [0]), gzip(plain) + [0], gzip(plain) + gzip(plain)] {
      try writeGood()
      try folder.write(file, "train-labels-idx1-ubyte.gz")
      let error = refusal { _ = try load() }
      #expect(error?.code == .damaged)
      #expect(error?.description.contains("the file goes on after the 6 labels that its header says") == true)
    }
  }

  @Test("A flipped bit in compressed data is found by its checksum")
  func checksum() throws {
    try writeGood()
    var file = gzip(idx([count], labels))
    file[file.count - 9] ^= 1
    try folder.write(file, "train-labels-idx1-ubyte.gz")
    #expect(
      refusal { _ = try load() }?.description.contains("the compressed data is damaged (incorrect data check)") == true)
  }

  @Test(
    "Headers of other files and of impossible sizes are refused before anything is allocated",
    arguments: [
      ([1, 0, 8, 1, 0, 0, 0, 6], "not an IDX file: it begins with 01 00 08 01"),
      ([0, 0, 9, 1, 0, 0, 0, 6], "IDX type 09, and 08 (unsigned bytes) is right"),
      ([0, 0, 8, 3, 0, 0, 0, 6], "it has 3 dimensions, and 1 is right for labels"),
      ([0, 0, 8, 1, 0, 0, 0, 0], "no size of a data set"),
      ([0, 0, 8, 1, 255, 255, 255, 255], "the file is too short for the 4294967295 labels"),
    ] as [([UInt8], String)])
  func wrongHeader(header: [UInt8], message: String) throws {
    try writeGood()
    try folder.write(header + labels, "train-labels-idx1-ubyte.gz")
    let error = try #require(refusal { _ = try load() })
    #expect(error.code == .damaged)
    #expect(error.description.contains(message), "\(error)")
  }

  @Test("Image sizes whose product overflows are refused")
  func overflow() throws {
    try writeGood()
    for sizes in [[0xffff_ffff, 0xffff_ffff, 0xffff_ffff], [60_000, 65_535, 65_535]] {
      try folder.write(idx(sizes, []), "train-images-idx3-ubyte.gz")
      #expect(refusal { _ = try load() }?.description.contains("no size of a data set") == true)
    }
  }

  @Test("Images and labels that don't belong together are refused")
  func mismatch() throws {
    try writeGood()
    try folder.write(gzip(idx([5], Array(labels.prefix(5)))), "train-labels-idx1-ubyte.gz")
    let counts = try #require(refusal { _ = try load() })
    #expect(counts.code == .inconsistent)
    #expect(counts.description.contains("has 5 labels and"))
    #expect(counts.description.contains("has 6 images"))
    try folder.write(gzip(idx([6], [9, 0, 3, 10, 1, 8])), "train-labels-idx1-ubyte.gz")
    #expect(refusal { _ = try load() }?.description.contains("label 3 is 10, and labels are 0 to 9") == true)
    try writeGood()
    try folder.write(idx([6, 14, 56], pixels), "train-images-idx3-ubyte.gz")
    #expect(refusal { _ = try load() }?.description.contains("14 x 56 pixels, and 28 x 28 is right") == true)
  }
}

/// The published files, where `make setup` puts them.
private let published = URL(filePath: #filePath).deletingLastPathComponent().appending(
  path: "../../.deps/data/fashion-mnist")

@Suite(
  .enabled(if: FileManager.default.fileExists(atPath: published.path), "needs the data set that `make setup` fetches"))
struct PublishedFashionMNISTTests {
  @Test(
    "The published files have the published counts, and pixels of the whole range",
    arguments: [(PublishedPart.train, 60_000), (.test, 10_000)])
  func counts(part: PublishedPart, count: Int) throws {
    let dataset = try FashionMNIST.load(folder: published, part: part, padTo: 32)
    #expect(dataset.count == count)
    #expect(dataset.imageSize == 1024)
    #expect(dataset.classCounts == [Int](repeating: count / 10, count: 10))
    #expect(dataset.pixels.min() == 0)
    #expect(dataset.pixels.max() == 255)
    if part == .train { #expect(dataset.labels.prefix(10) == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]) }
    // The mean pixel of the data set is well known: 0.286 of the range on 28 x 28.
    let sum = dataset.pixels.reduce(0) { $0 + Int($1) }
    #expect(abs(Double(sum) / Double(count * 28 * 28 * 255) - 0.2865) < 0.001)
  }

  @Test("The real training part splits evenly over its classes")
  func split() throws {
    let dataset = try FashionMNIST.load(folder: published, part: .train)
    let split = try Split(dataset, validationCount: 5_000, seed: 1)
    var counts = [Int](repeating: 0, count: 10)
    for index in split.validation { counts[Int(dataset.labels[index])] += 1 }
    #expect(counts == [Int](repeating: 500, count: 10))
    #expect(split.training.count == 55_000)
  }
}
