package import Foundation

/// An array of bytes in the IDX format of the MNIST family (LeCun, Cortes and Burges, "The MNIST database").
///
/// The file begins with two zero bytes, the element type (8: unsigned byte) and the rank; then each dimension as a
/// big-endian 32-bit number; then the elements, last dimension fastest. It may be compressed by gzip.
package struct IDXFile {
  package let dimensions: [Int]
  /// As many as the product of the dimensions.
  package let elements: [UInt8]

  /// No data set of this format comes near; a larger number is a damaged header.
  static let largestElementCount = 1 << 32

  /// - Parameters:
  ///   - rank: 1 for labels, 3 for images.
  ///   - content: what the elements are, for messages: "labels".
  /// - Throws: `DatasetError`: `missing`; `damaged` for another kind of file, another rank, or another length than the
  ///   header says.
  init(_ url: URL, rank: Int, content: String) throws(DatasetError) {
    try self.init(ByteFile(url), rank: rank, content: content)
  }

  /// The same from the bytes of a file.
  ///
  /// - Parameter url: For messages.
  package init(_ bytes: Data, named url: URL, rank: Int, content: String) throws(DatasetError) {
    try self.init(ByteFile(bytes, named: url), rank: rank, content: content)
  }

  private init(_ file: ByteFile, rank: Int, content: String) throws(DatasetError) {
    let url = file.url
    let magic = try file.read(4, "an IDX header")
    guard magic[0] == 0, magic[1] == 0 else {
      throw .damaged(url, "not an IDX file: it begins with \(Self.hex(magic)), and 00 00 08 0\(rank) is right.")
    }
    guard magic[2] == 8 else {
      throw .damaged(url, "its elements have IDX type \(Self.hex([magic[2]])), and 08 (unsigned bytes) is right.")
    }
    guard Int(magic[3]) == rank else {
      throw .damaged(url, "it has \(magic[3]) dimensions, and \(rank) is right for \(content).")
    }
    let header = try file.read(4 * rank, "an IDX header of \(rank) dimensions")
    let sizes = (0..<rank).map { dimension in
      header[(4 * dimension)..<(4 * dimension + 4)].reduce(0) { $0 << 8 | Int($1) }
    }
    let shown = sizes.map(String.init).joined(separator: " x ")
    var count = 1
    for size in sizes {
      let product = count.multipliedReportingOverflow(by: size)
      guard !product.overflow, (1...Self.largestElementCount).contains(product.partialValue) else {
        throw .damaged(url, "its header says \(shown) \(content), which is no size of a data set. Fetch it again.")
      }
      count = product.partialValue
    }
    dimensions = sizes
    elements = try file.read(count, "the \(shown) \(content) that its header says")
    try file.expectEnd(after: "the \(shown) \(content) that its header says")
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
  }
}
