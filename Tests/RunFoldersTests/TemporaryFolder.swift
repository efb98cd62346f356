import Foundation
import RunFolders

/// A folder of a test's own, removed when the value goes.
final class TemporaryFolder: Sendable {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "run-folders-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// The names in the folder, sorted.
  func names(_ path: String = "") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: url.appending(path: path).path).sorted()
  }
}

struct Sample: Codable, Hashable, Sendable {
  var key: String
  var loss: Double
  var blocks: [Int]

  /// A record whose text depends on `index` throughout, of varying length.
  static func numbered(_ index: Int) -> Sample {
    Sample(
      key: "onnxw-151122-\(index) „ü\"\n", loss: Double(index) / 7,
      blocks: (0..<(index % 9)).map { ($0 &+ index) &* 31 })
  }
}

func samples(in url: URL) throws -> [Sample] {
  var found: [Sample] = []
  try RecordLog.read(url) { found.append($0) }
  return found
}

/// The error that `work` throws, as the user sees it; nil if it throws none or one of another type.
func refusal(_ work: () throws -> Void) -> RunFolderError? {
  do {
    try work()
    return nil
  } catch { return error as? RunFolderError }
}
