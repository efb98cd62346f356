import Foundation
import NetworkGraphs
import RunFolders
import SearchSpaces
import Synchronization
import TorchTraining

/// What the steps of a run share.
struct RunContext {
  let configuration: RunConfiguration
  let hyperspace: Hyperspace
  let folder: RunFolder
  let display: ProgressDisplay
  let data: RunData
  let pool: WorkerPool
  /// `nil` in a process that leaves the records to another.
  let trainingLog: TrainingLog?
  /// The processes that train together; `nil` for this one alone.
  var group: ProcessGroup?

  /// Whether this process writes the run folder.
  var leads: Bool { group?.rank ?? 0 == 0 }

  /// The same for work that this process does without the others.
  var alone: RunContext {
    var copy = self
    copy.group = nil
    return copy
  }

  /// The seed of one purpose.
  func seed(for purpose: String) -> UInt64 {
    var generator = SeededGenerator(seed: configuration.seed, stream: purpose)
    return generator.next()
  }

  /// Judges subnets on the first `images` of the validation sample.
  func evaluator(images: Int) throws -> SubnetEvaluator {
    try SubnetEvaluator(
      data, images: images, recalibrationImages: configuration.search.recalibrationImages)
  }

  /// Stochastic gradient descent over all parameters of a store.
  func sgd(_ store: ParameterStore) throws -> SGD {
    let names = store.layout.names
    let settings = configuration.optimizer
    return try SGD(
      store.tensors(names),
      settings: store.settings(
        names, weightDecay: settings.weightDecay, quantizerLearningRateFactor: settings.quantizerRate),
      momentum: settings.momentum, nesterov: settings.nesterov)
  }

  /// Steps of stochastic gradient descent, warmed up and clipped as the configuration says.
  func loop(_ pool: WorkerPool?, learningRate: Double, steps: Int) -> TrainingLoop {
    TrainingLoop(
      pool: pool,
      schedule: CosineSchedule(peak: learningRate, warmUpSteps: warmUpSteps(steps), totalSteps: steps),
      maximumNorm: configuration.optimizer.gradientNorm, group: group)
  }

  func warmUpSteps(_ steps: Int) -> Int { Int(Double(steps) * configuration.optimizer.warmUp) }

  /// Appends an epoch's record unless it is there.
  func recordTraining(_ record: TrainingRecord) throws { try trainingLog?.append(record) }
}

/// The records of all trainings; several run side by side.
final class TrainingLog: Sendable {
  private struct Phase: Hashable {
    var network: String
    var phase: String
  }

  private struct Epoch: Hashable {
    var network: String
    var phase: String
    var step: Int
  }

  private let log: RecordLog<TrainingRecord>
  private let known: Mutex<Set<Epoch>>
  private let restartLog: RecordLog<RestartRecord>
  private let restartCounts: Mutex<[Phase: Int]>

  init(_ folder: RunFolder) throws {
    var epochs = Set<Epoch>()
    log = try folder.records("training") { (record: TrainingRecord) in
      epochs.insert(Epoch(network: record.network, phase: record.phase, step: record.step))
    }
    known = Mutex(epochs)
    var counts: [Phase: Int] = [:]
    restartLog = try folder.records("restarts") { (record: RestartRecord) in
      counts[Phase(network: record.network, phase: record.phase), default: 0] += 1
    }
    restartCounts = Mutex(counts)
  }

  /// How often a training was taken back to a checkpoint.
  func restarts(_ network: String, _ phase: String) -> Int {
    restartCounts.withLock { $0[Phase(network: network, phase: phase)] ?? 0 }
  }

  func append(_ record: RestartRecord) throws {
    try restartLog.append(record)
    restartCounts.withLock { $0[Phase(network: record.network, phase: record.phase), default: 0] += 1 }
  }

  func append(_ record: TrainingRecord) throws {
    let epoch = Epoch(network: record.network, phase: record.phase, step: record.step)
    guard known.withLock({ $0.insert(epoch).inserted }) else { return }
    try log.append(record)
  }
}

extension RecordLog {
  /// All records of a file; none where there is no file.
  static func all(_ url: URL) throws -> [Record] {
    var records: [Record] = []
    try read(url) { records.append($0) }
    return records
  }
}
