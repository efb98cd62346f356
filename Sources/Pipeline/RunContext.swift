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
  let trainingLog: TrainingLog

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

  /// Stochastic gradient descent over all parameters of a store. Quantisers learn at a tenth of the rate: their step sizes
  /// are far smaller than weights.
  func sgd(_ store: ParameterStore) throws -> SGD {
    let names = store.layout.names
    return try SGD(
      store.tensors(names),
      settings: store.settings(names, weightDecay: 3e-5, quantizerLearningRateFactor: 0.1))
  }

  /// Appends an epoch's record unless it is there.
  func recordTraining(_ record: TrainingRecord) throws { try trainingLog.append(record) }
}

/// The records of all trainings; several run side by side.
final class TrainingLog: Sendable {
  private struct Epoch: Hashable {
    var network: String
    var phase: String
    var step: Int
  }

  private let log: RecordLog<TrainingRecord>
  private let known: Mutex<Set<Epoch>>

  init(_ folder: RunFolder) throws {
    var epochs = Set<Epoch>()
    log = try folder.records("training") { (record: TrainingRecord) in
      epochs.insert(Epoch(network: record.network, phase: record.phase, step: record.step))
    }
    known = Mutex(epochs)
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
