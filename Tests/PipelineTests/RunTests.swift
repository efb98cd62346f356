import Datasets
import Foundation
import InferenceRuntimes
import Pipeline
import RunFolders
import Testing

@Suite(.serialized) struct RunTests {
  @Test func `a whole run exports models whose files do what the records say`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let models = try TinyRun.open("run", in: folder).through(.report)

    #expect(models.count >= 1 && models.count <= 3)
    let test = try ImageSource(name: "fashion-mnist", folder: nil, size: 32).load(.test)
    for model in models {
      #expect(model.images == 10_000)
      let file = folder.appending(path: "run/models/\(model.file)")
      let session = try OnnxRuntimeSession([UInt8](Data(contentsOf: file)))
      let evaluation = try session.evaluate(test.pixels, labels: test.labels)
      #expect(evaluation.correct == model.correct)
      // 40 steps are few, but a trained network is no guess.
      #expect(model.accuracy > 0.3)
      #expect(model.measuredMilliseconds > 0 && model.predictedMilliseconds > 0)
      let card = try JSONSerialization.jsonObject(
        with: Data(contentsOf: file.deletingPathExtension().appendingPathExtension("json")))
      #expect((card as? [String: Any])?["model"] as? String == model.file)
    }
    let report = try String(contentsOf: folder.appending(path: "run/report.html"), encoding: .utf8)
    #expect(report.contains(models[0].file))
  }

  @Test func `a run that is gone on with ends with the same weights and files as one that was not stopped`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try TinyRun.open("whole", in: folder).through(.models)

    // Latency is what no seed repeats, so the second run takes over what the first measured.
    for step in [Run.Step.profile, .teacher, .distillation, .design, .supernet, .search, .models] {
      let run = try TinyRun.open("pieces", in: folder)
      if step == .profile {
        for name in ["predictor.json", "records/latency.jsonl"] {
          try FileManager.default.copyItem(
            at: folder.appending(path: "whole/\(name)"), to: folder.appending(path: "pieces/\(name)"))
        }
      }
      try run.through(step)
    }
    let checkpoints = try FileManager.default.subpathsOfDirectory(
      atPath: folder.appending(path: "whole/checkpoints").path(percentEncoded: false))
    #expect(!checkpoints.isEmpty)
    for name in checkpoints {
      let whole = try Data(contentsOf: folder.appending(path: "whole/checkpoints/\(name)"))
      let pieces = try Data(contentsOf: folder.appending(path: "pieces/checkpoints/\(name)"))
      #expect(whole == pieces, "\(name)")
    }
    // The chosen models train side by side, so their epochs come in either order.
    let records = try ["whole", "pieces"].map { run in
      try String(contentsOf: folder.appending(path: "\(run)/records/training.jsonl"), encoding: .utf8)
        .split(separator: "\n").sorted()
    }
    #expect(records[0] == records[1])
    let models = try FileManager.default.contentsOfDirectory(
      atPath: folder.appending(path: "whole/models").path(percentEncoded: false)
    ).filter { $0.hasSuffix(".onnx") }
    #expect(!models.isEmpty)
    for name in models {
      let whole = try Data(contentsOf: folder.appending(path: "whole/models/\(name)"))
      let pieces = try Data(contentsOf: folder.appending(path: "pieces/models/\(name)"))
      #expect(whole == pieces, "\(name)")
    }
  }

  @Test func `a refined run has more models, and what it had is as it was`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    // One model, so that there is a gap above it.
    let text = try String(contentsOf: folder.appending(path: "run.yaml"), encoding: .utf8)
    try Data(text.replacing("models: 3, steps: 20", with: "models: 1, steps: 4").utf8).write(
      to: folder.appending(path: "run.yaml"))
    let first = try TinyRun.open("run", in: folder).through(.report)
    #expect(first.map(\.file) == ["model-1.onnx"])
    let bytes = try Data(contentsOf: folder.appending(path: "run/models/model-1.onnx"))
    // As if the machine had been busy, and had taken ten seconds an image.
    let file = folder.appending(path: "run/records/models.jsonl")
    var busy = first[0]
    (busy.gated, busy.measuredMilliseconds) = (false, 10_000)
    try Data(("{\"v\":1," + String(decoding: JSONEncoder().encode(busy), as: UTF8.self).dropFirst() + "\n").utf8)
      .write(to: file)

    let refined = try TinyRun.open("run", in: folder).refine(models: 2)
    #expect(refined.map(\.file).sorted() == ["model-1.onnx", "model-2.onnx"])
    #expect(Set(refined.map(\.subnet)).count == 2)
    let again = try #require(refined.first { $0.file == "model-1.onnx" })
    #expect(again.measuredMilliseconds < 1_000)
    #expect(again.correct == first[0].correct && again.subnet == first[0].subnet)
    #expect(try Data(contentsOf: folder.appending(path: "run/models/model-1.onnx")) == bytes)
    for model in refined {
      let name = model.file.replacing(".onnx", with: ".json")
      let card = try String(contentsOf: folder.appending(path: "run/models/\(name)"), encoding: .utf8)
      #expect(card.contains("\"milliseconds\" : \(model.measuredMilliseconds)"))
    }
    // The run itself takes nothing back. A file that somebody has removed or damaged is made again.
    try FileManager.default.removeItem(at: folder.appending(path: "run/models/model-1.onnx"))
    let second = folder.appending(path: "run/models/model-2.onnx")
    let whole = try Data(contentsOf: second)
    var damaged = whole
    damaged[damaged.startIndex + damaged.count / 2] ^= 1
    try damaged.write(to: second)
    let models = try TinyRun.open("run", in: folder).through(.report)
    #expect(models.count == 2)
    #expect(models.first { $0.file == "model-1.onnx" }?.correct == first[0].correct)
    #expect(try Data(contentsOf: folder.appending(path: "run/models/model-1.onnx")) == bytes)
    #expect(try Data(contentsOf: second) == whole)
    #expect(
      try String(contentsOf: folder.appending(path: "run/report.html"), encoding: .utf8).contains("model-2.onnx"))
  }

  @Test func `a second process on a run folder is refused, and so is another configuration`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let first = try TinyRun.open("run", in: folder)
    #expect(throws: RunFolderError.self) { try TinyRun.open("run", in: folder) }
    try withExtendedLifetime(first) {
      let text = try String(contentsOf: folder.appending(path: "run.yaml"), encoding: .utf8)
      try Data(text.replacing("seed: 3", with: "seed: 4").utf8).write(to: folder.appending(path: "other.yaml"))
    }
  }

  @Test func `a constraint that no subnet meets is refused with the fastest there is`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let configuration = TinyRun.configuration(
      hyperspaceFile: folder.appending(path: "tiny32.yaml"), constraints: "{milliseconds: [0.000001]}")
    try Data(configuration.utf8).write(to: folder.appending(path: "fast.yaml"))
    let run = try TinyRun.open("run", in: folder, configuration: "fast.yaml")
    #expect {
      try run.through(.design)
    } throws: {
      "\($0)".contains("constraints.milliseconds") && "\($0)".contains("fastest")
    }
  }
}
