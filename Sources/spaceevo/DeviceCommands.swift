import ArgumentParser
import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import Pipeline
import RunFolders
import SearchSpaces

/// `--device` and `--threads`.
struct DeviceOptions: ParsableArguments {
  @Option(
    help: "The device: \(Device.builtInNames.joined(separator: ", ")), or a YAML file that says how to time models.")
  var device = "onnxruntime"

  @Option(help: "Threads of the runtime.")
  var threads = 1

  mutating func validate() throws {
    guard (1...256).contains(threads) else { throw ValidationError("--threads is from 1 to 256.") }
  }

  func load() throws -> Device { try Device(device) }
}

/// What `measure` times and `predict` predicts.
struct SubnetOptions: ParsableArguments {
  @Option(help: "The hyperspace: \(Hyperspace.builtInNames.joined(separator: ", ")), or a YAML file.")
  var hyperspace: String?

  @Option(help: "The search space.")
  var space: String?

  @Option(help: "The subnet.")
  var subnet: String?

  /// The graph, where all three are given, in the form that a device computes it in.
  func graph(on device: Device? = nil) throws -> (space: SearchSpace, subnet: Subnet, graph: NetworkGraph)? {
    switch (hyperspace, space, subnet) {
    case (nil, nil, nil): return nil
    case (let hyperspace?, let space?, let subnet?):
      let hyperspace = try Program.hyperspace(hyperspace)
        .computed(in: device?.evaluationRuntime.arithmetic ?? .onnxRuntime)
      let space = try hyperspace.space(space)
      let subnet = try hyperspace.subnet(subnet, in: space)
      return (space, subnet, try NetworkGraph(subnet, of: space, in: hyperspace))
    default: throw ValidationError("A subnet needs --hyperspace, --space and --subnet.")
    }
  }
}

struct MeasureCommand: ParsableCommand, KeepingNothing {
  static let configuration = CommandConfiguration(
    commandName: "measure", abstract: "Latency of a subnet as INT8 model, or of any model, measured on a device.",
    discussion: """
      The shortest call of several sessions; only what ran at the machine's full speed counts, which a probe before and \
      after each slice tells. On a busy machine the command waits; then it says so and gives what it has.
      """)

  @Option(help: "An ONNX file, ours or not.", completion: .file(extensions: ["onnx"]))
  var model: String?

  @OptionGroup var subnet: SubnetOptions
  @OptionGroup var device: DeviceOptions

  @Option(help: "Measure this often, in sessions of its own each, and tell how far they differ.")
  var repetitions = 1

  @Option(help: "Give up after this many seconds.")
  var seconds = 60.0

  @OptionGroup var output: OutputOptions

  mutating func validate() throws {
    guard (model == nil) != (subnet.hyperspace == nil) else {
      throw ValidationError("Give either --model, or --hyperspace, --space and --subnet.")
    }
    guard (1...1_000).contains(repetitions) else { throw ValidationError("--repetitions is from 1 to 1000.") }
    guard seconds > 0, seconds <= 86_400 else { throw ValidationError("--seconds is above 0, at most 86400.") }
  }

  private struct Answer: Encodable {
    var device: String
    var milliseconds: Double
    var spreadPercent: Double
    var rounds: Int
    var slices: Int
    var gated: Bool
    /// Of all repetitions; the slowest is this much longer than the fastest.
    var repetitions: [Double]
    var repeatabilityPercent: Double?
  }

  func run() throws {
    let display = ProgressDisplay(isQuiet: output.quiet)
    let meter = try device.load().meter(threads: device.threads) {
      display.note("The machine is busy: waiting for its full speed")
    } check: {
      try Interruption.check()
    }
    let request = try request()
    let progress = display.begin("Measure on \(meter.device.name)", unit: "repetitions", total: repetitions)
    var results: [LatencyMeasurement] = []
    let deadline = ContinuousClock.now + .seconds(seconds)
    for _ in 0..<repetitions {
      try Interruption.check()
      try meter.measure([request], effort: .report, until: deadline) { results.append($0) }
      progress.advance()
    }
    progress.finish()
    guard
      let best = results.filter(\.isGated).min(by: { $0.nanoseconds < $1.nanoseconds })
        ?? results.min(by: { $0.nanoseconds < $1.nanoseconds })
    else {
      throw LatencyProfileError("nothing could be measured in \(seconds.formatted()) s; give it longer with --seconds")
    }
    let times = results.map(\.milliseconds)
    let answer = Answer(
      device: "\(best.device)", milliseconds: best.milliseconds, spreadPercent: best.spreadPercent,
      rounds: best.rounds, slices: best.slices, gated: best.isGated, repetitions: times,
      repeatabilityPercent: times.count > 1 ? 100 * (times.max()! / times.min()! - 1) : nil)
    if output.json { try printJSON(answer) } else { show(answer) }
    if !answer.gated {
      display.warn("the machine was busy all the time: take the latency for an upper bound")
    }
  }

  private func request() throws -> LatencyRequest {
    if let model {
      let bytes = try Program.bytes(ofFile: model)
      return LatencyRequest(.model(model), .bytes(bytes))
    }
    guard let (space, subnet, graph) = try subnet.graph(on: device.load()) else {
      throw ValidationError("Nothing to measure.")
    }
    return LatencyRequest(.subnet(space, subnet), .network(graph))
  }

  private func show(_ answer: Answer) {
    func text(_ number: Double, _ digits: Int) -> String {
      number.formatted(.number.precision(.fractionLength(digits)))
    }
    print("\(text(answer.milliseconds, 4)) ms on \(answer.device)")
    print(
      "minimum of \(answer.slices) slices of \(answer.rounds), the worst of them \(text(answer.spreadPercent, 1)) % longer"
    )
    if let percent = answer.repeatabilityPercent {
      print("\(answer.repetitions.count) repetitions, the slowest \(text(percent, 2)) % above the fastest")
    }
    if !answer.gated { print("not at the machine's full speed: an upper bound") }
  }
}

struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict", abstract: "INT8 latency of a subnet, predicted by the predictor of a run or a file.")

  @Option(help: "The predictor: predictor.json of a run folder.", completion: .file(extensions: ["json"]))
  var predictor: String?

  @Option(name: .customLong("run"), help: "The run folder, in place of --predictor.", completion: .directory)
  var folder: String?

  @OptionGroup var subnet: SubnetOptions
  @OptionGroup var output: OutputOptions

  mutating func validate() throws {
    guard (predictor == nil) != (folder == nil) else { throw ValidationError("Give either --run or --predictor.") }
  }

  private struct Answer: Encodable {
    var device: String
    var milliseconds: Double
    var stages: [String: Double]
  }

  func run() throws {
    guard let (_, _, graph) = try subnet.graph() else {
      throw ValidationError("Give --hyperspace, --space and --subnet.")
    }
    let file = predictor ?? URL(filePath: folder!).appending(path: "predictor.json").path(percentEncoded: false)
    let predictor = try DeviceProfile.predictor(file: file)
    let prediction = predictor.prediction(of: graph)
    let answer = Answer(
      device: "\(predictor.device)", milliseconds: prediction.milliseconds,
      stages: Dictionary(
        zip(prediction.stageNames, prediction.stageMilliseconds), uniquingKeysWith: { first, _ in first }))
    if output.json { try printJSON(answer) } else { print("\(answer.milliseconds) ms, predicted for \(answer.device)") }
  }
}

struct ProfileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "profile", abstract: "Measure a device and fit the latency predictor of a hyperspace.",
    discussion: """
      With --device and --hyperspace it stands alone: every measurement is a record in the run folder, and what is fitted \
      to them is its predictor.json. The same command goes on where it was stopped, and makes an existing predictor \
      better. Without them it is the first step of the run that the configuration describes.
      """)

  @OptionGroup var options: RunOptions

  @Option(help: "The device: \(Device.builtInNames.joined(separator: ", ")), or a YAML file.")
  var device: String?

  @Option(help: "The hyperspace: \(Hyperspace.builtInNames.joined(separator: ", ")), or a YAML file.")
  var hyperspace: String?

  @Option(help: "Threads of the runtime. (default: 1)")
  var threads: Int?

  @Option(help: "At most this many minutes of measuring. (default: 15)")
  var minutes: Double?

  @Option(help: "Random networks that the correction is fitted on; 60 where left out, 240 for OpenVINO.")
  var fittingNetworks: Int?

  @Option(
    help:
      "Random networks that only judge the result; two in five as many of one block type come on top. (default: 100)")
  var heldOutNetworks: Int?

  @Option(parsing: .unconditional, help: "The seed of the random networks. (default: 1)")
  var seed: UInt64?

  @Flag(help: "Print what the predictor is worth as JSON on standard output.")
  var json = false

  mutating func validate() throws {
    guard (device == nil) == (hyperspace == nil) else {
      throw ValidationError("--device and --hyperspace go together; without both, the run's configuration names them.")
    }
    if device != nil, options.configuration != nil {
      throw ValidationError("Give either a configuration, or --device and --hyperspace.")
    }
    if device != nil, options.folder == nil { throw ValidationError("Name the run folder with --run FOLDER.") }
    let own: [(String, Bool)] = [
      ("--threads", threads != nil), ("--minutes", minutes != nil), ("--fitting-networks", fittingNetworks != nil),
      ("--held-out-networks", heldOutNetworks != nil), ("--seed", seed != nil),
    ]
    if device == nil, let (name, _) = own.first(where: \.1) {
      throw ValidationError(
        "\(name) goes with --device and --hyperspace; of a run, the configuration says it. Leave it out.")
    }
    guard (1...256).contains(threads ?? 1) else { throw ValidationError("--threads is from 1 to 256.") }
    let minutes = minutes ?? 15
    guard minutes > 0, minutes <= 1_440 else { throw ValidationError("--minutes is above 0, at most 1440.") }
    if let fittingNetworks, !(6...10_000).contains(fittingNetworks) {
      throw ValidationError("--fitting-networks is from 6 to 10000.")
    }
    guard (2...10_000).contains(heldOutNetworks ?? 100) else {
      throw ValidationError("--held-out-networks is from 2 to 10000.")
    }
  }

  private struct Answer: Encodable {
    var device: DeviceIdentity
    var kernels: Int
    var gatedShare: Double
    var networks: Int?
    var meanPercent: Double?
    var largestPercent: Double?
    var within5Percent: Double?
    var within10Percent: Double?
    var kendallTau: Double?
    var repeatability: Repeatability?
    var predictionMicroseconds: Double
    var predictor: String
  }

  func run() throws {
    guard let device, let hyperspace, let folder = options.folder else {
      let run = try options.open()
      try run.through(.profile)
      guard json, run.leads else { return }
      let (standalone, predictor, file) = try run.profile()
      return try printJSON(answer(predictor, standalone, file))
    }
    let display = ProgressDisplay(isQuiet: options.quiet)
    let standalone = StandaloneProfile(
      hyperspace: hyperspace, device: device, threads: threads ?? 1, seed: seed ?? 1, fittingNetworks: fittingNetworks,
      heldOutNetworks: heldOutNetworks ?? 100, budget: .seconds(60 * (minutes ?? 15)))
    let (predictor, file) = try standalone.run(folder: URL(filePath: folder), display: display)
    if let warning = predictor.warning { display.warn(warning) }
    let answer = try answer(predictor, standalone, file)
    if json { return try printJSON(answer) }
    for line in predictor.summary { print(line) }
    let microseconds = answer.predictionMicroseconds.formatted(.number.precision(.fractionLength(2)))
    print("A prediction takes \(microseconds) microseconds")
    print(answer.predictor)
  }

  private func answer(_ predictor: LatencyPredictor, _ profile: StandaloneProfile, _ file: URL) throws -> Answer {
    let heldOut = predictor.heldOut
    return Answer(
      device: predictor.device, kernels: predictor.kernels.count, gatedShare: predictor.gatedShare,
      networks: heldOut?.pairs.count, meanPercent: heldOut?.meanPercent, largestPercent: heldOut?.largestPercent,
      within5Percent: heldOut?.within5Percent, within10Percent: heldOut?.within10Percent,
      kendallTau: heldOut?.kendallTau, repeatability: predictor.repeatability,
      predictionMicroseconds: try profile.predictionMicroseconds(predictor), predictor: file.path(percentEncoded: false)
    )
  }
}
