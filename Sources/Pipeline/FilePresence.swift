import Foundation

extension URL {
  /// Whether there is a file or a folder at this path.
  var isThere: Bool { FileManager.default.fileExists(atPath: path(percentEncoded: false)) }
}
