internal import Foundation

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// What is wrong with a run folder or a file in it, and what would be right.
///
///     do {
///       let folder = try RunFolder(at: url, …)
///     } catch let error as RunFolderError where error.code == .inUse {
///       print(error)  // names the process that holds the folder
///     }
public struct RunFolderError: Error, Hashable, CustomStringConvertible {
  /// The kind of failure. Open: later versions may add kinds.
  public struct Code: Hashable, Sendable {
    private let name: String

    /// Another process (or another part of this one) holds the folder or the file.
    public static let inUse = Code(name: "inUse")
    /// The folder belongs to another configuration, seed or format version.
    public static let differentRun = Code(name: "differentRun")
    /// The path is not a run folder, and is not empty either.
    public static let notARunFolder = Code(name: "notARunFolder")
    /// What was read is not what this program wrote.
    public static let damaged = Code(name: "damaged")
    /// The operating system refused to open, read, write or rename something.
    public static let inputOutput = Code(name: "inputOutput")
    /// The value cannot be kept as a record line.
    public static let invalidRecord = Code(name: "invalidRecord")
  }

  public let code: Code
  public let description: String

  init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }

  /// A refusal of the operating system: what was tried on which path, its reason, and what helps where that is known.
  static func system(_ action: String, _ url: URL, _ number: Int32, remains: String = "") -> RunFolderError {
    let reason = String(cString: strerror(number))
    let cure =
      switch number {
      case EACCES, EPERM, EROFS: " Choose a place that you may write to."
      case ENOSPC, EDQUOT: " Free some space on this disk and run the same command again."
      case EFBIG: " Raise the file size limit (ulimit -f) and run the same command again."
      case ELOOP: " It is a link, and a run writes only inside its own folder: remove it."
      case ENOTDIR: " Part of this path is a file; choose another place."
      default: ""
      }
    return RunFolderError(.inputOutput, "\(url.relativePath): cannot \(action): \(reason).\(remains)\(cure)")
  }
}
