internal import SearchSpaces

/// Random changes of photographs that leave what they show: RandAugment (Cubuk et al., arXiv 1909.13719), some operations
/// of a list one after the other, each at the same strength.
struct RandomOperations {
  private enum Operation: Int, CaseIterable {
    case identity, autoContrast, equalize, rotate, solarize, color, posterize, contrast, brightness, sharpness
    case shearHorizontally, shearVertically, moveHorizontally, moveVertically
  }

  /// How many are drawn.
  let count: Int
  /// From 0 to 10.
  let magnitude: Double

  /// Draws and applies them; two draws an operation.
  func apply(to picture: Picture, using generator: inout SeededGenerator) -> Picture {
    var picture = picture
    for _ in 0..<count {
      let operation = Operation(rawValue: generator.next(below: Operation.allCases.count))!
      let sign = generator.next(below: 2) == 0 ? 1.0 : -1
      picture = apply(operation, strength: magnitude / 10, sign: sign, to: picture)
    }
    return picture
  }

  /// The strongest rotation is 30 degrees, the strongest shear 0.3 of the picture's side, the widest move 0.3 of it, as
  /// in the paper's code.
  private func apply(_ operation: Operation, strength: Double, sign: Double, to picture: Picture) -> Picture {
    switch operation {
    case .identity: picture
    case .autoContrast: picture.autoContrast()
    case .equalize: picture.equalized()
    case .rotate: picture.turned(by: sign * strength * .pi / 6)
    case .solarize:
      picture.mapped { Double($0) >= 256 * (1 - strength) ? 255 - $0 : $0 }
    case .color:
      picture.blended(with: picture.with(channels: 1).with(channels: picture.channels), 1 + sign * 0.9 * strength)
    case .posterize:
      picture.mapped { $0 & (0xff << UInt8(4 * strength)) }
    case .contrast: picture.blended(with: picture.mean(), 1 + sign * 0.9 * strength)
    case .brightness: picture.blended(with: picture.mapped { _ in 0 }, 1 + sign * 0.9 * strength)
    case .sharpness: picture.blended(with: picture.smoothed(), 1 + sign * 0.9 * strength)
    case .shearHorizontally: picture.sampled { row, column in (row, column + sign * 0.3 * strength * row) }
    case .shearVertically: picture.sampled { row, column in (row + sign * 0.3 * strength * column, column) }
    case .moveHorizontally:
      picture.sampled { row, column in (row, column + sign * 0.3 * strength * Double(picture.width)) }
    case .moveVertically:
      picture.sampled { row, column in (row + sign * 0.3 * strength * Double(picture.height), column) }
    }
  }
}

extension Picture {
  fileprivate func mapped(_ function: (UInt8) -> UInt8) -> Picture {
    let table = (0...255).map { function(UInt8($0)) }
    var picture = self
    for index in picture.pixels.indices { picture.pixels[index] = table[Int(pixels[index])] }
    return picture
  }

  private func mappedByChannel(_ table: (Range<Int>) -> [UInt8]) -> Picture {
    var picture = self
    let area = height * width
    for channel in 0..<channels {
      let range = channel * area..<(channel + 1) * area
      let table = table(range)
      for index in range { picture.pixels[index] = table[Int(pixels[index])] }
    }
    return picture
  }

  /// Each channel stretched to all of 0...255.
  fileprivate func autoContrast() -> Picture {
    mappedByChannel { range in
      let (low, high) = (Int(pixels[range].min()!), Int(pixels[range].max()!))
      guard high > low else { return (0...255).map { UInt8($0) } }
      return (0...255).map { UInt8(max(0, min(255, ($0 - low) * 255 / (high - low)))) }
    }
  }

  /// Each channel with its values spread evenly.
  fileprivate func equalized() -> Picture {
    mappedByChannel { range in
      var histogram = [Int](repeating: 0, count: 256)
      for index in range { histogram[Int(pixels[index])] += 1 }
      let last = histogram.last { $0 > 0 } ?? 0
      let step = (range.count - last) / 255
      guard step > 0 else { return (0...255).map { UInt8($0) } }
      var sum = step / 2
      return histogram.map { count in
        defer { sum += count }
        return UInt8(max(0, min(255, sum / step)))
      }
    }
  }

  /// `other + factor * (self - other)`: toward the other below 1, away from it above.
  fileprivate func blended(with other: Picture, _ factor: Double) -> Picture {
    var picture = self
    let factor = Float(factor)
    for index in pixels.indices {
      let base = Float(other.pixels[index])
      picture.pixels[index] = UInt8(max(0, min(255, base + factor * (Float(pixels[index]) - base))))
    }
    return picture
  }

  /// One grey: the mean of the picture in grey.
  fileprivate func mean() -> Picture {
    let grey = with(channels: 1).pixels
    let mean = UInt8(grey.reduce(0) { $0 + Int($1) } / grey.count)
    return mapped { _ in mean }
  }

  /// Each inner pixel the mean of those around it, its own weighing five.
  fileprivate func smoothed() -> Picture {
    var picture = self
    guard height > 2, width > 2 else { return self }
    for plane in 0..<channels {
      for row in 1..<height - 1 {
        for column in 1..<width - 1 {
          let centre = (plane * height + row) * width + column
          var sum = 4 * Int(pixels[centre])
          for offset in [-width, 0, width] {
            sum += Int(pixels[centre + offset - 1]) + Int(pixels[centre + offset]) + Int(pixels[centre + offset + 1])
          }
          picture.pixels[centre] = UInt8(sum / 13)
        }
      }
    }
    return picture
  }

  fileprivate func turned(by angle: Double) -> Picture {
    let (sine, cosine) = (sin(angle), cos(angle))
    return sampled { row, column in (cosine * row - sine * column, sine * row + cosine * column) }
  }

  /// The nearest pixel at the place that `source` gives for each place, both from the centre; black outside.
  fileprivate func sampled(_ source: (Double, Double) -> (Double, Double)) -> Picture {
    var picture = self
    let (middleRow, middleColumn) = (Double(height - 1) / 2, Double(width - 1) / 2)
    for row in 0..<height {
      for column in 0..<width {
        let place = source(Double(row) - middleRow, Double(column) - middleColumn)
        let (y, x) = (Int((place.0 + middleRow).rounded()), Int((place.1 + middleColumn).rounded()))
        let inside = y >= 0 && y < height && x >= 0 && x < width
        for plane in 0..<channels {
          picture.pixels[(plane * height + row) * width + column] =
            inside ? pixels[(plane * height + y) * width + x] : 0
        }
      }
    }
    return picture
  }
}

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Darwin)
  private import Darwin
#elseif canImport(Musl)
  private import Musl
#endif
