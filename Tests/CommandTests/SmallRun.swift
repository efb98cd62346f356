import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A folder with a run that takes seconds: real images and training, and a recorded device in place of a clock.
final class SmallRun {
  let folder = FileManager.default.temporaryDirectory.appending(path: "supervision-\(UUID().uuidString)")

  /// - Parameters:
  ///   - device: What the configuration's `device.name` is; a device that answers at once where left out.
  ///   - teacher: The keys of the teacher's training.
  init(device: String? = nil, teacher: String = "steps: 24, batch: 32, learning-rate: 0.1") throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try write(
      "h.yaml",
      """
      name: small
      image: {channels: 1, resolutions: [32]}
      classes: 10
      blocks:
        - {name: bottleneck, family: residual-bottleneck, kernels: [3], expansions: [1], activation: relu}
        - {name: mbconv, family: mbconv, kernels: [3], expansions: [2], activation: relu6}
      stem: {name: stem, widths: [8], kernel: 3, stride: 2, activation: relu}
      stages:
        - {name: stage1, widths: [8], window: 1, depths: [1, 1], stride: 2}
      head:
        - {layer: convolution, name: expand, width: 16, activation: relu}
        - {layer: global-average-pool, name: pool}
        - {layer: linear, name: logits}
      """)
    // A model takes as many microseconds as its file has bytes.
    try write(
      "device.yaml",
      Self.device(
        time: "[wc, -c, \"{files}\"]", more: "pattern: '([0-9]+) [^\\n]*[.]onnx'\nunit: us\nbatch: 1000\nrounds: 3"))
    try write(
      "run.yaml",
      """
      seed: 1
      jobs: 2
      data: {name: fashion-mnist, folder: default, validation-images: 300, augmentation: {shift: 0, flip: false}}
      hyperspace: h.yaml
      device: {name: \(device ?? "device.yaml"), threads: 1}
      profile: {seconds: 600, fitting-networks: 6, held-out-networks: 2}
      constraints: {quantiles: [0.5, 1]}
      teacher: {block: bottleneck, widths: [16], depths: [1], \(teacher)}
      distillation: {images: 64, batch: 16, float-steps: 6, integer-steps: 4, learning-rate: 0.004,
        random-substages: 1, smallest-in-every-step: false, rows: 4, evaluation-images: 16}
      evolution: {population: 2, tournament: 2, spaces: 2, fraction: 0.08, exponent: 0.01}
      supernet: {float-steps: 8, integer-steps: 4, epoch: 4, batch: 32, learning-rate: 0.1,
        integer-learning-rate: 0.02, random-subnets: 1, smallest-in-every-step: false, label-smoothing: 0.1,
        distillation: {divergence: kullback-leibler, label-share: 0.5}}
      search: {population: 2, generations: 0, mutations: 1, crossovers: 1, images: 100, recalibration-images: 16}
      fine-tuning: {models: 1, steps: 4, batch: 32, learning-rate: 0.02}
      """)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  static let package = URL(filePath: FileManager.default.currentDirectoryPath)

  static func device(time: String, more: String) -> String {
    "name: recorded\nversion: \"1\"\ntime: \(time)\n\(more)\n"
  }

  func write(_ name: String, _ text: String) throws { try Data(text.utf8).write(to: folder.appending(path: name)) }

  func text(of name: String) throws -> String {
    try String(contentsOf: folder.appending(path: name), encoding: .utf8)
  }

  /// Starts the built program with words as a shell would pass them.
  ///
  /// - Parameters:
  ///   - environment: Variables besides those of this process.
  ///   - limit: The address space in kilobytes, as `ulimit -v` takes it.
  ///   - shell: A line for a shell that starts the program, `"$@"` there.
  func start(
    _ words: String, environment: [String: String] = [:], limit: Int? = nil, shell: String? = nil
  ) throws -> ProgramRun {
    let program = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "spaceevo").path
    var command = [program] + words.split(separator: " ").map(String.init)
    let line = shell ?? limit.map { "ulimit -v \($0); exec \"$@\"" }
    if let line { command = ["/bin/sh", "-c", line, "sh"] + command }
    var variables = ["SPACEEVO_ROOT": Self.package.path]
    variables.merge(environment) { $1 }
    return try ProgramRun(command, environment: variables, folder: folder)
  }

  /// Runs the program to its end.
  func run(
    _ words: String, environment: [String: String] = [:], limit: Int? = nil, shell: String? = nil
  ) throws -> ProgramRun {
    let run = try start(words, environment: environment, limit: limit, shell: shell)
    run.wait()
    return run
  }
}

/// A process of the built program, and what it has said.
final class ProgramRun {
  private let process = Process()
  private let outputFile: URL
  private let errorFile: URL

  init(_ command: [String], environment: [String: String], folder: URL) throws {
    let name = UUID().uuidString
    (outputFile, errorFile) = (folder.appending(path: "\(name).out"), folder.appending(path: "\(name).err"))
    for file in [outputFile, errorFile] { try Data().write(to: file) }
    process.executableURL = URL(filePath: command[0])
    process.arguments = Array(command.dropFirst())
    process.currentDirectoryURL = folder
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardOutput = try FileHandle(forWritingTo: outputFile)
    process.standardError = try FileHandle(forWritingTo: errorFile)
    try process.run()
  }

  func wait() { process.waitUntilExit() }
  func interrupt() { kill(process.processIdentifier, SIGINT) }
  var isRunning: Bool { process.isRunning }
  /// Of a process that has ended; a signal's number where one ended it.
  var status: Int32 { process.terminationStatus }
  var isSignalled: Bool { process.terminationReason == .uncaughtSignal }
  var output: String { (try? String(contentsOf: outputFile, encoding: .utf8)) ?? "" }
  var errors: String { (try? String(contentsOf: errorFile, encoding: .utf8)) ?? "" }

  /// What of the Swift and C++ runtimes' own last words a user would have read.
  var traps: [String] {
    ["Fatal error", "crashed", "Current stack trace", "Stack dump", "terminate called", "Program crashed", "*** "]
      .filter { errors.contains($0) || output.contains($0) }
  }
}
