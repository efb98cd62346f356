import Foundation
import Testing

/// Same configuration, seed, `jobs` and machine: the same bytes, where a recorded device stands for the clock.
@Suite struct DeterminismTests {
  /// Everything in a run folder that is promised to be the same, by name: without the times at which latencies were
  /// taken, how long steps took, and the folder's own papers.
  private func content(of folder: URL) throws -> [String: Data] {
    var found: [String: Data] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: folder.path) {
      let file = folder.appending(path: name)
      var isFolder: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: file.path, isDirectory: &isFolder)
      if isFolder.boolValue || ["lock", "manifest.json", "report.html", "records/steps.jsonl"].contains(name) {
        continue
      }
      let data = try Data(contentsOf: file)
      found[name] =
        file.pathExtension.hasPrefix("json") ? Data(timeless(String(decoding: data, as: UTF8.self)).utf8) : data
    }
    return found
  }

  private func timeless(_ text: String) -> String {
    text.replacing(#/"(?:secondsSince1970|secondsApart)" ?: ?[0-9.e+-]+/#, with: "")
  }

  @Test func `two runs of one seed end with the same weights, tables, records and models, and another seed does not`()
    throws
  {
    let work = try SmallRun()
    try work.write("other.yaml", try work.text(of: "run.yaml").replacing("seed: 1", with: "seed: 2"))
    for (configuration, folder) in [("run", "one"), ("run", "two"), ("other", "three")] {
      let run = try work.run("run \(configuration).yaml --run \(folder) --quiet")
      try #require(run.status == 0, "\(run.errors)")
    }
    let contents = try ["one", "two", "three"].map { try content(of: work.folder.appending(path: $0)) }
    #expect(contents[0].keys.sorted() == contents[1].keys.sorted())
    for name in ["models/model-1.onnx", "checkpoints/supernet-integer.safetensors", "predictor.json"] {
      #expect(contents[0][name] != nil, "\(name)")
    }
    for (name, bytes) in contents[0] { #expect(contents[1][name] == bytes, "\(name)") }
    #expect(contents[2]["models/model-1.onnx"] != contents[0]["models/model-1.onnx"])
  }
}
