import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Each trouble ends in a message that says what, where in the run, what is kept, and the command that goes on; and in no
/// word of the runtimes of Swift or C++.
@Suite(.serialized) struct SupervisionTests {
  /// Whether a run ended as a failed step does.
  private func expectFailure(_ run: ProgramRun, in step: String, saying words: [String], kept: String) {
    #expect(run.status == 1 && !run.isSignalled, "\(run.errors)")
    for part in words + ["one, step \(step): ", kept, "To go on: spaceevo run run.yaml --run one"] {
      #expect(run.errors.contains(part), "\(part) is not in:\n\(run.errors)")
    }
    #expect(run.traps.isEmpty, "\(run.errors)")
  }

  @Test func `a device that hangs is given up after its time-out, and the same command goes on once it answers`() throws
  {
    let work = try SmallRun()
    let good = try work.text(of: "device.yaml")
    try work.write(
      "device.yaml", SmallRun.device(time: "[sh, -c, \"sleep 600\", \"{files}\"]", more: "timeout: 0.3\nretries: 1"))
    let hanging = try work.run("run run.yaml --run one")
    expectFailure(
      hanging, in: "profile",
      saying: ["device recorded, command \"time\": sh did not end within 0.3 s (\"timeout\")", "tried 2 times"],
      kept: "Kept: of this step what its records and its last checkpoint hold.")

    try work.write("device.yaml", good)
    let through = try work.run("run run.yaml --run one --quiet")
    #expect(through.status == 0, "\(through.errors)")
    #expect(through.output.contains("model-1"))
  }

  @Test func `numbers that are none any more in a training end it with the step and what to do`() throws {
    let work = try SmallRun(teacher: "steps: 6000, batch: 16, learning-rate: 0.1")
    // A checkpoint whose weights are spoilt stands for a training that has gone wrong.
    let first = try work.start("run run.yaml --run one")
    let checkpoint = work.folder.appending(path: "one/checkpoints/teacher-float.safetensors")
    while first.isRunning, !FileManager.default.fileExists(atPath: checkpoint.path) { usleep(5_000) }
    first.interrupt()
    first.wait()
    #expect(first.status == 130, "\(first.errors)")
    // So does what the interruption left; a sound one would be gone on with.
    let interrupted = checkpoint.deletingLastPathComponent().appending(path: "teacher-float-interrupted.safetensors")
    for file in [checkpoint, interrupted] where FileManager.default.fileExists(atPath: file.path) {
      var bytes = try Data(contentsOf: file)
      let headerLength = bytes.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
      for offset in stride(from: 8 + headerLength, to: bytes.count, by: 4) {
        bytes.replaceSubrange(offset..<(offset + 4), with: withUnsafeBytes(of: Float.nan) { Data($0) })
      }
      try bytes.write(to: file)
    }

    let spoilt = try work.run("run run.yaml --run one")
    expectFailure(
      spoilt, in: "teacher", saying: ["nan", "no lower rate changes that", "lower learning rates"],
      kept: "Kept: the finished step (profile), and")
  }

  @Test func `memory that runs out in the training ends it with the amount and what needs less`() throws {
    let work = try SmallRun(teacher: "steps: 24, batch: 60000, learning-rate: 0.1")
    let run = try work.run("run run.yaml --run one", limit: 3_000_000)
    expectFailure(
      run, in: "teacher", saying: ["there is not enough memory", "A smaller batch or fewer jobs"],
      kept: "Kept: the finished step (profile), and")
  }

  @Test(arguments: [400_000, 700_000, 1_000_000, 1_300_000])
  func `memory that runs out anywhere ends in a sentence`(limit: Int) throws {
    let work = try SmallRun()
    let run = try work.run("run run.yaml --run one", limit: limit)
    // Where an array cannot be allocated, Swift's runtime tells the number of bytes before it gives up, and the sentence
    // comes after that.
    let isAllocation = run.errors.contains("Fatal error: failed to allocate ")
    #expect(run.traps.filter { !(isAllocation && $0 == "Fatal error") }.isEmpty, "\(run.errors)")
    if isAllocation { #expect(run.errors.contains("Error: the program has met a fault")) }
    #expect(!run.isSignalled)
    // Where not even the engines fit, the system's loader says so, with a status of its own.
    #expect([0, 1, 127].contains(run.status), "\(run.errors)")
    if run.status != 0 { #expect(!run.errors.isEmpty) }
  }

  @Test(arguments: [
    ("ONNXRUNTIME_LIBRARY", "onnxruntime", "ONNX Runtime"), ("OPENVINO_LIBRARY", "openvino", "OpenVINO"),
  ])
  func `an engine that is missing is named with the command that fetches it`(
    variable: String, device: String, name: String
  ) throws {
    let work = try SmallRun(device: device)
    let missing = [variable: work.folder.appending(path: "nowhere.so").path]
    let run = try work.run("run run.yaml --run one", environment: missing)
    expectFailure(
      run, in: "profile", saying: ["\(name) cannot be loaded", "nowhere.so", "`make setup` fetches it"],
      kept: "Kept: of this step")
    // A file that is no library at all.
    try work.write("nowhere.so", "no library")
    let broken = try work.run("run run.yaml --run one", environment: missing)
    expectFailure(
      broken, in: "profile", saying: ["\(name) cannot be loaded", "nowhere.so"], kept: "Kept: of this step")
  }

  @Test func `the launcher says what is missing before the program can start`() throws {
    let work = try SmallRun()
    let files = FileManager.default
    try files.copyItem(
      at: SmallRun.package.appending(path: "spaceevo"), to: work.folder.appending(path: "spaceevo"))
    for folder in ["scripts", ".build/release", ".deps/torch/lib"] {
      try files.createDirectory(at: work.folder.appending(path: folder), withIntermediateDirectories: true)
    }
    try files.copyItem(
      at: SmallRun.package.appending(path: "scripts/engine-environment.sh"),
      to: work.folder.appending(path: "scripts/engine-environment.sh"))
    func launch() throws -> ProgramRun {
      let run = try ProgramRun(
        ["/bin/bash", work.folder.appending(path: "spaceevo").path, "--version"], environment: [:], folder: work.folder)
      run.wait()
      return run
    }
    let unbuilt = try launch()
    #expect(unbuilt.status == 1)
    #expect(unbuilt.errors.contains("there is no .build/release/spaceevo") && unbuilt.errors.contains("build"))
    try work.write(".build/release/spaceevo", "#!/bin/sh\necho started\n")
    chmod(work.folder.appending(path: ".build/release/spaceevo").path, 0o755)
    let engineless = try launch()
    #expect(engineless.status == 1 && engineless.errors.contains("there is no .deps/torch/lib/libtorch_cpu."))
    for name in ["libtorch_cpu.so", "libtorch_cpu.dylib", "libc10.so", "libc10.dylib"] {
      try work.write(".deps/torch/lib/\(name)", "")
    }
    #expect(try launch().output == "started\n")
  }

  @Test(arguments: ["onnxruntime", "openvino"])
  func `a model that a runtime refuses is named with the runtime's words`(device: String) throws {
    let work = try SmallRun()
    try work.write("broken.onnx", "this is no model")
    for command in ["evaluate --model broken.onnx", "measure --model broken.onnx --seconds 5"] {
      let run = try work.run("\(command) --device \(device)")
      #expect(run.status == 1, "\(run.errors)")
      #expect(run.errors.contains("broken.onnx: "), "\(run.errors)")
      #expect(run.traps.isEmpty, "\(run.errors)")
    }
  }

  @Test func `a disk that fills up ends the run with what is kept, and the same command goes on with space`() throws {
    let work = try SmallRun()
    let full = try work.run("run run.yaml --run one", environment: ["SPACEEVO_FAULT": "full-disk:30"])
    #expect(full.status == 1 && full.traps.isEmpty, "\(full.errors)")
    for part in ["No space left on device", "Free some space on this disk", "Kept: ", "To go on: "] {
      #expect(full.errors.contains(part), "\(part) is not in:\n\(full.errors)")
    }
    let through = try work.run("run run.yaml --run one --quiet")
    #expect(through.status == 0, "\(through.errors)")
  }

  @Test func `a run with closed streams is whole, and a folder goes on with its own configuration and hyperspace`()
    throws
  {
    let work = try SmallRun()
    // What is opened next would take the place of a closed stream, and progress would be written into it.
    let closed = try work.run("run run.yaml --run one", shell: "exec \"$@\" <&- >&- 2>&-")
    #expect(closed.status == 1, "the result could not be told")
    let again = try work.run("run --run one --json")
    #expect(again.status == 0, "\(again.errors)")
    struct Model: Decodable { var crc32: UInt32 }
    let model = try #require(JSONDecoder().decode([Model].self, from: Data(again.output.utf8)).first)

    // A file that was damaged since is not vouched for.
    let file = work.folder.appending(path: "one/models/model-1.onnx")
    let whole = try Data(contentsOf: file)
    try Data(whole.dropLast(9)).write(to: file)
    let mended = try work.run("run run.yaml --run one --json --quiet")
    #expect(mended.status == 0 && mended.errors.contains("model-1.onnx is not the file that was judged"))
    #expect(try Data(contentsOf: file) == whole)
    #expect(try JSONDecoder().decode([Model].self, from: Data(mended.output.utf8)).first?.crc32 == model.crc32)

    let good = try work.text(of: "h.yaml")
    try work.write("h.yaml", good.replacing("relu6", with: "relu"))
    let changed = try work.run("run --run one")
    #expect(changed.status == 1 && changed.errors.contains("the file of hyperspace has changed"), "\(changed.errors)")
    #expect(changed.errors.contains("relu6"))
    // The report is that of the run, whatever became of the file.
    try FileManager.default.removeItem(at: work.folder.appending(path: "h.yaml"))
    #expect(try work.run("report --run one").status == 0)
  }

  @Test(
    arguments: [
      ("{quantiles: [0.5, 1]}", "{milliseconds: [0.000001]}", "constraints.milliseconds: no subnet of", "profile"),
      ("recalibration-images: 16", "recalibration-images: 59999", "search.recalibration-images: 59999 images", nil),
      ("evaluation-images: 16", "evaluation-images: 30000", "distillation.images: these 64 and twice the 30000", nil),
      ("validation-images: 300", "validation-images: 60000", "data.validation-images: ", nil),
      ("block: bottleneck, widths", "block: nope, widths", "teacher: block: \"nope\" is no block type", nil),
    ] as [(String, String, String, String?)])
  func `what a configuration cannot have is refused by line, before the work that it would lose`(
    right: String, wrong: String, message: String, step: String?
  ) throws {
    let work = try SmallRun()
    try work.write("run.yaml", try work.text(of: "run.yaml").replacing(right, with: wrong))
    let run = try work.run("run run.yaml --run one --quiet")
    #expect(run.status == 1 && run.errors.contains(message), "\(run.errors)")
    #expect(run.errors.contains("run.yaml:") && !run.errors.contains("To go on"), "\(run.errors)")
    #expect(FileManager.default.fileExists(atPath: work.folder.appending(path: "one").path) == (step != nil))
    if let step {
      #expect(run.errors.contains("step \(step)") && run.errors.contains("another folder with --run"))
    }
  }
}
