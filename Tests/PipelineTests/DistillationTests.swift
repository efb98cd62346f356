import Datasets
import Foundation
import Pipeline
import RunFolders
import Testing

extension TinyRun {
  /// Writes a configuration in which some texts are replaced, and opens a run with it.
  static func open(_ name: String, in folder: URL, replacing changes: [(String, String)]) throws -> Run {
    var text = try String(contentsOf: folder.appending(path: "run.yaml"), encoding: .utf8)
    for (old, new) in changes {
      #expect(text.contains(old))
      text = text.replacing(old, with: new)
    }
    try Data(text.utf8).write(to: folder.appending(path: "\(name).yaml"))
    return try open(name, in: folder, configuration: "\(name).yaml")
  }

  static func text(_ path: String, in folder: URL) throws -> String {
    try String(contentsOf: folder.appending(path: path), encoding: .utf8)
  }

  static func names(_ path: String, in folder: URL) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.appending(path: path).path(percentEncoded: false))
      .sorted()
  }

  static let ownTeacher = "{block: bottleneck, widths: [16, 24], depths: [1, 1], steps: 40,"
}

@Suite(.serialized) struct DistillationTests {
  @Test func `a process that joins does the same blocks with the same result, and the run then records them`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try TinyRun.open("alone", in: folder).through(.distillation)

    let run = try TinyRun.open("shared", in: folder)
    let shared = folder.appending(path: "shared")
    #expect(throws: (any Error).self) { try Run.joinDistillation(of: shared, jobs: 1, isQuiet: true) }
    for name in ["predictor.json", "records/latency.jsonl"] {
      try FileManager.default.copyItem(
        at: folder.appending(path: "alone/\(name)"), to: folder.appending(path: "shared/\(name)"))
    }
    try run.through(.teacher)
    try Run.joinDistillation(of: shared, jobs: 1, isQuiet: true)
    #expect(try TinyRun.names("shared/tables", in: folder).count == 8)
    try run.through(.distillation)

    for name in try TinyRun.names("alone/tables", in: folder) {
      #expect(
        try TinyRun.text("shared/tables/\(name)", in: folder) == TinyRun.text("alone/tables/\(name)", in: folder))
    }
    let records = try ["alone", "shared"].map { try TinyRun.text("\($0)/records/blocks.jsonl", in: folder) }
    #expect(records[0] == records[1] && records[0].split(separator: "\n").count == 4)
  }

  @Test func `what a killed process left half done is done again, and the rest is not`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try TinyRun.open("run", in: folder).through(.distillation)
    let checkpoints = folder.appending(path: "run/checkpoints")
    let tables = try TinyRun.names("run/tables", in: folder)
    let before = try tables.map { try TinyRun.text("run/tables/\($0)", in: folder) }
    func date(_ name: String) throws -> Date? {
      try checkpoints.appending(path: name).resourceValues(forKeys: [.contentModificationDateKey])
        .contentModificationDate
    }
    let kept = "block-stage2-mbconv-se-integer.safetensors"
    let written = try date(kept)
    try FileManager.default.removeItem(
      at: checkpoints.appending(path: "block-stage1-bottleneck-integer.safetensors"))
    try FileManager.default.removeItem(at: folder.appending(path: "run/tables/\(tables[0])"))
    try TinyRun.open("run", in: folder).through(.distillation)
    #expect(try tables.map { try TinyRun.text("run/tables/\($0)", in: folder) } == before)
    #expect(try date(kept) == written)
    #expect(
      try TinyRun.names("run/checkpoints", in: folder).contains("block-stage1-bottleneck-integer.safetensors"))
  }

  @Test func `a block that diverges is begun again, and marked where that does not help`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try TinyRun.open(
      "wild", in: folder,
      replacing: [("integer-steps: 6, learning-rate: 0.004", "integer-steps: 6, learning-rate: 100")]
    )
    .through(.distillation)
    let lines = try TinyRun.text("wild/records/blocks.jsonl", in: folder).split(separator: "\n")
    #expect(lines.count == 4)
    #expect(lines.allSatisfy { $0.contains("\"attempts\":3") })
    #expect(lines.contains { $0.contains("\"diverged\":true") })
    // Design goes on: the tables are there, and say that nothing was learnt.
    try TinyRun.open("wild", in: folder, configuration: "wild.yaml").through(.design)
  }

  @Test func `the tables' ranking is compared with training alone, once`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    var settings = RankCheck.Settings(pairs: 3, substages: 4, floatSteps: 4, integerSteps: 2)
    let first = try TinyRun.open("run", in: folder, replacing: [("rows: 6", "rows: 6, row-steps: 3")])
      .verifyTables(settings)
    #expect(first.pairs.count == 3 && Set(first.pairs.map { "\($0.stage) \($0.block)" }).count == 3)
    for agreement in first.pairs {
      #expect(agreement.substages == 4)
      #expect(abs(agreement.float) <= 1 && abs(agreement.integer) <= 1 && abs(agreement.macs) <= 1)
      #expect(agreement.alonePercent > 0)
      // Each row was trained for three steps, on other images when it was sampled again.
      #expect(agreement.repeatedMeanPercent > 0 && agreement.repeatedLargestPercent >= agreement.repeatedMeanPercent)
    }
    // Two stages with two block types: of three pairs one stage has both.
    let stage = try #require(first.stages.first)
    #expect(first.stages.count == 1 && stage.blocks.count == 2 && stage.substages == 8)
    #expect(first.pairs.filter { $0.stage == stage.stage }.map(\.block) == stage.blocks)
    #expect(stage.macs != 0 && abs(stage.integer) <= 1 && abs(stage.integerAtEqualLatency) <= 1)
    let records = try TinyRun.text("run/records/ranks.jsonl", in: folder)
    #expect(records.split(separator: "\n").count == 12)
    #expect(try TinyRun.open("run", in: folder).verifyTables(settings) == first)
    #expect(try TinyRun.text("run/records/ranks.jsonl", in: folder) == records)
    // What was trained for another number of steps says nothing about this one.
    settings.floatSteps = 8
    #expect(try TinyRun.open("run", in: folder).verifyTables(settings) != first)
    #expect(try TinyRun.text("run/records/ranks.jsonl", in: folder).split(separator: "\n").count == 24)
  }
}

@Suite(.serialized) struct TeacherTests {
  private static let weights = Program.dataFolder.appending(path: "teachers/efficientnet-lite0.pth")
  private static var isThere: Bool {
    FileManager.default.fileExists(atPath: weights.path(percentEncoded: false))
  }

  @Test(
    .enabled(if: Self.isThere, "the teachers' weights are not there; `make setup` fetches them"),
    arguments: [0, 3])
  func `EfficientNet-Lite teaches as it is, or fine-tuned`(steps: Int) throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try TinyRun.open(
      "lite", in: folder,
      replacing: [
        (TinyRun.ownTeacher, "{network: efficientnet-lite0, steps: \(steps),"), ("seconds: 10", "seconds: 6"),
      ]
    ).through(.distillation)
    let tables = try TinyRun.names("lite/tables", in: folder)
    #expect(tables.count == 8)
    let note = steps == 0 ? "EfficientNet-Lite0, ImageNet" : "fine-tuned"
    #expect(try TinyRun.text("lite/tables/\(tables[0])", in: folder).contains(note))
  }

  @Test(.enabled(if: Self.isThere, "the teachers' weights are not there; `make setup` fetches them"))
  func `a teacher whose strides do not fit is refused with the stages that it has no blocks for`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "tiny32.yaml")
    let text = try TinyRun.text("tiny32.yaml", in: folder)
      .replacing("depths: [1, 2], stride: 2", with: "depths: [1, 2], stride: 1")
    try Data(text.utf8).write(to: file)
    #expect {
      try TinyRun.open(
        "lite", in: folder, replacing: [(TinyRun.ownTeacher, "{network: efficientnet-lite0, steps: 3,")])
    } throws: {
      "\($0)".contains("strides do not fit") && "\($0)".contains("stage2")
    }
  }

  @Test func `a teacher of our own must have a number for each stage, and a published one takes none`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect {
      try TinyRun.open("short", in: folder, replacing: [("widths: [16, 24]", "widths: [16]")])
    } throws: {
      "\($0)".contains("one number for each of the 2 stages")
    }
    #expect {
      try TinyRun.open(
        "both", in: folder, replacing: [("{block: bottleneck,", "{network: efficientnet-lite1, block: bottleneck,")])
    } throws: {
      "\($0)".contains("both.yaml") && "\($0)".contains("leave it out")
    }
  }
}

@Suite struct FolderRunTests {
  @Test func `images of channels that there are none of are refused`() throws {
    #expect {
      try ImageSource(name: "fashion-mnist", folder: nil, size: nil, channels: 2).load(.test)
    } throws: {
      "\($0)".contains("images of 2 channels are asked for")
    }
    let images = try ImageSource(name: "fashion-mnist", folder: nil, size: nil).load(.test)
    #expect {
      try images.resized(to: 32, channels: 64)
    } throws: {
      "\($0)".contains("images of 64 channels are asked for")
    }
  }

  @Test func `a run trains on a folder of photographs, broken files skipped or refused as it says`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let photographs = folder.appending(path: "photographs")
    for (label, name) in ["dark", "light"].enumerated() {
      let place = photographs.appending(path: name)
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
      for index in 0..<100 {
        let pixels = (0..<3 * 40 * 36).map { UInt8(120 * label + ($0 * (index + 3)) % 130) }
        let picture = Picture(channels: 3, height: 40, width: 36, pixels: pixels)
        try Data(picture.encoded(jpegQuality: index % 2 == 0 ? 90 : nil)).write(
          to: place.appending(path: "\(index)"))
      }
    }
    let hyperspace = try TinyRun.text("tiny32.yaml", in: folder).replacing("channels: 1", with: "channels: 3")
      .replacing("classes: 10", with: "classes: 2")
    try Data(hyperspace.utf8).write(to: folder.appending(path: "tiny32.yaml"))
    let data = "{name: fashion-mnist, folder: default, validation-images: 500, augmentation: {shift: 1, flip: true}}"
    func changes(_ extra: String) -> [(String, String)] {
      [
        (
          data,
          "{name: folder, folder: \(photographs.path(percentEncoded: false)), validation-images: 20, \(extra)augmentation: {shift: 1, flip: true, crop: 0.5, operations: 2}}"
        ),
        ("{images: 128, batch: 16", "{images: 32, batch: 16"), ("evaluation-images: 32", "evaluation-images: 16"),
        ("images: 200, recalibration-images: 64", "images: 20, recalibration-images: 32"),
        ("seconds: 10", "seconds: 6"),
      ]
    }
    try TinyRun.open("whole", in: folder, replacing: changes("")).through(.teacher)
    let record = try TinyRun.text("whole/records/training.jsonl", in: folder)
    #expect(record.contains("\"step\":40"))

    try Data("no image".utf8).write(to: photographs.appending(path: "dark/broken.jpg"))
    #expect {
      try TinyRun.open("refusing", in: folder, replacing: changes(""))
    } throws: {
      "\($0)".contains("dark/broken.jpg")
    }
    _ = try TinyRun.open("skipping", in: folder, replacing: changes("broken-files: skip, "))
    #expect {
      try TinyRun.open("nowhere", in: folder, replacing: [(data, data.replacing("fashion-mnist", with: "folder"))])
    } throws: {
      "\($0)".contains("no default place")
    }
  }
}
