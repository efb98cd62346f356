import Datasets
import Foundation

/// A folder of a test's own, removed when the value goes.
final class DatasetFolder: Sendable {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "datasets-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func write(_ bytes: [UInt8], _ name: String) throws { try Data(bytes).write(to: url.appending(path: name)) }
}

/// An IDX file of unsigned bytes.
func idx(_ dimensions: [Int], _ elements: [UInt8]) -> [UInt8] {
  [0, 0, 8, UInt8(dimensions.count)] + dimensions.flatMap { size in [24, 16, 8, 0].map { UInt8(size >> $0 & 255) } }
    + elements
}

/// A gzip file that holds `bytes` uncompressed (RFC 1951, section 3.2.4; RFC 1952).
func gzip(_ bytes: [UInt8]) -> [UInt8] {
  var file: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]
  var start = 0
  repeat {
    let block = bytes[start..<min(start + 65_535, bytes.count)]
    start += block.count
    let (low, high) = (UInt8(block.count & 255), UInt8(block.count >> 8))
    file += [start == bytes.count ? 1 : 0, low, high, ~low, ~high] + block
  } while start < bytes.count
  var checksum: UInt32 = .max
  for byte in bytes {
    checksum ^= UInt32(byte)
    for _ in 0..<8 { checksum = checksum >> 1 ^ (checksum & 1 == 1 ? 0xedb8_8320 : 0) }
  }
  for value in [~checksum, UInt32(bytes.count)] { file += [0, 8, 16, 24].map { UInt8(value >> $0 & 255) } }
  return file
}

/// The error that `work` throws; nil if it throws none or one of another type.
func refusal(_ work: () throws -> Void) -> DatasetError? {
  do {
    try work()
    return nil
  } catch { return error as? DatasetError }
}

/// Images whose every pixel tells its image, plane, row and column (as far as a byte goes), with labels in turn.
func countingDataset(count: Int, channels: Int = 1, height: Int = 5, width: Int = 4, classes: Int = 3) throws
  -> ImageDataset
{
  let pixels = (0..<(count * channels * height * width)).map { UInt8(($0 * 7 + 1) % 251 + 1) }
  return try ImageDataset(
    name: "counting", classNames: (0..<classes).map { "class \($0)" }, channels: channels, height: height, width: width,
    pixels: pixels, labels: (0..<count).map { Int32($0 % classes) })
}
