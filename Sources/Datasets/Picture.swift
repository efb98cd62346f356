internal import CImages

/// One image in memory.
public struct Picture: Hashable, Sendable {
  /// 1 for grey, 3 for red, green, blue.
  public let channels: Int
  /// In pixels.
  public let height: Int
  /// In pixels.
  public let width: Int
  /// `[channels, height, width]`, contiguous.
  public var pixels: [UInt8]

  /// - Precondition: as many bytes as the shape says, and at least one pixel.
  public init(channels: Int, height: Int, width: Int, pixels: [UInt8]) {
    precondition(channels > 0 && height > 0 && width > 0, "a picture has pixels")
    precondition(pixels.count == channels * height * width, "as many bytes as the shape says")
    self.channels = channels
    self.height = height
    self.width = width
    self.pixels = pixels
  }

  /// More pixels than any photograph that is worth training on; what claims to have more is damaged or hostile.
  public static let mostPixels = 200_000_000

  /// Decodes the bytes of a JPEG or PNG file, which is told by its content. Transparent pixels stand on black.
  ///
  /// - Parameter leastSide: The decoder of JPEGs may leave out detail that an image with a shorter side of this many
  ///   pixels does not show; `nil` for full size.
  /// - Throws: `DatasetError` (`damaged`) with what is wrong, without a file's name. A truncated file is an error.
  public init(decoding bytes: [UInt8], leastSide: Int? = nil) throws(DatasetError) {
    var image = ci_image()
    let status = ci_decode(bytes, bytes.count, Int32(clamping: leastSide ?? 0), Int64(Self.mostPixels), &image)
    defer { ci_free(&image) }
    guard status == 0, let interleaved = image.pixels else {
      let message = withUnsafeBytes(of: image.message) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      throw DatasetError(.damaged, message)
    }
    let (channels, area) = (Int(image.channels), Int(image.width) * Int(image.height))
    let pixels = [UInt8](unsafeUninitializedCapacity: channels * area) { buffer, count in
      for channel in 0..<channels {
        for position in 0..<area { buffer[channel * area + position] = interleaved[position * channels + channel] }
      }
      count = channels * area
    }
    self.init(channels: channels, height: Int(image.height), width: Int(image.width), pixels: pixels)
  }

  /// A PNG file, or a JPEG of a quality from 1 to 100.
  public func encoded(jpegQuality quality: Int? = nil) -> [UInt8] {
    let area = height * width
    var interleaved = [UInt8](repeating: 0, count: pixels.count)
    for channel in 0..<channels {
      for position in 0..<area { interleaved[position * channels + channel] = pixels[channel * area + position] }
    }
    return interleaved.withUnsafeMutableBufferPointer { buffer in
      var image = ci_image()
      image.width = Int32(width)
      image.height = Int32(height)
      image.channels = Int32(channels)
      image.pixels = buffer.baseAddress
      var bytes: UnsafeMutablePointer<UInt8>?
      var count = 0
      let status =
        quality.map { ci_encode_jpeg(&image, Int32($0), &bytes, &count) } ?? ci_encode_png(&image, &bytes, &count)
      precondition(status == 0, "a picture of \(width) x \(height) can be encoded")
      defer { ci_free_bytes(bytes) }
      return Array(UnsafeBufferPointer(start: bytes, count: count))
    }
  }
}

// MARK: - Other shapes

extension Picture {
  /// A part of a picture, in pixels; edges may lie between pixels.
  public struct Region: Hashable, Sendable {
    public var top: Double
    public var left: Double
    public var height: Double
    public var width: Double

    public init(top: Double, left: Double, height: Double, width: Double) {
      self.top = top
      self.left = left
      self.height = height
      self.width = width
    }
  }

  /// A region (all of it unless told otherwise) at another size.
  ///
  /// Each new pixel is a weighted mean of those around its place, the weights falling linearly with the distance: over
  /// two pixels where the picture grows, over as many as come together where it shrinks.
  public func resized(height newHeight: Int, width newWidth: Int, of region: Region? = nil) -> Picture {
    let region = region ?? Region(top: 0, left: 0, height: Double(height), width: Double(width))
    if region == Region(top: 0, left: 0, height: Double(newHeight), width: Double(newWidth)), newHeight == height,
      newWidth == width
    {
      return self
    }
    let columns = Taps(from: region.left, length: region.width, size: width, to: newWidth)
    let rows = Taps(from: region.top, length: region.height, size: height, to: newHeight)
    // Of the rows that are used only: the middle square of a very long picture is small.
    let top = rows.used.lowerBound
    var wide = [Float](repeating: 0, count: rows.used.count * newWidth)
    let result = [UInt8](unsafeUninitializedCapacity: channels * newHeight * newWidth) { output, count in
      pixels.withUnsafeBufferPointer { input in
        wide.withUnsafeMutableBufferPointer { wide in
          for channel in 0..<channels {
            for row in rows.used {
              let line = (channel * height + row) * width
              for column in 0..<newWidth {
                var sum: Float = 0
                for tap in columns.range(column) {
                  sum += columns.weights[tap] * Float(input[line + columns.places[tap]])
                }
                wide[(row - top) * newWidth + column] = sum
              }
            }
            for row in 0..<newHeight {
              let line = (channel * newHeight + row) * newWidth
              for column in 0..<newWidth {
                var sum: Float = 0
                for tap in rows.range(row) {
                  sum += rows.weights[tap] * wide[(rows.places[tap] - top) * newWidth + column]
                }
                output[line + column] = UInt8(max(0, min(255, sum.rounded())))
              }
            }
          }
        }
      }
      count = channels * newHeight * newWidth
    }
    return Picture(channels: channels, height: newHeight, width: newWidth, pixels: result)
  }

  /// The middle, as large a square as there is, at `side` x `side` pixels.
  public func square(side: Int) -> Picture {
    let length = Double(min(height, width))
    return resized(
      height: side, width: side,
      of: Region(
        top: (Double(height) - length) / 2, left: (Double(width) - length) / 2, height: length, width: length))
  }

  /// The same in grey (by the weights of ITU-R BT.601), or in three equal colours.
  ///
  /// - Precondition: 1 or 3 channels, or as many as there are.
  public func with(channels wanted: Int) -> Picture {
    if wanted == channels { return self }
    precondition([1, 3].contains(wanted) && [1, 3].contains(channels), "grey, or red, green and blue")
    if wanted == 3 { return Picture(channels: 3, height: height, width: width, pixels: pixels + pixels + pixels) }
    let area = height * width
    var grey = [UInt8](repeating: 0, count: area)
    for index in 0..<area {
      let (red, green, blue) = (Int(pixels[index]), Int(pixels[area + index]), Int(pixels[2 * area + index]))
      grey[index] = UInt8((299 * red + 587 * green + 114 * blue + 500) / 1000)
    }
    return Picture(channels: 1, height: height, width: width, pixels: grey)
  }
}

/// Which old pixels make each new one along one axis, and with what weights.
private struct Taps {
  private(set) var starts: [Int] = [0]
  private(set) var places: [Int] = []
  private(set) var weights: [Float] = []

  init(from start: Double, length: Double, size: Int, to newSize: Int) {
    let scale = length / Double(newSize)
    let reach = max(1, scale)
    for index in 0..<newSize {
      let centre = start + (Double(index) + 0.5) * scale
      let first = max(0, Int((centre - reach).rounded(.down)))
      let last = min(size - 1, Int((centre + reach).rounded(.up)))
      var total = 0.0
      let count = places.count
      for place in first...max(first, last) {
        let weight = 1 - abs(Double(place) + 0.5 - centre) / reach
        guard weight > 0 else { continue }
        places.append(place)
        weights.append(Float(weight))
        total += weight
      }
      if places.count == count {
        places.append(max(0, min(size - 1, Int(centre))))
        weights.append(1)
        total = 1
      }
      for tap in count..<places.count { weights[tap] /= Float(total) }
      starts.append(places.count)
    }
  }

  func range(_ index: Int) -> Range<Int> { starts[index]..<starts[index + 1] }

  /// The old pixels that are read at all.
  var used: ClosedRange<Int> { (places.min() ?? 0)...(places.max() ?? 0) }
}
