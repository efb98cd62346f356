/// Labelled images of one size, in memory.
public struct ImageDataset: Hashable, Sendable {
  /// Such as "Fashion-MNIST, test".
  public let name: String
  /// One name a class, in the order of the labels.
  public let classNames: [String]
  /// 1 for grey, 3 for red, green, blue.
  public let channels: Int
  /// In pixels.
  public let height: Int
  /// In pixels.
  public let width: Int
  /// `[count, channels, height, width]`, contiguous.
  public let pixels: [UInt8]
  /// `[count]`, each in `0 ..< classNames.count`.
  public let labels: [Int32]

  /// - Throws: `DatasetError` (`inconsistent`) if there are no images, `pixels` is not as long as the shape says, or a
  ///   label has no class.
  public init(
    name: String, classNames: [String], channels: Int, height: Int, width: Int, pixels: [UInt8], labels: [Int32]
  ) throws(DatasetError) {
    guard channels > 0, height > 0, width > 0, !labels.isEmpty else {
      throw DatasetError(.inconsistent, "\(name): at least one image of at least one pixel is needed.")
    }
    guard pixels.count == labels.count * channels * height * width else {
      throw DatasetError(
        .inconsistent,
        "\(name): \(labels.count) labels need \(labels.count) x \(channels) x \(height) x \(width) pixel bytes, and "
          + "there are \(pixels.count).")
    }
    if let index = labels.firstIndex(where: { $0 < 0 || Int($0) >= classNames.count }) {
      throw DatasetError(
        .inconsistent,
        "\(name): image \(index) has label \(labels[index]), and labels are 0 to \(classNames.count - 1).")
    }
    self.name = name
    self.classNames = classNames
    self.channels = channels
    self.height = height
    self.width = width
    self.pixels = pixels
    self.labels = labels
  }

  /// The number of images.
  public var count: Int { labels.count }

  /// The shape of one image: `[channels, height, width]`.
  public var shape: [Int] { [channels, height, width] }

  /// Bytes of one image, channels x height x width.
  public var imageSize: Int { channels * height * width }

  /// The pixels of one image, `[channels, height, width]`.
  public func image(_ index: Int) -> ArraySlice<UInt8> { pixels[(index * imageSize)..<((index + 1) * imageSize)] }

  /// How many images each class has.
  public var classCounts: [Int] {
    labels.reduce(into: [Int](repeating: 0, count: classNames.count)) { $0[Int($1)] += 1 }
  }

  /// The same images at another size and with as many channels as asked for: the middle square of each, resized.
  ///
  /// - Throws: `DatasetError` (`inconsistent`) where channels are neither 1 nor 3, and not to stay as they are.
  public func resized(to size: Int, channels wanted: Int? = nil) throws(DatasetError) -> ImageDataset {
    let wanted = wanted ?? channels
    if size == height && size == width && wanted == channels { return self }
    guard wanted == channels || ([1, 3].contains(wanted) && [1, 3].contains(channels)) else {
      throw DatasetError(
        .inconsistent,
        "\(name): images of \(wanted) channels are asked for, and these have \(channels); grey (1) and red, green and blue "
          + "(3) can be made of each other")
    }
    var pixels: [UInt8] = []
    pixels.reserveCapacity(count * wanted * size * size)
    for index in 0..<count {
      let picture = Picture(channels: channels, height: height, width: width, pixels: Array(image(index)))
      pixels += picture.square(side: size).with(channels: wanted).pixels
    }
    return try ImageDataset(
      name: name, classNames: classNames, channels: wanted, height: size, width: size, pixels: pixels, labels: labels)
  }

  /// The images of these indices, in their order.
  ///
  /// - Throws: `DatasetError` (`inconsistent`) where there is none.
  public func subset(_ indices: [Int], name: String) throws(DatasetError) -> ImageDataset {
    try ImageDataset(
      name: name, classNames: classNames, channels: channels, height: height, width: width,
      pixels: self.pixels(of: indices), labels: indices.map { labels[$0] })
  }

  /// The same images with a border of zero pixels all around, `size` pixels high and wide.
  ///
  /// Where the border cannot be even, it is one pixel wider below and on the right.
  ///
  /// - Throws: `DatasetError` (`inconsistent`) if the images are larger than that.
  public func padded(to size: Int) throws(DatasetError) -> ImageDataset {
    if size == height && size == width { return self }
    guard size >= height && size >= width else {
      throw DatasetError(
        .inconsistent,
        "\(name): images of \(height) x \(width) pixels cannot be padded to \(size) x \(size); "
          + "\(max(height, width)) or more is right.")
    }
    var wider = [UInt8](repeating: 0, count: count * channels * size * size)
    let (top, left) = ((size - height) / 2, (size - width) / 2)
    for plane in 0..<(count * channels) {
      for row in 0..<height {
        let source = (plane * height + row) * width
        let target = (plane * size + top + row) * size + left
        wider.replaceSubrange(target..<(target + width), with: pixels[source..<(source + width)])
      }
    }
    return try ImageDataset(
      name: name, classNames: classNames, channels: channels, height: size, width: size, pixels: wider, labels: labels)
  }
}

/// The two parts that published data sets come in.
public enum PublishedPart: String, Hashable, Sendable, CaseIterable {
  /// What may be learned from, searched on and validated on.
  case train
  /// What the last number is taken on, and nothing else.
  case test
}
