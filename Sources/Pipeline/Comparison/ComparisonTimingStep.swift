public import DeviceLatency
import Foundation
import RunFolders

/// The latency of one exported file of a comparison, timed in turn with those of the other spaces.
public struct ComparisonTiming: Hashable, Sendable, Codable {
  /// Within the run folder.
  public var file: String
  public var device: DeviceIdentity
  public var milliseconds: Double
  public var spreadPercent: Double
  /// Whether the measurement passed the machine's gate.
  public var gated: Bool
}

/// Times the files of all spaces in turn, when all are there.
///
/// Each space's own steps time its files too, but hours apart, on a machine that has changed; what is compared has to be
/// timed side by side.
struct ComparisonTimingStep {
  let context: RunContext
  /// Names the record file.
  let name: String
  /// Within the run folder, in the order in which they are timed: neighbours share their slices' time.
  let files: [String]

  /// - Returns: The timing of each file; one that passed the gate, where there is one.
  /// - Throws: What the meter throws. A file that got no answer in time keeps the timing of its own space's step.
  func run() throws -> [String: ComparisonTiming] {
    var timings: [String: ComparisonTiming] = [:]
    let meter = try context.meter()
    let log = try context.folder.records(name) { (timing: ComparisonTiming) in
      guard timing.device == meter.device, timings[timing.file]?.gated != true || timing.gated else { return }
      timings[timing.file] = timing
    }
    // What had the machine busy is timed again whenever the command is given again.
    let missing = files.filter { timings[$0]?.gated != true }
    if missing.isEmpty { return timings }
    let progress = context.display.begin(
      "Time all files in turn on \(meter.device.name)", unit: "files", total: files.count,
      alreadyDone: files.count - missing.count)
    defer { progress.finish() }
    let requests = try missing.map { file in
      let bytes = [UInt8](try Data(contentsOf: context.folder.paths.root.appending(path: file)))
      return LatencyRequest(.model(file), .bytes(bytes))
    }
    // A group waits for a busy machine for a while, and then hands over what it has.
    try meter.measure(requests, effort: .report, until: .now + .seconds(60 * missing.count)) { measurement in
      guard case .model(let file) = measurement.subject else { return }
      let timing = ComparisonTiming(
        file: file, device: measurement.device, milliseconds: measurement.milliseconds,
        spreadPercent: measurement.spreadPercent, gated: measurement.isGated)
      try log.append(timing)
      timings[file] = timing
      progress.advance()
    }
    return timings
  }
}
