import DeviceLatency
import Foundation
import RunFolders

/// The device's profile: INT8 latency of parts and of whole networks, measured in the real runtime, and the predictor
/// fitted to them.
struct ProfileStep {
  let context: RunContext

  func run() throws -> LatencyPredictor {
    if try context.folder.hasUnfinishedRecord("latency") {
      // The predictor was fitted to a measurement that is not there any more: it is made again with it.
      let predictor = DeviceProfile.predictorFile(in: context.folder.paths)
      if predictor.isThere { try FileManager.default.removeItem(at: predictor) }
    }
    if let predictor = try DeviceProfile.predictor(in: context.folder.paths) { return predictor }
    let settings = context.configuration.profile
    let profile = DeviceProfile(
      profile: LatencyProfile(
        hyperspace: context.hyperspace, seed: context.seed(for: "profile"), fittedNetworks: settings.fittingNetworks,
        heldOutNetworks: settings.heldOutNetworks),
      device: try context.device, threads: context.configuration.device.threads, budget: .seconds(settings.seconds))
    let predictor = try profile.run(in: context.folder, display: context.display)
    for line in predictor.summary { context.display.note(line) }
    if let warning = predictor.warning { context.display.warn(warning) }
    return predictor
  }
}
