import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import RunFolders
import SearchSpaces
import TorchTraining

/// The device's profile: INT8 latency of parts and of whole networks, measured in the real runtime, and the predictor
/// fitted to them.
struct ProfileStep {
  let context: RunContext

  private var file: URL { Self.file(context.folder.paths) }

  /// Where a run keeps its predictor.
  static func file(_ paths: RunFolderPaths) -> URL { paths.root.appending(path: "predictor.json") }

  func run() throws -> LatencyPredictor {
    if let data = FileManager.default.contents(atPath: file.path(percentEncoded: false)) {
      return try JSONDecoder().decode(LatencyPredictor.self, from: data)
    }
    let settings = context.configuration.profile
    var known: [LatencyMeasurement] = []
    let log = try context.folder.records("latency", of: LatencyMeasurement.self) { known.append($0) }
    let profile = LatencyProfile(
      hyperspace: context.hyperspace, seed: context.seed(for: "profile"), fittedNetworks: settings.fittingNetworks,
      heldOutNetworks: settings.heldOutNetworks)
    let meter = try context.meter(bestProbe: known.map(\.probeNanoseconds).min())
    var steps: [LatencyProfile.Phase: StepProgress] = [:]
    var shown: [LatencyProfile.Phase: Int] = [:]
    let predictor = try profile.run(meter, budget: .seconds(settings.seconds), known: known) { measurement in
      try Interruption.check()
      try log.append(measurement)
    } progress: { phase, done, total in
      if steps[phase] == nil {
        for step in steps.values { step.finish() }
        steps[phase] = context.display.begin(
          "Measure \(phase.rawValue) on \(meter.device.name)", unit: phase.rawValue, total: total, alreadyDone: done)
        shown[phase] = done
      }
      steps[phase]?.advance(by: done - shown[phase]!)
      shown[phase] = done
    }
    for step in steps.values { step.finish() }

    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try recordNetworks(profile, predictor, known: known)
    try AtomicFile.write(try encoder.encode(predictor), to: file)
    note(predictor)
    return predictor
  }

  /// For the report: each whole network as predicted and as measured.
  private func recordNetworks(
    _ profile: LatencyProfile, _ predictor: LatencyPredictor, known: [LatencyMeasurement]
  ) throws {
    let measured = MeasurementTable(
      try RecordLog<LatencyMeasurement>.all(context.folder.paths.recordFile("latency")), device: predictor.device)
    let done = try RecordLog<NetworkLatencyRecord>.all(context.folder.paths.recordFile("networks")).count
    let records = profile.networks.enumerated().compactMap { index, network in
      measured[network.subject].map {
        NetworkLatencyRecord(
          network: "\(network.space.encoding) \(network.subnet.encoding)",
          isHeldOut: index >= profile.fittedNetworks,
          predictedMilliseconds: predictor.milliseconds(of: network.graph), measuredMilliseconds: $0.milliseconds)
      }
    }
    // All in one write: they are either there, or not.
    if done == 0 { try context.folder.records("networks", of: NetworkLatencyRecord.self).append(contentsOf: records) }
  }

  private func note(_ predictor: LatencyPredictor) {
    var text = "Latency predictor: \(predictor.kernels.count) kernels measured"
    if let heldOut = predictor.heldOut {
      text +=
        "; on \(heldOut.pairs.count) networks that it was not fitted on, mean error \(heldOut.meanPercent.rounded(to: 1)) %, "
        + "\((100 * heldOut.within5Percent).rounded(to: 0)) % within 5 %"
    }
    context.display.note(text)
    if predictor.gatedShare < 0.9 {
      context.display.warn(
        "the machine was busy: \((100 * (1 - predictor.gatedShare)).rounded(to: 0)) % of the latencies were measured while its "
          + "integer throughput was more than 5 % below its best")
    }
  }
}
