import Foundation
import NetworkGraphs
import RunFolders
import TorchTraining

/// A training that leaves a checkpoint after every epoch, and goes on from the last one.
///
/// The checkpoint holds parameters, velocities, the number of steps done and the epoch's record; it replaces the one
/// before atomically. The record is appended after it: where a crash falls in between, it is taken from the checkpoint.
struct CheckpointedTraining {
  let context: RunContext
  let network: String
  let phase: String
  let steps: Int
  /// Steps between checkpoints.
  let epoch: Int
  let batch: Int

  var checkpoint: URL { Self.checkpoint(network, phase, in: context.folder.paths) }

  static func checkpoint(_ network: String, _ phase: String, in paths: RunFolderPaths) -> URL {
    paths.checkpoints.appending(path: "\(network)-\(phase).safetensors")
  }

  /// Whether there is a checkpoint.
  var isBegun: Bool { FileManager.default.fileExists(atPath: checkpoint.path(percentEncoded: false)) }

  /// Steps that an earlier process finished.
  var stepsDone: Int {
    get throws {
      guard isBegun, let text = try Safetensors(contentsOf: checkpoint).metadata["record"] else { return 0 }
      return try JSONDecoder().decode(TrainingRecord.self, from: Data(text.utf8)).step
    }
  }

  /// Whether the training is through; `store` then holds what it ended with.
  func isFinished(_ store: ParameterStore) throws -> Bool {
    guard let state = try read(into: store, velocities: nil) else { return false }
    try context.recordTraining(state)
    return state.step == steps
  }

  /// Trains `store` from the last checkpoint, or from what it holds.
  ///
  /// - Parameters:
  ///   - contribution: Gradients of one worker's part of a step.
  ///   - validate: Accuracies to record after an epoch.
  func run(
    store: ParameterStore, optimizer: SGD, loop: TrainingLoop, progress: StepProgress?,
    contribution: (_ step: Int, _ worker: Int, TrainingBatch) throws -> TrainingLoop.Contribution,
    validate: () throws -> [String: Double]
  ) throws {
    var first = 0
    if let state = try read(into: store, velocities: optimizer) {
      first = state.step
      try context.recordTraining(state)
    }
    var losses: [Double] = []
    let workers = loop.pool?.count ?? 1
    for step in first..<max(first, steps) {
      try Interruption.check()
      let loss = try loop.step(step, optimizer: optimizer) { worker in
        let part = try context.data.trainingBatch(
          stream: "\(network)-\(phase)", step: step, batch: batch, worker: worker, workers: workers)
        return try contribution(step, worker, part)
      }
      losses.append(loss)
      progress?.advance(detail: "loss \(loss.formatted(.number.precision(.fractionLength(3))))")
      if (step + 1) % epoch == 0 || step + 1 == steps {
        let record = TrainingRecord(
          network: network, phase: phase, step: step + 1, loss: losses.reduce(0, +) / Double(losses.count),
          learningRate: loop.schedule(step), validation: try validate())
        losses = []
        try write(store, optimizer, record)
        try context.recordTraining(record)
      }
    }
  }

  private func write(_ store: ParameterStore, _ optimizer: SGD, _ record: TrainingRecord) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    var file = Safetensors(
      tensors: try store.stored(),
      metadata: ["record": String(decoding: try encoder.encode(record), as: UTF8.self), "steps": "\(steps)"])
    file.tensors.merge(
      try stored(store.layout.names, optimizer.velocities, prefix: Self.velocityPrefix), uniquingKeysWith: { $1 })
    try AtomicFile.write(try file.encoded(), to: checkpoint)
  }

  private static let velocityPrefix = "velocity:"

  private func read(into store: ParameterStore, velocities optimizer: SGD?) throws -> TrainingRecord? {
    try Self.read(checkpoint, into: store, velocities: optimizer)
  }

  /// Reads a checkpoint that another process may have written; the steps done, 0 where there is none.
  static func restore(_ store: ParameterStore, from checkpoint: URL) throws -> Int {
    try read(checkpoint, into: store, velocities: nil)?.step ?? 0
  }

  private static func read(
    _ checkpoint: URL, into store: ParameterStore, velocities optimizer: SGD?
  ) throws -> TrainingRecord? {
    guard FileManager.default.fileExists(atPath: checkpoint.path(percentEncoded: false)) else { return nil }
    let file = try Safetensors(contentsOf: checkpoint)
    guard let text = file.metadata["record"] else {
      throw TrainingError("\(checkpoint.lastPathComponent) is no checkpoint of a training: it has no record of one")
    }
    let names = store.layout.names
    do {
      try TorchTraining.restore(names, try store.tensors(names), from: file, prefix: "")
      if let optimizer {
        try TorchTraining.restore(names, optimizer.velocities, from: file, prefix: velocityPrefix)
      }
    } catch {
      throw TrainingError("\(checkpoint.path(percentEncoded: false)): it is of another network: \(error)")
    }
    return try JSONDecoder().decode(TrainingRecord.self, from: Data(text.utf8))
  }
}
