public import DeviceLatency
public import Foundation
import InferenceRuntimes
import Reports
public import RunFolders
import SearchSpaces
import StrictYAML
import TorchTraining

/// A profile without the rest of a run: in a folder of its own, or in that of a run for the same device and hyperspace.
public struct StandaloneProfile {
  public var hyperspace: String
  public var device: String
  public var threads: Int
  public var seed: UInt64
  /// `nil` for the device's own number.
  public var fittingNetworks: Int?
  public var heldOutNetworks: Int
  public var budget: Duration

  public init(
    hyperspace: String, device: String, threads: Int, seed: UInt64, fittingNetworks: Int?, heldOutNetworks: Int,
    budget: Duration
  ) {
    self.hyperspace = hyperspace
    self.device = device
    self.threads = threads
    self.seed = seed
    self.fittingNetworks = fittingNetworks
    self.heldOutNetworks = heldOutNetworks
    self.budget = budget
  }

  /// What the folder's manifest says of it. How much is measured is not part of it: a later call may measure more.
  private var configuration: String {
    """
    # A latency profile, made by `spaceevo profile`.
    hyperspace: \(hyperspace)
    device: {name: \(device), threads: \(threads)}
    seed: \(seed)

    """
  }

  /// Measures what the folder does not hold yet; writes the predictor and a report.
  ///
  /// - Returns: The predictor, and its file.
  /// - Throws: `RunFolderError` where the folder is another run's; what the device throws.
  public func run(folder url: URL, display: ProgressDisplay) throws -> (LatencyPredictor, URL) {
    let hyperspace = try Program.hyperspace(hyperspace, for: device)
    let device = try Device(device)
    let identity = try device.identity(threads: threads)
    let folder = try openFolder(url, libraries: [identity.name: identity.version])
    for notice in folder.notices { display.note(notice) }
    let profile = DeviceProfile(
      profile: LatencyProfile(
        hyperspace: hyperspace, seed: seed, fittedNetworks: fittingNetworks ?? device.fittingNetworks,
        heldOutNetworks: heldOutNetworks),
      device: device, threads: threads, budget: budget)
    let predictor: LatencyPredictor
    do { predictor = try profile.run(in: folder, display: display) } catch let error as Interrupted {
      throw error
    } catch {
      throw RunError(folder: url, step: "profile", finished: [], cause: error)
    }
    if !isOfRun(folder) {
      try AtomicFile.write(Data(page(predictor, folder.manifest).html().utf8), to: folder.paths.report)
    }
    return (predictor, DeviceProfile.predictorFile(in: folder.paths))
  }

  /// How long the prediction of a subnet takes, in microseconds: the mean of 20,000 random subnets of a random space, each
  /// met for the first time.
  public func predictionMicroseconds(_ predictor: LatencyPredictor) throws -> Double {
    let hyperspace = try Program.hyperspace(hyperspace, for: device)
    var generator = SeededGenerator(seed: seed, stream: "prediction-time")
    let space = hyperspace.randomSpace(using: &generator)
    let subnets = (0..<20_000).map { _ in hyperspace.randomSubnet(of: space, using: &generator) }
    var latencies = SubnetLatencies(predictor, space: space, in: hyperspace)
    var sum = 0.0
    let start = ContinuousClock.now
    for subnet in subnets { sum += latencies.milliseconds(subnet) }
    let duration = start.duration(to: .now)
    precondition(sum >= 0, "the sum keeps the predictions from being left out")
    return duration / .microseconds(1) / Double(subnets.count)
  }

}

extension Run {
  /// The predictor of a run that has its profile, and where it is kept.
  public func profile() throws -> (profile: StandaloneProfile, predictor: LatencyPredictor, file: URL) {
    let configuration = context.configuration
    let profile = StandaloneProfile(
      hyperspace: configuration.hyperspace, device: configuration.device.name, threads: configuration.device.threads,
      seed: configuration.seed, fittingNetworks: configuration.profile.fittingNetworks,
      heldOutNetworks: configuration.profile.heldOutNetworks, budget: .seconds(configuration.profile.seconds))
    return (
      profile, try ProfileStep(context: context).run(), DeviceProfile.predictorFile(in: context.folder.paths)
    )
  }
}

extension StandaloneProfile {
  private func isOfRun(_ folder: RunFolder) -> Bool { folder.manifest.configuration != configuration }

  /// The folder of a run keeps its own configuration, which must name the same device and hyperspace.
  private func openFolder(_ url: URL, libraries: [String: String]) throws -> RunFolder {
    if let manifest = try? RunFolder.manifest(of: url),
      let run = try? RunConfiguration(yaml: manifest.configuration, file: url.relativePath),
      run.hyperspace == hyperspace, run.device.name == device, run.device.threads == threads
    {
      return try RunFolder(existing: url, program: Program.name)
    }
    return try RunFolder(
      at: url, configuration: configuration, seeds: ["profile": seed], program: Program.name, libraries: libraries)
  }

  private func page(_ predictor: LatencyPredictor, _ manifest: Manifest) -> ReportPage {
    ReportPage(
      title: "Latency of \(hyperspace) on \(predictor.device.name)",
      subtitle: predictor.summary.dropFirst().first.map { $0 + "." } ?? "No network was held out.",
      sections: [LatencySection(predictor: predictor).section],
      footer: [.init("Program", manifest.program), .init("Profile begun", manifest.created)])
  }
}
