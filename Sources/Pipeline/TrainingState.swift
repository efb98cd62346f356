import Foundation
import NetworkGraphs
import RunFolders
import SearchSpaces
import TorchTraining

/// How far a training is, besides its parameters and velocities: what a checkpoint says about itself.
struct TrainingState: Codable, Hashable, Sendable {
  /// Steps done.
  var step = 0
  /// Losses of the steps since the last epoch's end, so that an epoch that was interrupted has the same mean.
  var losses: [Double] = []
  /// The best accuracy of each validation subnet so far, those of the phase before included.
  var best: [String: Double] = [:]
  /// How often the training had been taken back to a checkpoint.
  var restarts = 0
  /// The search space, where it is one that is trained.
  var space: String?
  /// What the logits stand for.
  var classes: [String]?
}

/// One file of a training: its state, its last epoch's record, parameters and velocities.
struct TrainingCheckpoint {
  let url: URL

  static let velocityPrefix = "velocity:"

  var isThere: Bool { url.isThere }

  /// Replaces the file, whole or not at all.
  func write(
    _ state: TrainingState, record: TrainingRecord?, steps: Int, _ store: ParameterStore, _ optimizer: SGD
  ) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var file = Safetensors(
      tensors: try store.stored(),
      metadata: ["state": String(decoding: try encoder.encode(state), as: UTF8.self), "steps": "\(steps)"])
    file.metadata["record"] = try record.map { String(decoding: try encoder.encode($0), as: UTF8.self) }
    file.tensors.merge(
      try stored(store.layout.names, optimizer.velocities, prefix: Self.velocityPrefix), uniquingKeysWith: { $1 })
    try AtomicFile.write(try file.encoded(), to: url)
  }

  /// What the file says; `nil` where there is none.
  func read() throws -> Contents? {
    guard isThere else { return nil }
    let file = try Safetensors(contentsOf: url)
    let record = try file.metadata["record"].map {
      try JSONDecoder().decode(TrainingRecord.self, from: Data($0.utf8))
    }
    if let text = file.metadata["state"] {
      let state = try JSONDecoder().decode(TrainingState.self, from: Data(text.utf8))
      return Contents(url: url, file: file, state: state, record: record)
    }
    // Files of earlier versions have the record of the epoch that they end, and nothing else.
    guard let record else {
      throw TrainingError("\(url.lastPathComponent) is no checkpoint of a training: it has no record of one")
    }
    return Contents(
      url: url, file: file, state: TrainingState(step: record.step, best: record.validation), record: record)
  }

  /// Removes the file if it is there.
  func remove() throws {
    if isThere { try FileManager.default.removeItem(at: url) }
  }

  struct Contents {
    let url: URL
    let file: Safetensors
    var state: TrainingState
    let record: TrainingRecord?

    /// Takes over the parameters, and the velocities if an optimiser is given; none where one does not fit.
    ///
    /// - Throws: `TrainingError` where the file is of another network.
    func load(into store: ParameterStore, velocities optimizer: SGD?) throws {
      let names = store.layout.names
      do {
        try TorchTraining.restore(names, try store.tensors(names), from: file, prefix: "")
        if let optimizer {
          try TorchTraining.restore(
            names, optimizer.velocities, from: file, prefix: TrainingCheckpoint.velocityPrefix)
        }
      } catch {
        throw TrainingError("\(url.path(percentEncoded: false)): it is of another network: \(error)")
      }
    }

    /// Refuses a checkpoint of another search space, or of data with other classes.
    func check(space: SearchSpace?, classes: [String]) throws {
      let path = url.path(percentEncoded: false)
      if let space, let own = state.space, own != space.encoding {
        throw TrainingError(
          "\(path): the checkpoint is of the search space \(own), and this training is of \(space.encoding). Nothing was "
            + "changed: put the run's own checkpoint back, or remove the file to train from the beginning")
      }
      guard let own = state.classes, own != classes else { return }
      let place = zip(own, classes).enumerated().first { $1.0 != $1.1 }?.offset ?? min(own.count, classes.count)
      func name(_ list: [String]) -> String { place < list.count ? "\"\(list[place])\"" : "missing" }
      throw TrainingError(
        "\(path): the checkpoint was trained on \(own.count) classes, and the data has \(classes.count): class "
          + "\(place + 1) is \(name(own)) there and \(name(classes)) now. Nothing was changed: put the data back as it was, "
          + "or begin another run with --run")
    }
  }
}
