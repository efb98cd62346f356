import DeviceLatency
import InferenceRuntimes
public import RunFolders
public import SearchSpaces
public import SpaceEvolution
public import StrictYAML
public import TorchTraining

/// Everything that a run depends on besides the machine: what the YAML file says, key by key.
public struct RunConfiguration: Hashable, Sendable {
  public struct Device: Hashable, Sendable {
    /// A built-in name or a file.
    public var name: String
    public var threads: Int

    var isBuiltIn: Bool { InferenceRuntimes.Device.builtInNames.contains(name) }
  }

  public struct Profile: Hashable, Sendable {
    public var seconds: Double
    public var fittingNetworks: Int
    public var heldOutNetworks: Int
    /// For the study of the device that the report begins to explain the space with; 0 for none.
    public var studySeconds: Double
  }

  public enum Constraints: Hashable, Sendable {
    case milliseconds([Double])
    /// Shares of the hyperspace's random subnets that are at most as slow.
    case quantiles([Double])
  }

  public struct Distillation: Hashable, Sendable {
    public var images: Int
    public var batch: Int
    public var floatSteps: Int
    public var integerSteps: Int
    public var learningRate: Double
    public var randomSubstages: Int
    public var smallestInEveryStep: Bool
    /// Sampled sub-stages a table.
    public var rows: Int
    /// Steps that each of them is trained alone, from the weights that all share, before it is judged.
    public var rowSteps: Int
    public var evaluationImages: Int

    /// All images whose maps are computed: to learn from, to judge every step and to judge tables.
    var sampledImages: Int { images + 2 * evaluationImages }
  }

  public struct Evolution: Hashable, Sendable {
    public var population: Int
    public var tournament: Int
    public var spaces: Int
    /// The score's t and a.
    public var fraction: Double
    public var exponent: Double
  }

  /// How teacher, supernet and chosen subnets are trained: stochastic gradient descent, half a cosine.
  public struct Optimizer: Hashable, Sendable {
    public var momentum = 0.9
    public var nesterov = true
    /// Of weights; biases, batch norms and quantisers have none.
    public var weightDecay = 3e-5
    /// Joint norm that gradients are scaled down to.
    public var gradientNorm = 5.0
    /// Share of the steps in which the rate rises from 0.
    public var warmUp = 0.05
    /// Quantisers learn at this share of the rate: their step sizes are far smaller than weights.
    public var quantizerRate = 0.1
    /// How often a training that collapsed is taken back to its last checkpoint.
    public var restarts = 3
    /// What each restart multiplies the rate with.
    public var restartRate = 0.5

    init() {}

    /// - Throws: `YAMLError` with the line of what is wrong.
    init(_ value: YAMLValue) throws(YAMLError) {
      let optimizer = try value.mapping(keys: [
        "momentum", "nesterov", "weight-decay", "gradient-norm", "warm-up", "quantizer-rate", "restarts",
        "restart-rate",
      ])
      momentum = try optimizer.required("momentum").double(in: 0...0.9999)
      nesterov = try optimizer.required("nesterov").bool()
      weightDecay = try optimizer.required("weight-decay").double(in: 0...1)
      gradientNorm = try optimizer.required("gradient-norm").double(in: 1e-6...1e9)
      warmUp = try optimizer.required("warm-up").double(in: 0...1)
      quantizerRate = try optimizer.required("quantizer-rate").double(in: 0...1e3)
      restarts = try optimizer.required("restarts").int(in: 0...100)
      restartRate = try optimizer.required("restart-rate").double(in: 1e-3...0.999)
    }
  }

  public struct Supernet: Hashable, Sendable {
    public var floatSteps: Int
    public var integerSteps: Int
    /// Steps between checkpoints.
    public var epoch: Int
    public var batch: Int
    public var learningRate: Double
    public var integerLearningRate: Double
    public var randomSubnets: Int
    public var smallestInEveryStep: Bool
    public var labelSmoothing: Double
    /// For the largest subnet: the share of features that the classifier does not see in a step.
    public var dropout: Double
    public var divergence: SupernetTraining.Divergence
    public var labelShare: Double
  }

  public struct Search: Hashable, Sendable {
    public var selection: SubnetSearch.Selection
    public var population: Int
    public var generations: Int
    public var mutations: Int
    public var crossovers: Int
    public var images: Int
    public var recalibrationImages: Int
  }

  public struct FineTuning: Hashable, Sendable {
    /// Which subnets are trained on their own and exported.
    public enum Choice: String, Hashable, Sendable, CaseIterable {
      /// Those that no other dominates in the supernet.
      case front
      /// The best around each of so many latencies, up to the largest of the constraints.
      case latencies
    }

    /// Models exported, at most.
    public var models: Int
    public var choice: Choice
    public var steps: Int
    public var batch: Int
    public var learningRate: Double
  }

  public var seed: UInt64
  public var jobs: Int
  public var data: Data
  /// A built-in name or a file.
  public var hyperspace: String
  /// The one of the hyperspace's resolutions that the run is for; `nil` where it has only one.
  public var resolution: Int?
  public var device: Device
  public var profile: Profile
  public var constraints: Constraints
  public var teacher: Teacher
  public var distillation: Distillation
  public var evolution: Evolution
  public var optimizer: Optimizer
  public var supernet: Supernet
  public var search: Search
  public var fineTuning: FineTuning
  /// The text that was read, kept with the run.
  public var text: String
  /// Where it was read from, for errors.
  public var file: String

  /// The demo's text, with every key explained.
  public static let builtInText = String(
    decoding: PackageResources.fashion_mnist_yaml, as: UTF8.self)

  /// The names of the built-in configurations; the first is the demo.
  public static let presetNames = ["fashion-mnist", "imagenet"]

  /// The text of a built-in configuration; `nil` for a name that is none.
  public static func preset(_ name: String) -> String? {
    switch name {
    case "fashion-mnist": builtInText
    case "imagenet": String(decoding: PackageResources.imagenet_yaml, as: UTF8.self)
    default: nil
    }
  }

  /// An error about what a key says, with the line where it stands; for what shows only beside data or device.
  ///
  /// - Parameter keys: Such as `search.images`.
  func error(at keys: String, _ message: String) -> YAMLError {
    (try? YAMLValue.parse(text, file: file))?.value(at: keys)?.error(message)
      ?? YAMLError(file: file, message: "\(keys): \(message)")
  }

  /// The device for a reader; that of a file that is gone or wrong by now goes by the file's name.
  var deviceName: String {
    guard !device.isBuiltIn else { return device.name }
    return (try? InferenceRuntimes.Device(device.name).identity(threads: device.threads))?.name ?? device.name
  }

  /// The texts of files that the configuration names and that make the run what it is, by key.
  func inputs() throws -> [String: String] {
    Hyperspace.builtIn(hyperspace) == nil
      ? ["hyperspace": try Program.text(ofFile: hyperspace, kind: "hyperspace")] : [:]
  }

  /// The hyperspace in the device's form, with the run's resolution as its only one.
  ///
  /// - Throws: `YAMLError` where its file is faulty, or it does not have the resolution.
  ///
  /// - Parameter manifest: Of the run folder, which has the text of the hyperspace's file; `nil` reads the file.
  public func loadHyperspace(_ manifest: Manifest? = nil) throws -> Hyperspace {
    var space = try Program.hyperspace(hyperspace, text: manifest?.inputs?["hyperspace"], for: device.name)
    guard let resolution else { return space }
    guard space.resolutions.contains(resolution) else {
      throw error(
        at: "resolution",
        "hyperspace \(space.name) has no \(resolution); right would be one of "
          + space.resolutions.map(String.init).joined(separator: ", "))
    }
    space.resolutions = [resolution]
    return space
  }

  /// Reads a configuration file.
  ///
  /// - Throws: `YAMLError` with the line of what is wrong, and what would be right.
  public init(yaml text: String, file: String) throws(YAMLError) {
    self.text = text
    self.file = file
    let root = try YAMLValue.parse(text, file: file).mapping(keys: [
      "seed", "jobs", "data", "hyperspace", "resolution", "device", "profile", "constraints", "teacher", "distillation",
      "evolution", "optimizer", "supernet", "search", "fine-tuning",
    ])
    seed = UInt64(try root.required("seed").int(in: 0...Int.max))
    jobs = try root.required("jobs").int(in: 1...256)

    data = try Data(root.required("data"))

    hyperspace = try root.required("hyperspace").string()
    resolution = try root.optional("resolution")?.int(in: 8...4_096)

    let device = try root.required("device").mapping(keys: ["name", "threads"])
    self.device = Device(
      name: try Self.deviceName(device.required("name")),
      threads: try device.required("threads").int(in: 1...256))

    let profile = try root.required("profile").mapping(
      keys: ["seconds", "fitting-networks", "held-out-networks", "study-seconds"])
    self.profile = Profile(
      seconds: try profile.required("seconds").double(in: 1...86_400),
      fittingNetworks: try profile.required("fitting-networks").int(in: 6...10_000),
      heldOutNetworks: try profile.required("held-out-networks").int(in: 2...10_000),
      studySeconds: try profile.optional("study-seconds")?.double(in: 0...86_400) ?? 0)

    constraints = try Self.constraints(root.required("constraints"))

    teacher = try Teacher(root.required("teacher"))

    let distillation = try root.required("distillation").mapping(keys: [
      "images", "batch", "float-steps", "integer-steps", "learning-rate", "random-substages",
      "smallest-in-every-step", "rows", "row-steps", "evaluation-images",
    ])
    self.distillation = Distillation(
      images: try distillation.required("images").int(in: 32...10_000_000),
      batch: try distillation.required("batch").int(in: 2...65_536),
      floatSteps: try distillation.required("float-steps").int(in: 1...10_000_000),
      integerSteps: try distillation.required("integer-steps").int(in: 1...10_000_000),
      learningRate: try distillation.required("learning-rate").double(in: 1e-9...100),
      randomSubstages: try distillation.required("random-substages").int(in: 1...64),
      smallestInEveryStep: try distillation.required("smallest-in-every-step").bool(),
      rows: try distillation.required("rows").int(in: 2...1_000_000),
      rowSteps: try distillation.optional("row-steps")?.int(in: 0...1_000_000) ?? 0,
      evaluationImages: try distillation.required("evaluation-images").int(in: 16...1_000_000))

    let evolution = try root.required("evolution").mapping(
      keys: ["population", "tournament", "spaces", "fraction", "exponent"])
    let population = try evolution.required("population").int(in: 1...1_000_000)
    self.evolution = Evolution(
      population: population, tournament: try evolution.required("tournament").int(in: 1...population),
      spaces: try evolution.required("spaces").int(in: 1...100_000_000),
      fraction: try evolution.required("fraction").double(in: 1e-6...1),
      exponent: try evolution.required("exponent").double(in: 0...10))

    // Runs of earlier versions have no such section; they had these values.
    let optimizer = root.optional("optimizer")
    self.optimizer = try optimizer.map { value throws(YAMLError) in try Optimizer(value) } ?? Optimizer()

    let supernet = try root.required("supernet").mapping(keys: [
      "float-steps", "integer-steps", "epoch", "batch", "learning-rate", "integer-learning-rate", "random-subnets",
      "smallest-in-every-step", "label-smoothing", "dropout", "distillation",
    ])
    let inPlace = try supernet.required("distillation").mapping(keys: ["divergence", "label-share"])
    let divergence = try inPlace.required("divergence").choice(SupernetTraining.Divergence.allCases.map(\.rawValue))
    self.supernet = Supernet(
      floatSteps: try supernet.required("float-steps").int(in: 1...1_000_000_000),
      integerSteps: try supernet.required("integer-steps").int(in: 1...1_000_000_000),
      epoch: try supernet.required("epoch").int(in: 1...1_000_000),
      batch: try supernet.required("batch").int(in: 2...65_536),
      learningRate: try supernet.required("learning-rate").double(in: 1e-9...100),
      integerLearningRate: try supernet.required("integer-learning-rate").double(in: 1e-9...100),
      randomSubnets: try supernet.required("random-subnets").int(in: 0...64),
      smallestInEveryStep: try supernet.required("smallest-in-every-step").bool(),
      labelSmoothing: try supernet.required("label-smoothing").double(in: 0...0.9),
      dropout: try supernet.optional("dropout")?.double(in: 0...0.9) ?? 0,
      divergence: SupernetTraining.Divergence(rawValue: divergence)!,
      labelShare: try inPlace.required("label-share").double(in: 0...1))

    let search = try root.required("search").mapping(
      keys: ["selection", "population", "generations", "mutations", "crossovers", "images", "recalibration-images"])
    self.search = Search(
      selection: try search.optional("selection")?.choice(SubnetSearch.Selection.self) ?? .front,
      population: try search.required("population").int(in: 2...1_000_000),
      generations: try search.required("generations").int(in: 0...100_000),
      mutations: try search.required("mutations").int(in: 0...1_000_000),
      crossovers: try search.required("crossovers").int(in: 0...1_000_000),
      images: try search.required("images").int(in: 10...10_000_000),
      recalibrationImages: try search.required("recalibration-images").int(in: 16...1_000_000))
    guard self.search.images <= self.data.validationImages else {
      throw try search.required("images").error(
        "\(self.search.images) is more than data.validation-images, \(self.data.validationImages)")
    }

    let fineTuning = try root.required("fine-tuning").mapping(
      keys: ["models", "choice", "steps", "batch", "learning-rate"])
    self.fineTuning = FineTuning(
      models: try fineTuning.required("models").int(in: 1...1_000),
      choice: try fineTuning.optional("choice")?.choice(FineTuning.Choice.self) ?? .front,
      steps: try fineTuning.required("steps").int(in: 0...1_000_000_000),
      batch: try fineTuning.required("batch").int(in: 2...65_536),
      learningRate: try fineTuning.required("learning-rate").double(in: 1e-9...100))
  }

  /// A built-in device, or the file of one; whether the file is there and right shows when the device is used.
  private static func deviceName(_ value: YAMLValue) throws(YAMLError) -> String {
    let name = try value.string()
    guard InferenceRuntimes.Device.builtInNames.contains(name) || name.hasSuffix(".yaml") || name.hasSuffix(".yml")
    else {
      throw value.error(
        "\"\(name)\" is not known here; right would be one of \(InferenceRuntimes.Device.builtInNames.joined(separator: ", ")), "
          + "or the YAML file of a device")
    }
    return name
  }

  private static func constraints(_ value: YAMLValue) throws(YAMLError) -> Constraints {
    let mapping = try value.mapping(keys: ["milliseconds", "quantiles"])
    switch (mapping.optional("milliseconds"), mapping.optional("quantiles")) {
    case (let milliseconds?, nil):
      return .milliseconds(try ascending(milliseconds, in: 1e-6...1e9))
    case (nil, let quantiles?):
      return .quantiles(try ascending(quantiles, in: 0.001...1))
    default:
      throw value.error("needs either milliseconds or quantiles, and one of them only")
    }
  }

  private static func ascending(_ value: YAMLValue, in range: ClosedRange<Double>) throws(YAMLError) -> [Double] {
    var items: [Double] = []
    for item in try value.list(count: 1...32) {
      let number = try item.double(in: range)
      if let last = items.last, last >= number { throw item.error("\(number) does not follow \(last); must ascend") }
      items.append(number)
    }
    return items
  }

  static func ints(_ value: YAMLValue, in range: ClosedRange<Int>) throws(YAMLError) -> [Int] {
    var items: [Int] = []
    for item in try value.list(count: 1...64) { items.append(try item.int(in: range)) }
    return items
  }
}
