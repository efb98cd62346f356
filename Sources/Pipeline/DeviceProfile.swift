public import DeviceLatency
import Foundation
public import InferenceRuntimes
import NetworkGraphs
public import RunFolders

/// The profile of a hyperspace on a device, in a run folder: every measurement a record, and the predictor that is fitted
/// to them, `predictor.json`.
public struct DeviceProfile {
  public var profile: LatencyProfile
  public var device: Device
  public var threads: Int
  /// For the measuring.
  public var budget: Duration

  public init(profile: LatencyProfile, device: Device, threads: Int, budget: Duration) {
    self.profile = profile
    self.device = device
    self.threads = threads
    self.budget = budget
  }

  static func predictorFile(in paths: RunFolderPaths) -> URL { paths.root.appending(path: "predictor.json") }

  /// The predictor of a run folder.
  ///
  /// - Returns: `nil` where there is none yet.
  /// - Throws: An error that names the file where it is damaged or of another version.
  static func predictor(in paths: RunFolderPaths) throws -> LatencyPredictor? {
    let file = predictorFile(in: paths).path(percentEncoded: false)
    return FileManager.default.fileExists(atPath: file) ? try predictor(file: file) : nil
  }

  /// Reads a predictor's file.
  public static func predictor(file: String) throws -> LatencyPredictor {
    let data = Data(try Program.bytes(ofFile: file, atMost: 64 << 20))
    do { return try JSONDecoder().decode(LatencyPredictor.self, from: data) } catch {
      throw ProfileFileError(file: file, error: error)
    }
  }

  /// Measures what the folder does not hold yet, and writes the predictor.
  public func run(in folder: RunFolder, display: ProgressDisplay) throws -> LatencyPredictor {
    var known: [LatencyMeasurement] = []
    let log = try folder.records("latency", of: LatencyMeasurement.self) { known.append($0) }
    // Earlier measurements of this device tell how fast the machine can be.
    let level = MeasurementTable(known, device: try device.identity(threads: threads)).probeLevel
    let meter = try device.meter(threads: threads, earlierLevel: level) {
      display.note("The machine is busy: waiting for its full speed")
    } check: {
      try Interruption.check()
    }
    var shown: (phase: LatencyProfile.Phase, step: StepProgress, done: Int)?
    defer { shown?.step.finish() }
    let predictor = try profile.run(meter, budget: budget, known: known) { measurement in
      try Interruption.check()
      try log.append(measurement)
    } progress: { phase, done, total in
      if shown?.phase != phase {
        shown?.step.finish()
        let step = display.begin(
          "Measure \(phase.rawValue) on \(meter.device.name)", unit: phase.rawValue, total: total, alreadyDone: done)
        shown = (phase, step, done)
      }
      shown!.step.advance(by: done - shown!.done)
      shown!.done = done
    }
    shown?.step.finish()
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try AtomicFile.write(try encoder.encode(predictor), to: DeviceProfile.predictorFile(in: folder.paths))
    return predictor
  }
}

/// A predictor's file that cannot be read.
struct ProfileFileError: Error, CustomStringConvertible {
  var file: String
  var error: any Error

  var description: String {
    let words =
      switch error {
      case DecodingError.dataCorrupted(let context), DecodingError.typeMismatch(_, let context),
        DecodingError.keyNotFound(_, let context), DecodingError.valueNotFound(_, let context):
        context.debugDescription
      default: "\(error)"
      }
    return """
      \(file): is no latency predictor that this program reads: \(words) In a run folder, remove the file: \
      the same command makes it again, from the measurements on record.
      """
  }
}

extension LatencyPredictor {
  /// What the predictor is worth, in a few sentences.
  public var summary: [String] {
    var lines = ["Latency predictor of \(device): \(kernels.count) kernels measured"]
    if let heldOut {
      lines.append(
        "On \(heldOut.pairs.count) networks that it was not fitted on: mean error \(heldOut.meanPercent.rounded(to: 2)) %, "
          + "\((100 * heldOut.within5Percent).rounded(to: 1)) % within 5 %, "
          + "\((100 * heldOut.within10Percent).rounded(to: 1)) % within 10 %, largest \(heldOut.largestPercent.rounded(to: 1)) %, "
          + "Kendall's tau \(heldOut.kendallTau.rounded(to: 3))")
    }
    if let repeatability {
      lines.append(
        "The device repeats itself: \(repeatability.networks) networks measured again \(repeatability.secondsApart.rounded(to: 0)) s "
          + "later differ by \(repeatability.meanPercent.rounded(to: 2)) % on average, 95 % of them by at most "
          + "\(repeatability.percentile95.rounded(to: 2)) %")
    }
    return lines
  }

  /// A warning where the machine was busy; `nil` where it was not.
  public var warning: String? {
    guard gatedShare < 0.9 else { return nil }
    return
      "the machine was busy: \((100 * (1 - gatedShare)).rounded(to: 0)) % of the latencies were measured while its integer "
      + "throughput was more than 5 % below its best"
  }
}
