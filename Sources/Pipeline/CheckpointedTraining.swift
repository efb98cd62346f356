import Datasets
import Foundation
import NetworkGraphs
import RunFolders
import SearchSpaces
import TorchTraining

/// A training that leaves a checkpoint at its beginning and after every epoch, and goes on from the last one.
///
/// A checkpoint replaces the one before atomically. The epoch's record is appended after it: where a crash falls in
/// between, it is taken from the checkpoint. Ctrl-C leaves a second file with the very step that was reached. Batches and
/// subnets are functions of seed and step, validation changes nothing, and there are no running statistics; so what a
/// training ends with does not depend on where it was interrupted.
///
/// A training that collapses is taken back to the last epoch's checkpoint, and goes on at a lower rate. The record of that
/// comes first, and the rate follows from the records; so a crash in between changes nothing either.
struct CheckpointedTraining {
  let context: RunContext
  let network: String
  let phase: String
  let steps: Int
  /// Steps between checkpoints.
  let epoch: Int
  let batch: Int
  /// The configuration's key of the learning rate, for messages.
  let rateKey: String
  /// The search space, where it is one that is trained.
  var space: SearchSpace?
  /// Judges validation accuracies; without it only numbers that are not finite, and scales, are seen.
  var collapse: CollapseCheck?
  /// Accuracies that the phase before reached.
  var earlier: [String: Double] = [:]

  private var checkpoint: TrainingCheckpoint {
    TrainingCheckpoint(url: Self.checkpoint(network, phase, in: context.folder.paths))
  }

  /// Where a training stood that was interrupted between two checkpoints.
  private var interruption: TrainingCheckpoint {
    TrainingCheckpoint(
      url: context.folder.paths.checkpoints.appending(path: "\(network)-\(phase)-interrupted.safetensors"))
  }

  static func checkpoint(_ network: String, _ phase: String, in paths: RunFolderPaths) -> URL {
    paths.checkpoints.appending(path: "\(network)-\(phase).safetensors")
  }

  /// Whether there is a checkpoint.
  var isBegun: Bool { checkpoint.isThere }

  /// Steps that an earlier process finished.
  var stepsDone: Int {
    get throws {
      max(try checkpoint.read()?.state.step ?? 0, try interruption.read()?.state.step ?? 0)
    }
  }

  /// The best accuracies up to the last checkpoint.
  var bestAccuracies: [String: Double] {
    get throws { try checkpoint.read()?.state.best ?? [:] }
  }

  /// Whether the training is through; `store` then holds what it ended with.
  func isFinished(_ store: ParameterStore) throws -> Bool {
    let state = try context.fromLeader { () throws -> TrainingState? in
      guard let contents = try read(checkpoint) else { return nil }
      try contents.load(into: store, velocities: nil)
      if let record = contents.record { try context.recordTraining(record) }
      if contents.state.step == steps { try interruption.remove() }
      return contents.state
    }
    guard let state else { return false }
    try context.group?.broadcast(store.tensors(store.layout.names))
    return state.step == steps
  }

  /// Reads a checkpoint that another process may have written; the steps done, 0 where there is none.
  static func restore(_ store: ParameterStore, from checkpoint: URL) throws -> Int {
    guard let contents = try TrainingCheckpoint(url: checkpoint).read() else { return 0 }
    try contents.load(into: store, velocities: nil)
    return contents.state.step
  }

  private func read(_ file: TrainingCheckpoint) throws -> TrainingCheckpoint.Contents? {
    let contents = try file.read()
    try contents?.check(space: space, classes: context.data.training.classNames)
    return contents
  }
}

// MARK: - Running

extension CheckpointedTraining {
  /// What one training works with.
  struct Work {
    let store: ParameterStore
    let optimizer: SGD
    let loop: TrainingLoop
    let progress: StepProgress?
    /// Gradients of one worker's part of a step.
    let contribution: (_ step: Int, _ worker: Int, TrainingBatch) throws -> TrainingLoop.Contribution
    /// Accuracies to record after an epoch.
    let validate: () throws -> [String: Double]
  }

  /// Trains `store` from the last checkpoint, or from what it holds.
  ///
  /// - Throws: `Interrupted`, after what was reached was kept; `TrainingError` where the training collapses again at the
  ///   lowest rate.
  func run(
    store: ParameterStore, optimizer: SGD, loop: TrainingLoop, progress: StepProgress?,
    contribution: (_ step: Int, _ worker: Int, TrainingBatch) throws -> TrainingLoop.Contribution,
    validate: () throws -> [String: Double]
  ) throws {
    try withoutActuallyEscaping(contribution) { contribution in
      try withoutActuallyEscaping(validate) { validate in
        try run(
          Work(
            store: store, optimizer: optimizer, loop: loop, progress: progress, contribution: contribution,
            validate: validate))
      }
    }
  }

  private func run(_ work: Work) throws {
    guard batch >= work.loop.workers else {
      throw TrainingError(
        "\(network): \(work.loop.workers) workers of all processes share a batch of \(batch) images, fewer than one each; "
          + "start fewer processes, or begin a run with a larger batch or fewer jobs")
    }
    var (state, scales) = try begin(work)
    while state.step < steps {
      do {
        try trainEpoch(work, &state, scales)
      } catch let failure as TrainingCollapse {
        let reached = state
        state = try rollBack(work, failure, from: reached)
        work.progress?.advance(by: state.step - reached.step)
      }
      scales = try work.store.quantizerScales()
    }
  }

  /// Where a training goes on.
  private struct Beginning: Codable {
    var state: TrainingState
    /// Of the checkpoint, which growth is judged from wherever the training was interrupted after it.
    var scales: [String: Float]
  }

  /// The state to go on from, which the store and the optimiser then hold; and the quantiser scales of the checkpoint.
  private func begin(_ work: Work) throws -> (state: TrainingState, scales: [String: Float]) {
    let beginning = try context.fromLeader { try beginAlone(work) }
    try share(work)
    return (beginning.state, beginning.scales)
  }

  /// Gives all processes rank 0's parameters and velocities.
  private func share(_ work: Work) throws {
    try context.group?.broadcast(work.store.tensors(work.store.layout.names) + work.optimizer.velocities)
  }

  private func beginAlone(_ work: Work) throws -> Beginning {
    let restarts = context.trainingLog?.restarts(network, phase) ?? 0
    guard let contents = try read(checkpoint) else {
      let state = TrainingState(
        best: earlier, restarts: restarts, space: space?.encoding, classes: context.data.training.classNames)
      try checkpoint.write(state, record: nil, steps: steps, work.store, work.optimizer)
      return Beginning(state: state, scales: try work.store.quantizerScales())
    }
    if let record = contents.record { try context.recordTraining(record) }
    try contents.load(into: work.store, velocities: work.optimizer)
    let scales = try work.store.quantizerScales()
    var newest = contents
    if let interrupted = try read(interruption), interrupted.state.step > contents.state.step,
      interrupted.state.restarts == restarts
    {
      newest = interrupted
      try newest.load(into: work.store, velocities: work.optimizer)
    }
    var state = newest.state
    state.restarts = restarts
    return Beginning(state: state, scales: scales)
  }

  /// The steps up to the next checkpoint, and that.
  private func trainEpoch(_ work: Work, _ state: inout TrainingState, _ scales: [String: Float]) throws {
    // Several processes stop together, after the same step.
    if context.group == nil { try Interruption.check() }
    var isStopRequested = false
    var loop = work.loop
    loop.schedule.peak *= rateFactor(restarts: state.restarts)
    let end = min(steps, (state.step / epoch + 1) * epoch)
    while state.step < end {
      let step = state.step
      let outcome = try loop.step(
        step, optimizer: work.optimizer, stopRequested: Interruption.isRequested
      ) { worker in
        let part = try context.data.trainingBatch(
          stream: "\(network)-\(phase)", step: step, batch: batch, worker: worker, workers: loop.workers)
        return try work.contribution(step, worker, part)
      }
      state.losses.append(outcome.loss)
      state.step += 1
      work.progress?.advance(detail: "loss \(outcome.loss.formatted(.number.precision(.fractionLength(3))))")
      isStopRequested = outcome.isStopRequested
      if isStopRequested, state.step < end {
        if context.leads { try interruption.write(state, record: nil, steps: steps, work.store, work.optimizer) }
        try context.together()
        throw Interrupted()
      }
    }
    let loss = state.losses.reduce(0, +) / Double(state.losses.count)
    let validation = try inspected(work, state, loss, scales)
    let record = TrainingRecord(
      network: network, phase: phase, step: end, loss: loss, learningRate: loop.schedule(end - 1),
      validation: validation)
    state.losses = []
    state.best.merge(validation) { max($0, $1) }
    if context.leads {
      try checkpoint.write(state, record: record, steps: steps, work.store, work.optimizer)
      try context.recordTraining(record)
      try interruption.remove()
    }
    if isStopRequested {
      try context.together()
      throw Interrupted()
    }
  }

  /// The accuracies of the epoch that was just trained.
  ///
  /// - Throws: `TrainingCollapse`.
  private func inspected(
    _ work: Work, _ state: TrainingState, _ loss: Double, _ scales: [String: Float]
  ) throws -> [String: Double] {
    func collapsed(_ reason: String) -> TrainingCollapse { TrainingCollapse(step: state.step - 1, reason: reason) }
    if let name = try work.store.firstNotFinite(quantizers: !scales.isEmpty) {
      throw collapsed("the parameter \(name) holds a number that is not finite")
    }
    for (name, scale) in try work.store.quantizerScales().sorted(by: { $0.key < $1.key }) {
      guard let before = scales[name], before > 0, scale > CollapseCheck.scaleGrowth * before else { continue }
      throw collapsed("the quantiser scale \(name) grew from \(before) to \(scale) since the last checkpoint")
    }
    try requireEqualWeights(work, state)
    let validation: [String: Double]
    do { validation = try work.validate() } catch let error as TorchError
      where error.tellsDivergence && context.group == nil
    {
      // Several processes end instead: only some may have met it, and the others wait for their numbers.
      throw collapsed("\(error)")
    }
    if let fault = collapse?.fault(step: state.step, loss: loss, validation: validation, best: state.best) {
      throw collapsed(fault)
    }
    return validation
  }
}

// MARK: - Several processes

extension CheckpointedTraining {
  /// All processes have made the same steps, and must have come to the same bits.
  ///
  /// - Throws: `TrainingError` in every process where one has not.
  private func requireEqualWeights(_ work: Work, _ state: TrainingState) throws {
    guard let group = context.group else { return }
    var digest: UInt64 = 14_695_981_039_346_656_037
    for name in work.store.layout.names {
      for value in try work.store.tensor(name).floats() {
        digest = (digest ^ UInt64(value.bitPattern)) &* 1_099_511_628_211
      }
    }
    let own = "\(digest)"
    let isEqual = try group.broadcast(own) == own
    let odd = try group.sum((0..<group.size).map { $0 == group.rank && !isEqual ? 1 : 0 }).firstIndex { $0 > 0 }
    guard let odd else { return }
    throw TrainingError(
      "\(network): after step \(state.step) rank \(odd) has other weights than rank 0, which must not be; go on with the "
        + "same command from the last checkpoint, on machines of one kind")
  }
}

extension RunContext {
  /// What rank 0's `body` returns, in every process; only rank 0 runs it.
  func fromLeader<Value: Codable>(_ body: () throws -> Value) throws -> Value {
    guard let group else { return try body() }
    let text = try group.broadcast(String(decoding: JSONEncoder().encode(body()), as: UTF8.self))
    return try JSONDecoder().decode(Value.self, from: Data(text.utf8))
  }

  /// Waits until every process is here: none may end while another still needs it.
  func together() throws { _ = try group?.sum([0]) }

  /// One number for every index, each computed by one of the processes, on whichever of its workers is free.
  func shared(_ count: Int, _ number: (Int) throws -> Double) throws -> [Double] {
    let (rank, size) = (group?.rank ?? 0, group?.size ?? 1)
    let own = stride(from: rank, to: count, by: size).map(\.self)
    var numbers = [Double](repeating: 0, count: count)
    try numbers.withUnsafeMutableBufferPointer { slots in
      nonisolated(unsafe) let slots = slots
      try pool.forEach(own.count) { slots[own[$0]] = try number(own[$0]) }
    }
    return try group?.sum(numbers) ?? numbers
  }
}

// MARK: - Collapse

extension CheckpointedTraining {
  /// Each restart goes on at half the rate of the one before.
  func rateFactor(restarts: Int) -> Double {
    (0..<restarts).reduce(1) { factor, _ in factor * context.configuration.optimizer.restartRate }
  }

  /// Takes the training back to the last epoch's checkpoint.
  ///
  /// - Throws: `TrainingError` where there were too many restarts, or a lower rate cannot help.
  private func rollBack(
    _ work: Work, _ failure: TrainingCollapse, from reached: TrainingState
  ) throws -> TrainingState {
    let restarts = reached.restarts + 1
    let allowed = context.configuration.optimizer.restarts
    var state = try context.fromLeader { () throws -> TrainingState in
      guard let contents = try read(checkpoint) else {
        throw TrainingError("\(checkpoint.url.path(percentEncoded: false)) is gone while it was needed")
      }
      try contents.load(into: work.store, velocities: work.optimizer)
      return contents.state
    }
    // Its gradient is computed from the checkpoint's own weights.
    guard failure.step != reached.step || reached.step != state.step else {
      throw TrainingError(
        "\(network), \(phase) phase, \(failure), in the first step after its checkpoint, "
          + "\(checkpoint.url.path(percentEncoded: false)): no lower rate changes that. What came before has gone astray: begin "
          + "another run with lower learning rates")
    }
    guard restarts <= allowed else {
      throw TrainingError(
        "\(network), \(phase) phase, \(failure), after \(allowed) restarts at lower rates; the checkpoint of step "
          + "\(state.step) is kept in \(checkpoint.url.path(percentEncoded: false)). Begin another run with a lower "
          + "\(rateKey) than \(work.loop.schedule.peak), or with more optimizer.restarts")
    }
    let record = RestartRecord(
      network: network, phase: phase, step: failure.step, reason: failure.reason, resumedFrom: state.step,
      rateFactor: rateFactor(restarts: restarts))
    // First of all: whatever happens now, the lower rate holds.
    try context.trainingLog?.append(record)
    if context.leads {
      context.display.warn(
        "\(network), \(phase) phase, \(failure): back to step \(record.resumedFrom), and on at \(record.rateFactor) of "
          + "\(rateKey)")
    }
    try share(work)
    state.restarts = restarts
    return state
  }
}
