import DeviceLatency
import Foundation
import NetworkGraphs
import RunFolders
import SearchSpaces
import SpaceEvolution
import TorchTraining

/// Block-wise quantised distillation of every stage and block type, and the stage tables.
///
/// Each stage with each block type is a job of its own, which leaves a checkpoint and its tables; whoever claims one does
/// it, so that several processes may work in one run folder, and whatever was done stays done.
struct DistillationStep {
  let configuration: RunConfiguration
  let hyperspace: Hyperspace
  let paths: RunFolderPaths
  let libraries: [String: String]
  let data: RunData
  let pool: WorkerPool
  let display: ProgressDisplay
  let predictor: LatencyPredictor
  let teacher: TeacherNetwork
  /// The teacher's parameters.
  let store: ParameterStore

  private var settings: RunConfiguration.Distillation { configuration.distillation }

  /// Does all jobs that no other process does, and waits for those.
  ///
  /// - Returns: The record of each job, in the order of stages and block types.
  func run() throws -> [BlockRecord] {
    let jobs = jobs()
    var records = try jobs.map(finished)
    let done = records.count { $0 != nil }
    if done < jobs.count {
      let progress = display.begin(
        "Distil stages and tabulate them", unit: "blocks", total: jobs.count, alreadyDone: done)
      defer { progress.finish() }
      let maps = try maps()
      while records.contains(where: { $0 == nil }) {
        let open = jobs.indices.filter { records[$0] == nil }
        try pool.forEach(open.count) { index in
          try Interruption.check()
          if let record = try claim(jobs[open[index]], maps) { report(record, progress) }
        }
        for index in open { records[index] = try finished(jobs[index]) }
        // What is still open is in another process's hands.
        if records.contains(where: { $0 == nil }) { Thread.sleep(forTimeInterval: 1) }
        try Interruption.check()
      }
    }
    return zip(jobs, records).sorted { ($0.0.stage, $0.0.block) < ($1.0.stage, $1.0.block) }.compactMap(\.1)
  }

  /// Does jobs as long as there are some that no other process does.
  func join() throws {
    let jobs = try jobs().filter { try finished($0) == nil }
    guard !jobs.isEmpty else { return }
    let progress = display.begin("Help to distil stages", unit: "blocks", total: jobs.count)
    defer { progress.finish() }
    let maps = try maps()
    try pool.forEach(jobs.count) { index in
      try Interruption.check()
      if let record = try claim(jobs[index], maps) { report(record, progress) }
    }
  }

  private func report(_ record: BlockRecord, _ progress: StepProgress) {
    progress.advance(detail: "\(record.stage) \(record.block): NSR \(record.integerLoss.rounded(to: 3))")
  }

  /// All jobs, the costly ones first, so that the last to finish is a short one.
  func jobs() -> [StageJob] {
    var jobs: [StageJob] = []
    for (index, stage) in hyperspace.stages.enumerated() where stage.isSearched {
      let inputWidths = index == 0 ? hyperspace.stem.widths : hyperspace.stages[index - 1].widths
      let (input, output) = (teacher.boundaries[index], teacher.boundaries[index + 1])
      for (block, type) in hyperspace.blockTypes.enumerated() {
        let choices = StageChoices(
          name: stage.name, blockType: type, widths: stage.widths, depths: stage.depths, stride: stage.stride,
          searched: nil)
        var generator = SeededGenerator(seed: configuration.seed, stream: "distillation-\(stage.name)-\(type.name)")
        jobs.append(
          StageJob(
            stage: index, block: block,
            distillation: BlockDistillation(
              stage: choices, inputWidths: inputWidths, teacherInput: teacher.graph.nodes[input].shape,
              teacherOutputChannels: teacher.graph.nodes[output].shape.channels,
              settings: .init(
                randomSubstages: settings.randomSubstages, smallestInEveryStep: settings.smallestInEveryStep),
              seed: generator.next())))
      }
    }
    return jobs.sorted { $0.cost > $1.cost }
  }

  /// The teacher's maps, kept in the run folder.
  func maps() throws -> TeacherMaps {
    // Processes that come at once wait for the one that computes them.
    let file = paths.checkpoints.appending(path: "teacher-maps.safetensors")
    var claim = try WorkClaim(at: paths.checkpoints.appending(path: "teacher-maps.lock"))
    while claim == nil {
      try Interruption.check()
      Thread.sleep(forTimeInterval: 0.2)
      claim = try WorkClaim(at: paths.checkpoints.appending(path: "teacher-maps.lock"))
    }
    return try withExtendedLifetime(claim) {
      try TeacherMaps(keptIn: file, boundaries: teacher.boundaries.count) {
        let recalibration = try SubnetEvaluator(
          data, images: 10, recalibrationImages: configuration.search.recalibrationImages)
        let statistics = try recalibration.statistics(of: teacher.graph, store, precision: .float)
        let images = try data.trainingSample(
          settings.sampledImages, stream: "distillation")
        return (
          try maps(of: images.prefix(settings.images), statistics),
          try maps(of: images.dropFirst(settings.images), statistics)
        )
      }
    }
  }

  private func maps(of images: ArraySlice<Int>, _ statistics: BatchNormStatistics) throws -> [Tensor] {
    try withoutGradients { () throws -> [Tensor] in
      var parts: [[Tensor]] = teacher.boundaries.map { _ in [] }
      for chunk in images.chunks(of: 256) {
        let batch = try data.plainBatch(chunk)
        _ = try store.forward(
          batch.images, through: teacher.graph, precision: .float, normalization: .given(statistics)
        ) { (node) throws(TorchError) in
          if let boundary = teacher.boundaries.firstIndex(of: node.index) {
            parts[boundary].append(try node.beforeRange)
          }
        }
      }
      return try parts.map { try Tensor.concatenated($0).channelsLast() }
    }
  }
}

// MARK: - One job

extension DistillationStep {
  func checkpoint(_ job: StageJob, _ precision: Precision) -> URL {
    paths.checkpoints.appending(path: "block-\(job.name)-\(precision == .float ? "float" : "integer").safetensors")
  }

  /// The record of a job that was done before. Its checkpoint is the last thing that a job writes.
  private func finished(_ job: StageJob) throws -> BlockRecord? {
    let file = checkpoint(job, .quantized)
    guard file.isThere else { return nil }
    guard let text = try Safetensors(contentsOf: file).metadata["record"] else {
      throw TrainingError("\(file.path(percentEncoded: false)) is no checkpoint of a distilled stage: it has no record")
    }
    return try JSONDecoder().decode(BlockRecord.self, from: Data(text.utf8))
  }

  /// Does a job unless another process has it, or had it; its record then.
  private func claim(_ job: StageJob, _ maps: TeacherMaps) throws -> BlockRecord? {
    guard let claim = try WorkClaim(at: paths.checkpoints.appending(path: "block-\(job.name).lock")) else { return nil }
    return try withExtendedLifetime(claim) {
      if try finished(job) != nil { return nil }
      return try distil(StageTraining(settings: settings, maps: maps, job: job))
    }
  }

  /// Trains a stage with a block type, and writes its tables. A training that diverges is begun again at a smaller rate;
  /// after the third time the block is marked.
  private func distil(_ training: StageTraining) throws -> BlockRecord {
    let job = training.job
    let seed = job.distillation.seed
    var reason = ""
    for attempt in 1...3 {
      do {
        let rate = settings.learningRate / Double(1 << (2 * (attempt - 1)))
        let store = try ParameterStore(job.distillation.layout, seed: seed)
        let floatLoss = try training.train(
          store, steps: settings.floatSteps, rate: rate, precision: .float, stream: "float"
        ) { job.distillation.substages(step: $0) }
        try AtomicFile.write(
          try Safetensors(tensors: store.stored()).encoded(), to: checkpoint(job, .float))
        do { try training.calibrate(store) } catch let error as TorchError where !error.isOutOfMemory {
          throw TrainingError("the quantisers: \(error)")
        }
        let integerLoss = try training.train(
          store, steps: settings.integerSteps, rate: rate / 4, precision: .quantized, stream: "quantized"
        ) { job.distillation.substages(step: settings.floatSteps + $0) }
        try tabulate(training) { try training.tableLoss($0, store, precision: .quantized) }
        let record = BlockRecord(
          stage: job.distillation.stage.name, block: job.distillation.stage.blockType.name, floatLoss: floatLoss,
          integerLoss: integerLoss, attempts: attempt)
        try finish(job, record, try store.stored())
        return record
      } catch let error as TrainingError {
        reason = error.message
      }
    }
    display.warn(
      "\(job.distillation.stage.name) with \(job.distillation.stage.blockType.name) diverged three times (\(reason)); its "
        + "tables say that it learnt nothing. Lower distillation.learning-rate in another run.")
    // The teacher's mean, which needs no training, has a noise-to-signal ratio of 1.
    try tabulate(training) { _ in 1 }
    let record = BlockRecord(
      stage: job.distillation.stage.name, block: job.distillation.stage.blockType.name, floatLoss: 1, integerLoss: 1,
      attempts: 3, diverged: true)
    try finish(job, record, [:])
    return record
  }

  private func finish(_ job: StageJob, _ record: BlockRecord, _ tensors: [String: StoredTensor]) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let file = Safetensors(
      tensors: tensors,
      metadata: [
        "stage": record.stage, "block": record.block,
        "record": String(decoding: try encoder.encode(record), as: UTF8.self),
      ])
    try AtomicFile.write(try file.encoded(), to: checkpoint(job, .quantized))
  }

  /// Draws sub-stages for every width window, and writes a table each: quantised loss on images that trained nothing,
  /// MACs, parameters and predicted INT8 latency.
  private func tabulate(
    _ training: StageTraining, loss: (BlockDistillation.Substage) throws -> Double
  ) throws {
    let job = training.job
    let stage = hyperspace.stages[job.stage]
    let size = training.maps.shape(job.stage)
    for window in 0..<stage.windowCount {
      var choices = job.distillation.stage
      choices.widths = stage.widths(window: window)
      var generator = SeededGenerator(seed: job.distillation.seed, stream: "table", window)
      var rows: [StageRow] = []
      for _ in 0..<settings.rows {
        try Interruption.check()
        let substage = BlockDistillation.Substage(
          inputWidth: generator.choose(job.distillation.inputWidths), blocks: choices.randomBlocks(using: &generator))
        let shape = TensorShape(channels: substage.inputWidth, height: size.height, width: size.width)
        let alone = NetworkGraph(
          stage: stage.name, choices.blockType, input: shape, blocks: substage.blocks, stride: stage.stride)
        let value = try loss(substage)
        guard value.isFinite else { throw TrainingError("the loss of a sub-stage is \(value)") }
        rows.append(
          StageRow(
            blocks: substage.blocks, input: shape, resolution: hyperspace.resolutions.last!, loss: value,
            megaMACs: Double(alone.cost.macs) / 1e6, megaParameters: Double(alone.cost.parameters) / 1e6,
            latencyMilliseconds: predictor.stageMilliseconds(of: alone)))
      }
      try write(rows, job, window: window)
    }
  }

  private func write(_ rows: [StageRow], _ job: StageJob, window: Int) throws {
    let searched = hyperspace.stages[..<job.stage].count { $0.isSearched }
    let key = StageTableKey(stage: searched, block: job.block, window: window)
    let table = StageTable(
      key: key,
      provenance: StageTableProvenance(
        data: configuration.data.name, teacher: configuration.teacher.description, device: "\(predictor.device)",
        seed: configuration.seed, isQuantized: true, versions: libraries), rows: rows)
    try AtomicFile.write(
      Data(table.text(in: hyperspace).utf8), to: paths.tables.appending(path: hyperspace.stageTableFileName(key)))
  }
}
