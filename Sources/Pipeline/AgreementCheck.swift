public import Datasets
public import Foundation
public import InferenceRuntimes
import NetworkGraphs
import ONNXExport
import Quantization
import RunFolders
public import SearchSpaces
import Synchronization
import TorchTraining

/// Compares what is trained with what runs: random subnets of random spaces of a hyperspace, each trained for a few steps
/// on its own, exported, and run on the same images by the trainer, as integers, and by the runtime on the file.
public struct AgreementCheck: Sendable {
  public struct Settings: Hashable, Sendable {
    public var subnets: Int
    public var images: Int
    /// `nil` for each subnet's own.
    public var resolution: Int?
    /// Steps of training in float, and half as many with every quantiser in place.
    public var steps: Int
    public var batch: Int
    public var seed: UInt64
    /// Subnets side by side.
    public var jobs: Int
    public var runtime: LocalRuntime
    /// The subnet of the seed's sequence to begin with, from 0.
    public var first: Int
    /// Where the files of subnets are kept that do not agree in every logit; `nil` for nowhere.
    public var folder: URL?
    /// A file of records: what is in it is not done again, and each subnet is added to it; `nil` for none.
    public var record: URL?

    public init(
      subnets: Int, images: Int, resolution: Int? = nil, steps: Int = 12, batch: Int = 16, seed: UInt64 = 1,
      jobs: Int = 1, runtime: LocalRuntime = .onnxRuntime, first: Int = 0, folder: URL? = nil,
      record: URL? = nil
    ) {
      self.subnets = subnets
      self.images = images
      self.resolution = resolution
      self.steps = steps
      self.batch = batch
      self.seed = seed
      self.jobs = jobs
      self.runtime = runtime
      self.first = first
      self.folder = folder
      self.record = record
    }
  }

  /// How far two evaluations of the same networks on the same images are apart.
  public struct Agreement: Hashable, Sendable, Codable {
    /// Pairs of a subnet and an image.
    public var images = 0
    /// Of those, how many were given the same class.
    public var sameClass = 0
    /// The largest difference of two logits, in steps of the last quantiser.
    public var largestSteps = 0
    /// Images whose logits are at most two steps apart.
    public var withinTwoSteps = 0
    /// Images whose logits are all equal.
    public var identical = 0

    mutating func add(_ a: ArraySlice<Int>, _ b: ArraySlice<Int>) {
      let steps = zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) }
      images += 1
      if firstLargest(a) == firstLargest(b) { sameClass += 1 }
      largestSteps = max(largestSteps, steps)
      if steps <= 2 { withinTwoSteps += 1 }
      if steps == 0 { identical += 1 }
    }

    private func firstLargest(_ row: ArraySlice<Int>) -> Int {
      row.indices.reduce(row.startIndex) { row[$1] > row[$0] ? $1 : $0 } - row.startIndex
    }

    static func + (a: Agreement, b: Agreement) -> Agreement {
      Agreement(
        images: a.images + b.images, sameClass: a.sameClass + b.sameClass,
        largestSteps: max(a.largestSteps, b.largestSteps), withinTwoSteps: a.withinTwoSteps + b.withinTwoSteps,
        identical: a.identical + b.identical)
    }
  }

  public struct Result: Hashable, Sendable, Codable {
    public var subnets = 0
    /// The trained integers, evaluated by the trainer's library, and the runtime on the exported file.
    public var integersAndRuntime = Agreement()
    /// The training forward pass with the subnet's batch norm statistics, and the runtime.
    public var trainerAndRuntime = Agreement()
    /// Convolutions and matrix products that the runtime's optimiser left in real numbers, of all subnets; `nil` where
    /// the runtime does not hand out the model that it made.
    public var floatProducts: Int?
    /// Images that the runtime names right, of all subnets: that the networks have learnt something.
    public var correct = 0
    /// The subnets whose integers differ from the runtime's in a logit of an image, in the order of the sequence.
    public var differing: [Differing] = []

    static func + (a: Result, b: Result) -> Result {
      var sum = a
      sum.subnets += b.subnets
      sum.integersAndRuntime = a.integersAndRuntime + b.integersAndRuntime
      sum.trainerAndRuntime = a.trainerAndRuntime + b.trainerAndRuntime
      if let products = b.floatProducts { sum.floatProducts = (a.floatProducts ?? 0) + products }
      sum.correct += b.correct
      sum.differing = (a.differing + b.differing).sorted { $0.index < $1.index }
      return sum
    }

    public struct Differing: Hashable, Sendable, Codable {
      /// In the seed's sequence, from 0: `verify --first` begins there.
      public var index: Int
      public var space: String
      public var subnet: String
      /// Images with a logit that differs.
      public var images: Int
      /// In the first of these images; `nil` where the parts of the network agree.
      public var firstDifference: FirstDifference?
    }
  }

  public let hyperspace: Hyperspace
  public let data: ImageDataset
  public let settings: Settings
  private let log: RecordLog<AgreementRecord>?
  private let known: [Int: Result]
  private let conditions: AgreementRecord.Conditions

  /// Subnets that the settings' record file has.
  public var alreadyDone: Int { known.count }

  /// - Parameter data: Labelled images of any size and channels; they are resized. The networks are trained on some of
  ///   them, and compared on others.
  /// - Throws: `TrainingError` where there are too few images or classes; `RunFolderError` where the record file cannot be
  ///   used; `InferenceError` where the runtime is not there.
  public init(hyperspace: Hyperspace, data: ImageDataset, settings: Settings) throws {
    guard data.count >= settings.images + 256 else {
      throw TrainingError(
        "\(data.name) has \(data.count) images; \(settings.images) to compare on and 256 to train on are needed")
    }
    guard data.classNames.count <= hyperspace.classes else {
      throw TrainingError(
        "\(data.name) has \(data.classNames.count) classes, hyperspace \(hyperspace.name) \(hyperspace.classes)")
    }
    self.hyperspace = hyperspace
    // Folders of images are sorted by class: any part of them in this order has images of all.
    var order = Array(0..<data.count)
    var generator = SeededGenerator(seed: settings.seed, stream: "agreement-images")
    generator.shuffle(&order)
    self.data = try data.subset(order, name: data.name)
    self.settings = settings
    let conditions = try AgreementRecord.Conditions(hyperspace: hyperspace, data: data, settings: settings)
    var known: [Int: Result] = [:]
    log = try settings.record.map { file in
      try RecordLog(at: file, of: AgreementRecord.self) { record in
        let index = record.index
        guard record.conditions == conditions, settings.first..<settings.first + settings.subnets ~= index else {
          return
        }
        let drawn = Self.draw(index, of: hyperspace, settings)
        guard record.space == drawn.space, record.subnet == drawn.subnet else { return }
        known[index] = record.result
      }
    }
    self.known = known
    self.conditions = conditions
  }

  /// - Parameter progress: Called after each subnet that was not on record, with the sum so far.
  public func run(progress: @Sendable (Result) -> Void = { _ in }) throws -> Result {
    let total = Mutex(known.values.reduce(Result(), +))
    let pool = WorkerPool(count: settings.jobs)
    let open = (settings.first..<settings.first + settings.subnets).filter { known[$0] == nil }
    try pool.forEach(open.count) { position in
      try Interruption.check()
      let index = open[position]
      let drawn = Self.draw(index, of: hyperspace, settings)
      let one = try check(drawn, index)
      try log?.append(
        AgreementRecord(
          conditions: conditions, index: index, space: drawn.space, subnet: drawn.subnet, result: one))
      progress(
        total.withLock { sum in
          sum = sum + one
          return sum
        })
    }
    return total.withLock { $0 }
  }

  private struct Drawn {
    var space: SearchSpace
    var subnet: Subnet
    /// For what else is random about the subnet.
    var generator: SeededGenerator
  }

  private static func draw(_ index: Int, of hyperspace: Hyperspace, _ settings: Settings) -> Drawn {
    var generator = SeededGenerator(seed: settings.seed, stream: "agreement", index)
    let space = hyperspace.randomSpace(using: &generator)
    var subnet = hyperspace.randomSubnet(of: space, using: &generator)
    subnet.resolution = settings.resolution ?? subnet.resolution
    return Drawn(space: space, subnet: subnet, generator: generator)
  }

  /// Trains, exports and compares one subnet.
  private func check(_ drawn: Drawn, _ index: Int) throws -> Result {
    let (space, subnet) = (drawn.space, drawn.subnet)
    var generator = drawn.generator
    let graph = NetworkGraph(
      subnet, choices: hyperspace.choices(of: space).map(\.blockType), strides: hyperspace.stages.map(\.stride),
      hyperspace: hyperspace)
    let normalization = Normalization(data, indices: Array(data.count - 256..<data.count))
    let pixels = AffineQuantizer(scale: normalization.scale, zeroPoint: normalization.zeroPoint)
    let store = try train(graph, pixels, &generator)

    let recalibration = try (0..<4).map { part in
      try images(Array(data.count - 128 + 32 * part..<data.count - 96 + 32 * part), graph).normalised(pixels)
    }
    let statistics = try store.batchNormStatistics(of: graph, precision: .quantized, batches: recalibration)
    let network = try store.integerNetwork(graph, statistics: statistics, pixels: pixels)
    let file = try ONNXModel.bytes(network)
    let session = try settings.runtime.session(file, .init(keepsOptimizedModel: true))
    var result = Result(subnets: 1)
    if let optimized = (session as? OnnxRuntimeSession)?.optimizedModel {
      result.floatProducts = try ONNXModelSummary(optimized).floatProducts.count
    }
    let evaluation = try IntegerEvaluation(network)
    let last = network.quantizers[graph.output]
    // Small images many at a time: what is done for each batch, with all the weights, costs more than they do.
    var differing: [UInt8]?
    let together = max(20, min(250, 1_000_000 / (graph.inputShape.height * graph.inputShape.width)))
    for first in stride(from: 0, to: settings.images, by: together) {
      try Interruption.check()
      let indices = Array(first..<min(settings.images, first + together))
      let batch = try images(indices, graph)
      // One at a time, as the file is used and timed.
      let size = batch.bytes.count / indices.count
      let runtime = try indices.indices.flatMap { image in
        try session.run(Array(batch.bytes[image * size..<(image + 1) * size]), images: 1)
      }.map { Int(($0 / last.scale).rounded()) + Int(last.zeroPoint) }
      let integers = try evaluation.run(batch.tensor).integers()
      let trainer = try withoutGradients { () throws(TorchError) in
        try store.forward(
          batch.normalised(pixels), through: graph, precision: .quantized, normalization: .given(statistics)
        ).floats()
      }.map { Int(last.quantize($0)) }
      for (image, label) in indices.map({ Int(data.labels[$0]) }).enumerated() {
        let range = image * hyperspace.classes..<(image + 1) * hyperspace.classes
        result.integersAndRuntime.add(integers[range], runtime[range])
        if differing == nil, integers[range] != runtime[range] {
          differing = Array(batch.bytes[image * size..<(image + 1) * size])
        }
        result.trainerAndRuntime.add(trainer[range], runtime[range])
        if runtime[range].max() == runtime[range.lowerBound + label] { result.correct += 1 }
      }
    }
    let agreement = result.integersAndRuntime
    if let image = differing {
      result.differing = [
        .init(
          index: index, space: space.encoding, subnet: subnet.encoding, images: agreement.images - agreement.identical,
          firstDifference: try FirstDifference.find(network, image: image, runtime: settings.runtime))
      ]
      if let folder = settings.folder {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(file).write(to: folder.appending(path: "subnet-\(index).onnx"))
      }
    }
    return result
  }

  private func train(
    _ graph: NetworkGraph, _ pixels: AffineQuantizer, _ generator: inout SeededGenerator
  ) throws -> ParameterStore {
    let store = try ParameterStore(ParameterLayout([graph]), seed: generator.next())
    let names = store.layout.names
    let trainable = data.count - settings.images
    func train(_ steps: Int, _ rate: Double, _ precision: Precision) throws {
      let optimizer = try SGD(
        store.tensors(names), settings: store.settings(names, weightDecay: 0, quantizerLearningRateFactor: 0.1))
      let schedule = CosineSchedule(peak: rate, warmUpSteps: 1 + steps / 5, totalSteps: steps)
      let classifier = ClassifierTraining(graph: graph, labelSmoothing: 0.1, precision: precision)
      for step in 0..<steps {
        try Interruption.check()
        let indices = (0..<settings.batch).map { _ in settings.images + generator.next(below: trainable) }
        let batch = TrainingBatch(
          images: try images(indices, graph).normalised(pixels),
          labels: try Tensor.integers(indices.map { Int(data.labels[$0]) }, shape: [indices.count]))
        let part = try classifier.contribution(store: store, parameters: optimizer.parameters, batch: batch)
        try optimizer.step(gradients: part.gradients.sums, learningRate: schedule(step), maximumNorm: 5)
      }
    }
    try train(settings.steps, 0.05, .float)
    let calibration = (0..<32).map { _ in settings.images + generator.next(below: trainable) }
    try store.calibrateQuantizers(graphs: [graph], batches: [images(calibration, graph).normalised(pixels)])
    try train(settings.steps / 2, 0.01, .quantized)
    return store
  }

  private func images(_ indices: [Int], _ graph: NetworkGraph) throws -> PixelBatch {
    let shape = graph.inputShape
    let images = try data.subset(indices, name: data.name).resized(to: shape.height, channels: shape.channels)
    return PixelBatch(bytes: images.pixels, shape: [indices.count, shape.channels, shape.height, shape.width])
  }

  private struct PixelBatch {
    let bytes: [UInt8]
    let shape: [Int]

    var tensor: Tensor {
      get throws(TorchError) { try Tensor.bytes(bytes, shape: shape) }
    }

    func normalised(_ pixels: AffineQuantizer) throws(TorchError) -> Tensor {
      try tensor.pixelsAsFloats(shift: Float(pixels.zeroPoint), factor: pixels.scale)
    }
  }
}

/// One subnet of a check, and what it was checked under.
struct AgreementRecord: Hashable, Sendable, Codable {
  struct Conditions: Hashable, Sendable, Codable {
    /// With the checksum of its own file: what was changed in the program may change what it finds.
    var program: String
    /// Its name and a checksum of all that it says.
    var hyperspace: String
    /// With its version and the processor's instruction sets: what decides about its arithmetic.
    var runtime: String
    /// With a checksum of the pixels.
    var data: String
    var images: Int
    var steps: Int
    var batch: Int
    var seed: UInt64

    init(hyperspace: Hyperspace, data: ImageDataset, settings: AgreementCheck.Settings) throws {
      let file = try Bundle.main.executableURL.map { try [UInt8](Data(contentsOf: $0, options: .mappedIfSafe)) }
      program = "\(Program.name) \(checksum(file ?? []))"
      self.hyperspace = "\(hyperspace.name) \(checksum(Array(String(reflecting: hyperspace).utf8)))"
      runtime = "\(try Device(settings.runtime.rawValue).identity(threads: 1))"
      self.data = "\(data.name) \(checksum(data.pixels))"
      images = settings.images
      steps = settings.steps
      batch = settings.batch
      seed = settings.seed
    }
  }

  var conditions: Conditions
  /// In the seed's sequence, from 0.
  var index: Int
  var space: SearchSpace
  var subnet: Subnet
  var result: AgreementCheck.Result
}
