import Foundation
import Pipeline
import RunFolders
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension TinyRun {
  /// A run whose profile is that of another, since no seed repeats latencies.
  static func open(
    _ name: String, in folder: URL, profileOf other: String, replacing changes: [(String, String)] = []
  ) throws -> Run {
    let run = try open(name, in: folder, replacing: changes)
    for file in ["predictor.json", "records/latency.jsonl"] {
      let target = folder.appending(path: "\(name)/\(file)")
      try? FileManager.default.removeItem(at: target)
      try FileManager.default.copyItem(at: folder.appending(path: "\(other)/\(file)"), to: target)
    }
    return run
  }

  static func bytes(_ path: String, in folder: URL) throws -> Data {
    try Data(contentsOf: folder.appending(path: path))
  }

  static func restarts(of run: String, in folder: URL) throws -> [RestartRecord] {
    var records: [RestartRecord] = []
    try RecordLog<RestartRecord>.read(
      RunFolderPaths(root: folder.appending(path: run)).recordFile("restarts")
    ) { records.append($0) }
    return records
  }
}

/// Ends or interrupts this process a little after a file has appeared and grown beyond `length` bytes.
func signalThisProcess(_ signal: Int32, after file: URL, longerThan length: Int = 0) {
  Thread.detachNewThread {
    while true {
      let attributes = try? FileManager.default.attributesOfItem(atPath: file.path(percentEncoded: false))
      if let size = attributes?[.size] as? Int, size > length { break }
      usleep(200)
    }
    usleep(20_000)
    kill(getpid(), signal)
  }
}

@Suite(.serialized) struct CollapseTests {
  private static let wild = [
    ("epoch: 10, batch: 32, learning-rate: 0.1", "epoch: 10, batch: 32, learning-rate: 100"),
    ("supernet: {", "\(optimizer)\nsupernet: {"),
  ]
  private static let optimizer = """
    optimizer: {momentum: 0.9, nesterov: true, weight-decay: 0.00003, gradient-norm: 1000000, warm-up: 0,
      quantizer-rate: 0.1, restarts: 3, restart-rate: 0.01}
    """

  @Test func `a supernet that collapses goes on from its last checkpoint at a lower rate, and the report says so`()
    async throws
  {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try TinyRun.open("wild", in: folder, replacing: Self.wild).through(.supernet)
    let restarts = try TinyRun.restarts(of: "wild", in: folder)
    #expect(!restarts.isEmpty && restarts.count <= 3)
    for (index, restart) in restarts.enumerated() {
      #expect(restart.network == "supernet")
      #expect(restart.resumedFrom <= restart.step && restart.resumedFrom % 10 == 0)
      #expect(abs(restart.rateFactor / pow(0.01, Double(index + 1)) - 1) < 1e-9)
    }
    let epochs = try TinyRun.text("wild/records/training.jsonl", in: folder).split(separator: "\n")
      .filter { $0.contains("supernet") }
    #expect(epochs.count == 6, "every epoch is recorded once")
    let report = try String(
      contentsOf: Run.writeReport(of: folder.appending(path: "wild")), encoding: .utf8)
    #expect(report.contains("went back to the last checkpoint"))

    // Killed after the record of the restart and before the next checkpoint, it goes on at the same rate.
    _ = try TinyRun.open("killed", in: folder, profileOf: "wild", replacing: Self.wild)
    let path = folder.path(percentEncoded: false)
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
      let folder = URL(filePath: path)
      signalThisProcess(SIGKILL, after: folder.appending(path: "killed/records/restarts.jsonl"))
      try TinyRun.open("killed", in: folder, configuration: "killed.yaml").through(.supernet)
    }
    #expect(try !TinyRun.restarts(of: "killed", in: folder).isEmpty)
    try TinyRun.open("killed", in: folder, configuration: "killed.yaml").through(.supernet)
    #expect(try TinyRun.restarts(of: "killed", in: folder) == restarts)
    for phase in ["float", "integer"] {
      let name = "checkpoints/supernet-\(phase).safetensors"
      #expect(try TinyRun.bytes("killed/\(name)", in: folder) == TinyRun.bytes("wild/\(name)", in: folder))
    }
  }

  @Test func `after the last restart the error says what is kept and what to change`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let changes = Self.wild.map {
      ($0.0, $0.1.replacing("restarts: 3, restart-rate: 0.01", with: "restarts: 2, restart-rate: 0.999"))
    }
    let run = try TinyRun.open("wild", in: folder, replacing: changes)
    #expect {
      try run.through(.supernet)
    } throws: {
      let text = "\($0)"
      return text.contains("after 2 restarts") && text.contains("supernet-float.safetensors")
        && text.contains("supernet.learning-rate than 100")
    }
    #expect(try TinyRun.restarts(of: "wild", in: folder).count == 2)
    #expect(try TinyRun.names("wild/checkpoints", in: folder).contains("supernet-float.safetensors"))
  }
}

@Suite(.serialized) struct InterruptedTrainingTests {
  /// One epoch a phase, so that there is no checkpoint between its first step and its last.
  private static let oneEpoch = [("epoch: 10, batch: 32", "epoch: 1000, batch: 32")]

  @Test func `what a training ends with does not depend on where it was interrupted or killed`() async throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try TinyRun.open("whole", in: folder, replacing: Self.oneEpoch).through(.supernet)
    let path = folder.path(percentEncoded: false)
    for (name, signal) in [("stopped", SIGTERM), ("killed", SIGKILL)] {
      _ = try TinyRun.open(name, in: folder, profileOf: "whole", replacing: Self.oneEpoch)
      let expected: ExitTest.Condition = signal == SIGKILL ? .signal(SIGKILL) : .exitCode(Interrupted.exitStatus)
      await #expect(processExitsWith: expected) {
        [path = path as String, name = name as String, signal = signal as Int32] in
        Interruption.install()
        let folder = URL(filePath: path)
        signalThisProcess(signal, after: folder.appending(path: "\(name)/checkpoints/supernet-float.safetensors"))
        do {
          try TinyRun.open(name, in: folder, configuration: "\(name).yaml").through(.supernet)
        } catch is Interrupted { exit(Interrupted.exitStatus) }
      }
      let left = "supernet-float-interrupted.safetensors"
      #expect(try TinyRun.names("\(name)/checkpoints", in: folder).contains(left) == (signal == SIGTERM))
      try TinyRun.open(name, in: folder, configuration: "\(name).yaml").through(.supernet)
      #expect(
        try TinyRun.names("\(name)/checkpoints", in: folder) == TinyRun.names("whole/checkpoints", in: folder))
      for phase in ["float", "integer"] {
        let file = "checkpoints/supernet-\(phase).safetensors"
        #expect(try TinyRun.bytes("\(name)/\(file)", in: folder) == TinyRun.bytes("whole/\(file)", in: folder))
      }
      #expect(
        try TinyRun.text("\(name)/records/training.jsonl", in: folder)
          == TinyRun.text("whole/records/training.jsonl", in: folder))
    }
  }

  @Test func `a checkpoint of another space, or of data with other classes, is named and refused`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try TinyRun.open("run", in: folder, replacing: Self.oneEpoch).through(.supernet)
    let file = folder.appending(path: "run/checkpoints/supernet-integer.safetensors")
    let before = try Data(contentsOf: file)
    func refusal(_ old: String, _ new: String) throws -> String {
      var bytes = before
      let place = try #require(bytes.range(of: Data(old.utf8)))
      bytes.replaceSubrange(place, with: Data(new.utf8))
      try bytes.write(to: file)
      do { try TinyRun.open("run", in: folder, configuration: "run.yaml").through(.supernet) } catch {
        #expect(try Data(contentsOf: file) == bytes, "nothing is lost")
        return "\(error)"
      }
      return ""
    }
    let space = try #require(try TinyRun.text("run/records/design.jsonl", in: folder).firstMatch(of: /tiny32-\d+-\d+/))
    let other = String(space.0.dropLast()) + (space.0.hasSuffix("0") ? "1" : "0")
    let spaces = try refusal("\(space.0)", other)
    #expect(
      spaces.contains("the search space \(other)") && spaces.contains("supernet-integer.safetensors"), "\(spaces)")
    let classes = try refusal("Sneaker", "Slipper")
    #expect(classes.contains("\"Slipper\"") && classes.contains("\"Sneaker\""), "\(classes)")
  }
}
