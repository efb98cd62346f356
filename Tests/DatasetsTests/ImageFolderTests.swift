import Datasets
import Foundation
import SearchSpaces
import Testing

extension DatasetFolder {
  /// Writes a picture whose left half is bright in class 0, and whose right half is in class 1.
  @discardableResult
  func photograph(
    _ name: String, label: Int, channels: Int = 3, height: Int = 24, width: Int = 40, jpegQuality: Int? = nil,
    seed: UInt64 = 1
  ) throws -> Picture {
    var generator = SeededGenerator(seed: seed, stream: name)
    let pixels = (0..<channels * height * width).map { index in
      let isLeft = index % width < width / 2
      return UInt8((isLeft == (label == 0) ? 200 : 40) + generator.next(below: 20))
    }
    let picture = Picture(channels: channels, height: height, width: width, pixels: pixels)
    let file = url.appending(path: name)
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try write(picture.encoded(jpegQuality: jpegQuality), name)
    return picture
  }

  func photographs(_ classes: [String], each: Int, in part: String = "", channels: Int = 3) throws {
    for (label, name) in classes.enumerated() {
      for index in 0..<each {
        try photograph(
          "\(part)\(name)/\(index)" + (index % 2 == 0 ? ".png" : ".jpg"), label: label, channels: channels,
          jpegQuality: index % 2 == 0 ? nil : 95)
      }
    }
  }
}

@Suite("Folders of photographs")
struct ImageFolderTests {
  @Test("A PNG comes back as it was, and a JPEG nearly so", arguments: [1, 3])
  func formats(channels: Int) throws {
    let folder = try DatasetFolder()
    let picture = try folder.photograph("a/x.png", label: 0, channels: channels)
    #expect(try Picture(decoding: picture.encoded()) == picture)
    let lossy = try Picture(decoding: picture.encoded(jpegQuality: 100))
    #expect(lossy.channels == channels && lossy.height == picture.height && lossy.width == picture.width)
    let difference = zip(lossy.pixels, picture.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
    #expect(Double(difference) / Double(picture.pixels.count) < 12)
  }

  @Test("Both parts are read, with one label a class, in the size asked for")
  func parts() throws {
    let folder = try DatasetFolder()
    try folder.photographs(["cats", "dogs"], each: 3, in: "train/")
    try folder.photographs(["cats", "dogs"], each: 2, in: "val/")
    let images = try ImageFolder(folder.url, options: .init(size: 16))
    #expect(images.hasParts && images.classNames == ["cats", "dogs"])
    let (train, broken) = try images.load(.train)
    #expect(broken.isEmpty && train.count == 6 && train.shape == [3, 16, 16])
    #expect(train.labels == [0, 0, 0, 1, 1, 1])
    #expect(try images.load(.test).images.count == 4)
    for index in 0..<train.count {
      let pixels = Array(train.image(index))
      #expect((pixels[3] > 128) == (train.labels[index] == 0) && (pixels[12] > 128) == (train.labels[index] == 1))
    }
  }

  @Test("A folder without parts is shared out by the seed, class by class")
  func drawnTestImages() throws {
    let folder = try DatasetFolder()
    try folder.photographs(["a", "b", "c"], each: 10)
    func parts(_ seed: UInt64) throws -> (train: ImageDataset, test: ImageDataset) {
      let images = try ImageFolder(folder.url, options: .init(size: 8, seed: seed))
      return (try images.load(.train).images, try images.load(.test).images)
    }
    let first = try parts(1)
    #expect(first.train.classCounts == [8, 8, 8] && first.test.classCounts == [2, 2, 2])
    let shown = Set((0..<first.train.count).map { Array(first.train.image($0)) })
    #expect((0..<first.test.count).allSatisfy { !shown.contains(Array(first.test.image($0))) })
    #expect(try parts(1).test == first.test)
    #expect(try (2...6).contains { try parts($0).test != first.test })
    #expect(
      try ImageFolder(folder.url, options: .init(size: 8)).load(.test, whole: true).images.count == 30)
  }

  @Test("Broken files are named and counted: refused, or skipped")
  func broken() throws {
    let folder = try DatasetFolder()
    try folder.photographs(["a", "b"], each: 6)
    let whole = try folder.photograph("a/cut.jpg", label: 0, jpegQuality: 90).encoded(jpegQuality: 90)
    try folder.write(Array(whole[..<(whole.count / 2)]), "a/cut.jpg")
    let png = try folder.photograph("b/cut.png", label: 1).encoded()
    try folder.write(Array(png[..<(png.count / 2)]), "b/cut.png")
    try folder.write(Array("no image at all".utf8), "b/text.jpg")
    try folder.write([], "b/empty.png")
    try folder.photograph("loose.png", label: 0)
    let twice = try folder.photograph("a/twice.png", label: 0).encoded()
    try folder.write(twice, "b/again.png")

    let refused = try ImageFolder(folder.url, options: .init(size: 8))
    let message = try #require(refusal { _ = try refused.load(.train) }).description
    #expect(message.contains("a/cut.jpg") && message.contains("6 more") && message.contains("skip"))

    let (images, broken) = try ImageFolder(folder.url, options: .init(size: 8, brokenFiles: .skip))
      .load(.train, whole: true)
    #expect(images.count == 12)
    let names = broken.map { $0.path.split(separator: "/").suffix(2).joined(separator: "/") }
    #expect(
      Set(names.map { $0.hasSuffix("loose.png") ? "loose.png" : $0 }) == [
        "a/cut.jpg", "b/cut.png", "b/text.jpg", "b/empty.png", "loose.png", "a/twice.png", "b/again.png",
      ])
    #expect(broken.first { $0.path.hasSuffix("again.png") }?.reason.contains("twice.png") == true)
    #expect(broken.first { $0.path.hasSuffix("text.jpg") }?.reason.contains("neither") == true)
  }

  @Test("What is in a class's folder and is no file is named, and a link to a file is one")
  func strangeEntries() throws {
    let folder = try DatasetFolder()
    try folder.photographs(["a", "b"], each: 3)
    let place = folder.url.path(percentEncoded: false)
    let manager = FileManager.default
    try manager.createDirectory(atPath: place + "/a/inner", withIntermediateDirectories: true)
    try manager.createSymbolicLink(atPath: place + "/b/gone.png", withDestinationPath: "nowhere")
    #expect(mkfifo(place + "/b/pipe.png", 0o600) == 0)
    let target = place + "/elsewhere"
    try manager.moveItem(atPath: place + "/a/0.png", toPath: target)
    try manager.createSymbolicLink(atPath: place + "/a/linked.png", withDestinationPath: "../elsewhere")

    let skipping = try ImageFolder(folder.url, options: .init(size: 8, brokenFiles: .skip))
    let (images, broken) = try skipping.load(.train, whole: true)
    #expect(images.count == 6)
    let named = broken.map(\.description).joined(separator: "\n")
    for part in [
      "a/inner: it is a folder inside that of a class", "b/gone.png: it is a link to nothing that is there",
      "b/pipe.png: it is no file", "elsewhere: it is in the folder of no class",
    ] {
      #expect(named.contains(part), "\(part) is not in:\n\(named)")
    }
    let refused = try ImageFolder(folder.url, options: .init(size: 8))
    #expect(refusal { _ = try refused.load(.train, whole: true) }?.description.contains("a/inner") == true)
  }

  @Test("Grey and colour together are refused with a file of each, unless one is asked for")
  func channels() throws {
    let folder = try DatasetFolder()
    try folder.photographs(["a", "b"], each: 2)
    try folder.photograph("b/grey.png", label: 1, channels: 1)
    let message = try #require(
      refusal { _ = try ImageFolder(folder.url, options: .init(size: 8)).load(.train, whole: true) }
    ).description
    #expect(message.contains("b/grey.png has 1") && message.contains("a/0.png has 3"))
    for channels in [1, 3] {
      let images = try ImageFolder(folder.url, options: .init(size: 8, channels: channels))
        .load(.train, whole: true).images
      #expect(images.channels == channels && images.count == 5)
    }
  }

  @Test("Folders that are none of classes are refused with what would be right")
  func layouts() throws {
    let folder = try DatasetFolder()
    func message() -> String {
      refusal { _ = try ImageFolder(folder.url, options: .init(size: 8)) }?.description ?? ""
    }
    #expect(message().contains("two or more classes"))
    try folder.photographs(["a"], each: 2)
    #expect(message().contains("there is a only"))
    let other = try DatasetFolder()
    try other.photographs(["a", "b"], each: 1, in: "train/")
    #expect(
      refusal { _ = try ImageFolder(other.url, options: .init(size: 8)) }?.description.contains("test") == true)
    try other.photographs(["a", "x"], each: 1, in: "test/")
    #expect(
      refusal { _ = try ImageFolder(other.url, options: .init(size: 8)) }?.description.contains("b, x") == true)
    #expect(
      refusal { _ = try ImageFolder(other.url.appending(path: "none"), options: .init(size: 8)) }?.code == .missing)
  }
}

@Suite("Pictures at other sizes")
struct PictureTests {
  @Test("A picture of one grey stays so at any size and of any region", arguments: 1...20)
  func constant(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    let (height, width) = (1 + generator.next(below: 60), 1 + generator.next(below: 60))
    let value = UInt8(generator.next(below: 256))
    let picture = Picture(
      channels: 1, height: height, width: width, pixels: [UInt8](repeating: value, count: height * width))
    let region = Picture.Region(
      top: Double(height) * 0.3 * generator.uniform(), left: Double(width) * 0.3 * generator.uniform(),
      height: Double(height) * (0.1 + 0.6 * generator.uniform()),
      width: Double(width) * (0.1 + 0.6 * generator.uniform()))
    let resized = picture.resized(
      height: 1 + generator.next(below: 50), width: 1 + generator.next(below: 50), of: region)
    #expect(resized.pixels.allSatisfy { $0 == value })
  }

  @Test("Halving takes every pixel into account, and doubling keeps a ramp a ramp")
  func ramps() {
    let ramp = Picture(channels: 1, height: 1, width: 64, pixels: (0..<64).map { UInt8(4 * $0) })
    let half = ramp.resized(height: 1, width: 32)
    for index in 2..<30 { #expect(abs(Int(half.pixels[index]) - (8 * index + 2)) <= 1) }
    let double = ramp.resized(height: 1, width: 128)
    for index in 4..<124 { #expect(abs(Int(double.pixels[index]) - (2 * index - 1)) <= 1) }
    #expect(zip(double.pixels, double.pixels.dropFirst()).allSatisfy { $0 <= $1 })
    #expect(ramp.resized(height: 1, width: 64) == ramp)
  }

  @Test("The middle square leaves out the ends of the longer side")
  func square() {
    let pixels = (0..<10 * 30).map { UInt8(($0 % 30) / 10 == 1 ? 250 : 3) }
    let square = Picture(channels: 1, height: 10, width: 30, pixels: pixels).square(side: 10)
    #expect(square.pixels.allSatisfy { $0 == 250 })
  }

  @Test("Photographic augmentation is the seed's, and stays on the normalisation's grid", arguments: 1...12)
  func augmentation(seed: Int) throws {
    let dataset = try countingDataset(count: 4, channels: 3, height: 20, width: 20)
    let normalization = Normalization(scale: 0.5, zeroPoint: 3)
    let augmentation = Augmentation.photographic(
      .init(leastArea: 0.4, shift: 1, flips: true, operations: 2, magnitude: 9))
    func batch(_ seed: Int) -> [Float] {
      dataset.batch(
        [0, 1, 2, 3], augmentation: augmentation, normalization: normalization, seed: UInt64(seed), epoch: 0, step: 0)
    }
    let first = batch(seed)
    #expect(first == batch(seed) && first != batch(seed + 100))
    let grid = Set((0...255).map { normalization(UInt8($0)) })
    #expect(first.allSatisfy(grid.contains))
  }

  @Test("A whole picture, no operation and no shift leave the image as it is, or mirrored")
  func nothing() throws {
    let dataset = try countingDataset(count: 1, channels: 3, height: 6, width: 6)
    let normalization = Normalization(scale: 1, zeroPoint: 0)
    let plain = dataset.batch(
      [0], augmentation: .none, normalization: normalization, seed: 1, epoch: 0, step: 0)
    let augmentation = Augmentation.photographic(.init(leastArea: 1, flips: false, operations: 0, magnitude: 0))
    #expect(
      dataset.batch([0], augmentation: augmentation, normalization: normalization, seed: 1, epoch: 0, step: 0) == plain)
  }
}
