import DeviceLatency
import Foundation
import NetworkGraphs
import RunFolders
import SearchSpaces
import SpaceEvolution
import TorchTraining

/// Block-wise quantised distillation of every stage and block type, and the stage tables.
struct DistillationStep {
  let context: RunContext
  let predictor: LatencyPredictor

  /// One stage with one block type.
  private struct Job {
    var stage: Int
    var block: Int
    var distillation: BlockDistillation

    /// MACs of the largest sub-stage.
    var cost: Int {
      distillation.graph(
        .init(inputWidth: distillation.inputWidths.last!, blocks: distillation.stage.largestBlocks)
      ).cost.macs
    }
  }

  /// The teacher's maps for the distillation images and for the images that judge.
  private struct Maps {
    /// One a boundary: the stem's output, then each stage's.
    var training: [Tensor]
    var judging: [Tensor]
    /// `[C]`, one a boundary.
    var variances: [Tensor]
    var shapes: [TensorShape]
  }

  func run(teacher graph: NetworkGraph, _ store: ParameterStore) throws {
    let hyperspace = context.hyperspace
    let log = try context.folder.records("blocks", of: BlockRecord.self)
    let done = try RecordLog<BlockRecord>.all(context.folder.paths.recordFile("blocks"))
    let jobs = jobs(teacher: graph).filter { job in
      !done.contains {
        $0.stage == hyperspace.stages[job.stage].name && $0.block == hyperspace.blockTypes[job.block].name
      }
    }
    guard !jobs.isEmpty else { return }
    let maps = try maps(graph, store)
    let progress = context.display.begin(
      "Distil stages and tabulate them", unit: "blocks", total: jobs.count + done.count, alreadyDone: done.count)
    defer { progress.finish() }
    try context.pool.forEach(jobs.count) { index in
      try Interruption.check()
      let job = jobs[index]
      let record = try distil(job, maps)
      try log.append(record)
      progress.advance(detail: "\(record.stage) \(record.block): NSR \(record.integerLoss.rounded(to: 3))")
    }
  }

  private func jobs(teacher: NetworkGraph) -> [Job] {
    let hyperspace = context.hyperspace
    let settings = context.configuration.distillation
    var jobs: [Job] = []
    for (index, stage) in hyperspace.stages.enumerated() where stage.isSearched {
      let inputWidths = index == 0 ? hyperspace.stem.widths : hyperspace.stages[index - 1].widths
      let (input, output) = (teacher.stageOutputs[index], teacher.stageOutputs[index + 1])
      for (block, type) in hyperspace.blockTypes.enumerated() {
        let choices = StageChoices(
          name: stage.name, blockType: type, widths: stage.widths, depths: stage.depths, stride: stage.stride,
          searched: nil)
        jobs.append(
          Job(
            stage: index, block: block,
            distillation: BlockDistillation(
              stage: choices, inputWidths: inputWidths, teacherInput: teacher.nodes[input].shape,
              teacherOutputChannels: teacher.nodes[output].shape.channels,
              settings: .init(
                randomSubstages: settings.randomSubstages, smallestInEveryStep: settings.smallestInEveryStep),
              seed: context.seed(for: "distillation-\(stage.name)-\(type.name)"))))
      }
    }
    // The costly ones first, so that the last to finish is a short one.
    return jobs.sorted { (a: Job, b: Job) in a.cost > b.cost }
  }

  private func maps(_ graph: NetworkGraph, _ store: ParameterStore) throws -> Maps {
    let settings = context.configuration.distillation
    let statistics = try context.evaluator(images: 1_000).statistics(of: graph, store, precision: .float)
    let images = try context.data.trainingSample(
      settings.images + 2 * settings.evaluationImages, stream: "distillation")
    func maps(_ indices: ArraySlice<Int>) throws -> [Tensor] {
      var parts: [[Tensor]] = graph.stageOutputs.dropLast().map { _ in [] }
      for chunk in indices.chunks(of: 256) {
        let batch = try context.data.plainBatch(chunk)
        let boundaries = Array(graph.stageOutputs.dropLast())
        _ = try store.forward(batch.images, through: graph, precision: .float, normalization: .given(statistics)) {
          node in
          if let boundary = boundaries.firstIndex(of: node.index) { parts[boundary].append(node.beforeRange) }
        }
      }
      return try parts.map { try Tensor.concatenated($0).channelsLast() }
    }
    return try withoutGradients { () throws -> Maps in
      let training = try maps(images.prefix(settings.images))
      return Maps(
        training: training, judging: try maps(images.dropFirst(settings.images)),
        variances: try training.map(channelVariances),
        shapes: graph.stageOutputs.dropLast().map { graph.nodes[$0].shape })
    }
  }

  /// Trains a stage with a block type, and writes its tables. A training that diverges is begun again at a smaller rate.
  private func distil(_ job: Job, _ maps: Maps) throws -> BlockRecord {
    let settings = context.configuration.distillation
    var failure: (any Error)?
    for attempt in 1...3 {
      do {
        let rate = settings.learningRate / Double(1 << (2 * (attempt - 1)))
        let store = try ParameterStore(job.distillation.layout, seed: job.distillation.seed)
        let floatLoss = try train(job, maps, store, steps: settings.floatSteps, rate: rate, precision: .float)
        try calibrate(job, maps, store)
        let integerLoss = try train(
          job, maps, store, steps: settings.integerSteps, rate: rate / 4, precision: .quantized)
        let stage = job.distillation.stage
        let file = Safetensors(
          tensors: try store.stored(), metadata: ["stage": stage.name, "block": stage.blockType.name])
        try AtomicFile.write(
          try file.encoded(),
          to: context.folder.paths.checkpoints.appending(
            path: "block-\(stage.name)-\(stage.blockType.name).safetensors"))
        try tabulate(job, maps, store)
        return BlockRecord(
          stage: job.distillation.stage.name, block: job.distillation.stage.blockType.name, floatLoss: floatLoss,
          integerLoss: integerLoss, attempts: attempt)
      } catch let error as TrainingError {
        failure = error
      }
    }
    throw TrainingError(
      "\(job.distillation.stage.name), \(job.distillation.stage.blockType.name): distillation diverged three times, at "
        + "learning rates down to \(settings.learningRate / 16); last: \(failure!)")
  }

  /// - Returns: The largest sub-stage's loss, mean over the last tenth of the steps.
  private func train(
    _ job: Job, _ maps: Maps, _ store: ParameterStore, steps: Int, rate: Double, precision: Precision
  ) throws -> Double {
    let settings = context.configuration.distillation
    let optimizer = try context.adam(store)
    let schedule = CosineSchedule(peak: rate, warmUpSteps: steps / 20, totalSteps: steps)
    let count = maps.training[0].shape[0]
    var losses: [Double] = []
    for step in 0..<steps {
      try Interruption.check()
      var generator = SeededGenerator(
        seed: job.distillation.seed, stream: "images-\(precision)", step)
      let rows = (0..<settings.batch).map { _ in generator.next(below: count) }
      let contribution = try job.distillation.contribution(
        step: precision == .quantized ? settings.floatSteps + step : step, store: store,
        parameters: optimizer.parameters,
        input: maps.training[job.stage].rows(rows), target: maps.training[job.stage + 1].rows(rows),
        variance: maps.variances[job.stage + 1], precision: precision)
      let report = try optimizer.step(
        gradients: contribution.gradients.sums, learningRate: schedule(step), maximumNorm: 10)
      guard report.isApplied, contribution.loss.isFinite else {
        throw TrainingError("step \(step): the loss is \(contribution.loss)")
      }
      losses.append(contribution.loss)
    }
    let last = losses.suffix(max(1, steps / 10))
    return last.reduce(0, +) / Double(last.count)
  }

  /// Sets every quantiser's scale by the error on the maps: the largest sub-stage, the smallest, and random ones until
  /// each quantiser was met.
  private func calibrate(_ job: Job, _ maps: Maps, _ store: ParameterStore) throws {
    let rows = Array(0..<min(128, maps.training[0].shape[0]))
    let input = try maps.training[job.stage].rows(rows)
    let distillation = job.distillation
    var graphs = [
      distillation.graph(.init(inputWidth: distillation.inputWidths.last!, blocks: distillation.stage.largestBlocks)),
      distillation.graph(.init(inputWidth: distillation.inputWidths.first!, blocks: distillation.stage.smallestBlocks)),
    ]
    var generator = SeededGenerator(seed: distillation.seed, stream: "calibration")
    func draw() -> NetworkGraph {
      distillation.graph(
        .init(
          inputWidth: generator.choose(distillation.inputWidths),
          blocks: distillation.stage.randomBlocks(using: &generator)))
    }
    for _ in 0..<4 { graphs.append(draw()) }
    graphs += distillation.layout.covering(draw)
    try store.calibrateQuantizers(graphs: graphs, batches: [input])
  }

  /// Draws sub-stages for every width window, and writes a table each: quantised loss on images that trained nothing,
  /// MACs, parameters and predicted INT8 latency.
  private func tabulate(_ job: Job, _ maps: Maps, _ store: ParameterStore) throws {
    let settings = context.configuration.distillation
    let stage = context.hyperspace.stages[job.stage]
    let size = maps.shapes[job.stage]
    let (half, all) = (settings.evaluationImages, 2 * settings.evaluationImages)
    let recalibration = try maps.judging[job.stage].rows(Array(0..<half))
    let input = try maps.judging[job.stage].rows(Array(half..<all))
    let target = try maps.judging[job.stage + 1].rows(Array(half..<all))
    for window in 0..<stage.windowCount {
      var choices = job.distillation.stage
      choices.widths = stage.widths(window: window)
      var generator = SeededGenerator(seed: job.distillation.seed, stream: "table", window)
      var rows: [StageRow] = []
      for _ in 0..<settings.rows {
        try Interruption.check()
        let substage = BlockDistillation.Substage(
          inputWidth: generator.choose(job.distillation.inputWidths), blocks: choices.randomBlocks(using: &generator))
        let graph = job.distillation.graph(substage)
        let loss = try withoutGradients { () throws -> Double in
          let statistics = try store.batchNormStatistics(of: graph, precision: .quantized, batches: [recalibration])
          let output = try store.forward(
            input, through: graph, precision: .quantized, normalization: .given(statistics))
          return try output.noiseToSignalRatio(teacher: target, variance: maps.variances[job.stage + 1]).item()
        }
        let shape = TensorShape(channels: substage.inputWidth, height: size.height, width: size.width)
        let alone = NetworkGraph(
          stage: stage.name, choices.blockType, input: shape, blocks: substage.blocks, stride: stage.stride)
        rows.append(
          StageRow(
            blocks: substage.blocks, input: shape, resolution: context.hyperspace.resolutions.last!, loss: loss,
            megaMACs: Double(alone.cost.macs) / 1e6, megaParameters: Double(alone.cost.parameters) / 1e6,
            latencyMilliseconds: predictor.stageMilliseconds(of: alone)))
      }
      try context.writeTable(rows, stage: job.stage, block: job.block, window: window, device: "\(predictor.device)")
    }
  }
}
