internal import Foundation

/// What is wrong with a data set on disk, and what would be right. The text names the file.
public struct DatasetError: Error, Hashable, CustomStringConvertible {
  /// The kind of failure. Open: later versions may add kinds.
  public struct Code: Hashable, Sendable {
    private let name: String

    /// A folder or a file is not there.
    public static let missing = Code(name: "missing")
    /// A file is there and is not what its format says: truncated, too long, another kind of file.
    public static let damaged = Code(name: "damaged")
    /// Files that are right by themselves don't belong together, or a request doesn't fit the data.
    public static let inconsistent = Code(name: "inconsistent")
  }

  public let code: Code
  public let description: String

  init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }

  static func damaged(_ url: URL, _ text: String) -> DatasetError {
    DatasetError(.damaged, "\(url.relativePath): \(text)")
  }
}
