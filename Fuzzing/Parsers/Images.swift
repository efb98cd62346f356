import Datasets
import Foundation

extension Parser {
  /// IDX and CIFAR files, JPEG and PNG.
  static var dataParsers: [Parser] {
    [
      Parser(name: "idx", seeds: { idxFiles }) { bytes in
        let data = Data(bytes)
        let rank = bytes.count > 3 && bytes[3] == 1 ? 1 : 3
        // Of a compressed file, either may be right.
        do {
          try useIDX(data, rank: rank)
        } catch  where bytes.starts(with: [0x1f, 0x8b]) {
          try useIDX(data, rank: 1)
        }
      },
      Parser(name: "cifar", seeds: { [cifarFile(labelBytes: 1), cifarFile(labelBytes: 2)] }) { bytes in
        do {
          _ = try Scratch.withFile(bytes, named: "test_batch.bin") {
            try CIFAR10.load(folder: $0, part: .test).classCounts
          }
        } catch is DatasetError {
          _ = try Scratch.withFile(bytes, named: "test.bin") { try CIFAR100.load(folder: $0, part: .test).classCounts }
        }
      },
      Parser(name: "image", seeds: { try images() }) { bytes in
        let picture = try Picture(decoding: bytes, leastSide: 16)
        let small = picture.square(side: 8).with(channels: 3)
        guard small.pixels.count == 3 * 64 else { throw UnfaithfulParser(description: "\(small.pixels.count) pixels") }
      },
    ]
  }

  private static func useIDX(_ data: Data, rank: Int) throws {
    let file = try IDXFile(data, named: URL(filePath: "file"), rank: rank, content: "elements")
    guard file.dimensions.count == rank, file.dimensions.reduce(1, *) == file.elements.count else {
      throw UnfaithfulParser(description: "\(file.dimensions) for \(file.elements.count) elements")
    }
  }

  private static var idxFiles: [[UInt8]] {
    let images: [UInt8] = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4] + (0..<24).map { UInt8($0) }
    let labels: [UInt8] = [0, 0, 8, 1, 0, 0, 0, 5, 1, 2, 3, 4, 0]
    // 105 labels, a hundred of them 0, as `gzip -9n` writes them.
    let compressed = [UInt8](Data(base64Encoded: "H4sIAAAAAAAC/2Ng4GBkYGDIZGRiZmGgBwAA9P5yGXEAAAA=")!)
    return [images, labels, gzipped(images), gzipped(labels), compressed]
  }

  /// A gzip stream of one stored block.
  private static func gzipped(_ bytes: [UInt8]) -> [UInt8] {
    var checksum: UInt32 = 0xffff_ffff
    for byte in bytes {
      checksum ^= UInt32(byte)
      for _ in 0..<8 { checksum = checksum >> 1 ^ (checksum & 1 == 1 ? 0xedb8_8320 : 0) }
    }
    func little(_ value: UInt32, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) }
    }
    let length = UInt32(bytes.count)
    return [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1] + little(length, 2) + little(~length, 2) + bytes
      + little(~checksum, 4) + little(length, 4)
  }

  private static func cifarFile(labelBytes: Int) -> [UInt8] {
    (0..<2).flatMap { image in
      [UInt8](repeating: UInt8(3 + image), count: labelBytes)
        + (0..<3072).map { UInt8(truncatingIfNeeded: $0 * 7 + image) }
    }
  }

  private static func images() throws -> [[UInt8]] {
    let grey = Picture(channels: 1, height: 9, width: 12, pixels: (0..<108).map { UInt8($0 * 2) })
    let colour = Picture(
      channels: 3, height: 40, width: 33, pixels: (0..<3960).map { UInt8(truncatingIfNeeded: $0 * 31) })
    return [
      grey.encoded(), grey.encoded(jpegQuality: 80), colour.encoded(), colour.encoded(jpegQuality: 50), progressive,
    ]
  }

  /// A progressive JPEG of 17 x 11 pixels in ten scans, which our encoder does not write; made for this by libjpeg.
  private static let progressive = [UInt8](
    Data(
      base64Encoded: [
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQWnNiUFVtVkVGZIhlbXd7gYKB",
        "TmCNl4x9lnN+gXz/2wBDARUXFx4aHjshITt8U0ZTfHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8",
        "fHz/wgARCAALABEDASIAAhEBAxEB/8QAGAAAAwEBAAAAAAAAAAAAAAAAAAMEAQX/xAAVAQEBAAAAAAAAAAAAAAAAAAAAAf/aAAwDAQAC",
        "EAMQAAABn6KVE5hJ/8QAGhAAAgIDAAAAAAAAAAAAAAAAAAMBEwIEMv/aAAgBAQABBQJWJM1LvcKNvs//xAAVEQEBAAAAAAAAAAAAAAAA",
        "AAABEP/aAAgBAwEBPwEn/8QAFhEBAQEAAAAAAAAAAAAAAAAAAAES/9oACAECAQE/AWY//8QAGxAAAQQDAAAAAAAAAAAAAAAAAAECEDJh",
        "kaH/2gAIAQEABj8CFdovyGJiP//EABwQAAIBBQEAAAAAAAAAAAAAAAABESExQVFh8P/aAAgBAQABPyEUsb4bZ6IIhuCqCEf/2gAMAwEA",
        "AgADAAAAEAff/8QAGBEAAgMAAAAAAAAAAAAAAAAAAAERQVH/2gAIAQMBAT8QS8JP/8QAFhEBAQEAAAAAAAAAAAAAAAAAAAFh/9oACAEC",
        "AQE/EKxj/8QAHBAAAQQDAQAAAAAAAAAAAAAAAQARIWExQfCh/9oACAEBAAE/EMMJrlgYmzA7QKvc0oEIhexILE58CoX/2Q==",
      ].joined())!)
}
