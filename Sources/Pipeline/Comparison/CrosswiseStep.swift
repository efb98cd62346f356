public import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import RunFolders
public import SearchSpaces
import SpaceEvolution
import TorchTraining

/// What a space that was designed for one device reaches on one.
public struct CrosswiseRecord: Hashable, Sendable, Codable {
  /// The two devices of a crosswise comparison.
  public enum Side: String, Hashable, Sendable, Codable, CaseIterable {
    /// The run's device.
    case own
    case other
  }

  public var designedFor: Side
  public var timedOn: Side
  /// Where it was timed.
  public var device: DeviceIdentity
  public var space: SearchSpace
  public var entries: [ComparisonRecord.Entry]

  var models: [ModelRecord] { entries.compactMap(\.model) }
}

/// The space found for the run's device on another device, and the reverse: is a space designed for one device better
/// there than one that was designed for the other?
///
/// The tables' losses belong to no device, so the other device's design takes the same stages with its own latencies:
/// only its profile is measured. Each of the two supernets is searched on each device, at latencies of that device. Both
/// are trained in the form of the run's own device, which has every quantiser that the other's has.
struct CrosswiseStep {
  typealias Side = CrosswiseRecord.Side

  /// The run's.
  let context: RunContext
  let predictor: LatencyPredictor
  let design: DesignRecord
  /// The built-in name or the file of the other device.
  let otherDevice: String
  /// What the space found reached on the run's own device, with the run's seed.
  let found: ComparisonRecord

  /// What belongs to one device.
  private struct Half {
    var predictor: LatencyPredictor
    var design: DesignRecord
    var supernet: ParameterStore

    var space: SearchSpace { design.best[0].space }
  }

  /// - Returns: Four records: each space on each device.
  /// - Throws: `TrainingError` where the other device is the run's own, or another than the run was crossed with before, or
  ///   has quantisers that the run's own does without.
  func run() throws -> [CrosswiseRecord] {
    let ownDevice = try context.device
    let device = try Device(otherDevice)
    guard device != ownDevice else {
      throw TrainingError("--crosswise \(otherDevice): this is the run's own device; name another one")
    }
    let (ownArithmetic, arithmetic) = (ownDevice.evaluationRuntime.arithmetic, device.evaluationRuntime.arithmetic)
    guard ownArithmetic.roundsAddends || !arithmetic.roundsAddends else {
      throw TrainingError(
        "--crosswise \(otherDevice): it rounds before additions and this run's device does not, so that a supernet for the "
          + "one lacks quantisers that the other needs; compare in a run for \(otherDevice), and cross that with "
          + "\(context.configuration.device.name)")
    }
    let other = try context.inside("crosswise/other", device: otherDevice)
    let own = Half(
      predictor: predictor, design: design,
      supernet: try SupernetStep(
        context: context.inside(ComparisonRecord.folder(found.arm, found.repetition)), space: found.arm.space
      ).run())
    let halves = [Side.own: own, .other: try half(other)]
    var records = [
      CrosswiseRecord(
        designedFor: .own, timedOn: .own, device: predictor.device, space: found.arm.space, entries: found.entries)
    ]
    var done: [CrosswiseRecord] = []
    let log = try context.folder.records("crosswise", of: CrosswiseRecord.self) { done.append($0) }
    for (designedFor, timedOn) in [(Side.other, Side.own), (.own, .other), (.other, .other)] {
      if let record = done.last(where: { $0.designedFor == designedFor && $0.timedOn == timedOn }) {
        records.append(record)
        continue
      }
      let (designed, timed) = (halves[designedFor]!, halves[timedOn]!)
      context.display.note(
        "Crosswise: the space for \(designed.predictor.device.name) on \(timed.predictor.device.name), "
          + designed.space.encoding)
      let record = CrosswiseRecord(
        designedFor: designedFor, timedOn: timedOn, device: timed.predictor.device, space: designed.space,
        entries: try ComparisonEntries(
          context: context.inside(
            folder(designedFor, timedOn), device: timedOn == .other ? otherDevice : context.configuration.device.name),
          title: "The space for \(designed.predictor.device.name)", space: designed.space, predictor: timed.predictor,
          constraints: timed.design.constraintsMilliseconds
        ).run(designed.supernet))
      try log.append(record)
      records.append(record)
    }
    return try timed(records)
  }

  private func folder(_ designedFor: Side, _ timedOn: Side) -> String {
    "crosswise/\(designedFor.rawValue)-on-\(timedOn.rawValue)"
  }

  /// Profile, design and supernet for the other device.
  private func half(_ other: RunContext) throws -> Half {
    let predictor = try ProfileStep(context: other).run()
    let device = try other.device.identity(threads: other.configuration.device.threads)
    guard predictor.device.name == device.name else {
      throw TrainingError(
        "--crosswise \(otherDevice): this run was crossed with \(predictor.device.name) before; give that device again, "
          + "or compare in another run folder")
    }
    try writeTables(with: predictor, to: other.folder.paths.tables, in: other.hyperspace)
    let design = try DesignStep(context: other, predictor: predictor).run()
    return Half(
      predictor: predictor, design: design,
      supernet: try SupernetStep(
        context: context.inside("crosswise/other-supernet"), space: design.best[0].space
      ).run())
  }

  /// The run's tables with another device's latencies.
  ///
  /// - Parameter hyperspace: In that device's form.
  private func writeTables(
    with predictor: LatencyPredictor, to folder: URL, in hyperspace: Hyperspace
  ) throws {
    let tables = try StageTables(folder: context.folder.paths.tables, hyperspace: hyperspace)
    for var table in tables.tables.values {
      let stage = hyperspace.searchedStages[table.key.stage]
      let type = hyperspace.blockTypes[table.key.block]
      for index in table.rows.indices {
        let row = table.rows[index]
        table.rows[index].latencyMilliseconds = predictor.stageMilliseconds(
          of: NetworkGraph(stage: stage.name, type, input: row.input, blocks: row.blocks, stride: stage.stride))
      }
      table.provenance?.device = "\(predictor.device)"
      try AtomicFile.write(
        Data(table.text(in: hyperspace).utf8),
        to: folder.appending(path: hyperspace.stageTableFileName(table.key)))
    }
  }

  /// The records with latencies measured side by side, device by device.
  private func timed(_ records: [CrosswiseRecord]) throws -> [CrosswiseRecord] {
    var records = records
    for side in Side.allCases {
      let indices = records.indices.filter { records[$0].timedOn == side }
      func path(_ record: CrosswiseRecord, _ model: ModelRecord) -> String {
        side == .own && record.designedFor == .own
          ? found.path(of: model) : "\(folder(record.designedFor, side))/models/\(model.file)"
      }
      var files: [String] = []
      for constraint in design.constraintsMilliseconds.indices {
        for index in indices {
          guard let model = records[index].entries[constraint].model else { continue }
          let file = path(records[index], model)
          if !files.contains(file) { files.append(file) }
        }
      }
      let timings = try ComparisonTimingStep(
        context: side == .own ? context : context.on(device: otherDevice), name: "crosswise-timings-\(side.rawValue)",
        files: files
      ).run()
      for index in indices {
        for entry in records[index].entries.indices {
          guard let model = records[index].entries[entry].model, let timing = timings[path(records[index], model)]
          else { continue }
          records[index].entries[entry].model = model.timed(timing)
        }
      }
    }
    return records
  }
}

extension ModelRecord {
  /// The same file with another latency.
  func timed(_ timing: ComparisonTiming) -> ModelRecord {
    var model = self
    model.measuredMilliseconds = timing.milliseconds
    model.spreadPercent = timing.spreadPercent
    model.gated = timing.gated
    return model
  }
}
