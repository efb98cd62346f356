public import NetworkGraphs
public import SearchSpaces

/// Builds the latency predictor of a hyperspace for a device within a time budget.
///
/// First whole random networks, for the correction and to hold out; then kernels, those first whose error would cost
/// most. What time is left goes into measuring all of it again, which also tells how well the device repeats itself.
public struct LatencyProfile: Sendable {
  public enum Phase: String, Hashable, Sendable {
    case networks
    case kernels
    /// What is taken off the kernels' times.
    case contexts
    /// All of it again, in the time that is left.
    case repetitions
  }

  public var hyperspace: Hyperspace
  public var seed: UInt64
  /// Networks that the correction is fitted on.
  public var fittedNetworks: Int
  /// Others that only judge the result: random networks of random spaces, and of spaces that have one block type in all
  /// stages, which a sum of errors cannot hide in.
  public var heldOutNetworks: Int
  public var singleTypeNetworks: Int
  /// Random networks from which the use of kernels is counted.
  public var countedNetworks: Int
  /// How often each thing is measured if time allows.
  public var passes = 3

  /// - Parameter singleTypeNetworks: `nil` for two in five of `heldOutNetworks`, beside those.
  public init(
    hyperspace: Hyperspace, seed: UInt64 = 0, fittedNetworks: Int = 24, heldOutNetworks: Int = 12,
    singleTypeNetworks: Int? = nil, countedNetworks: Int = 2_000
  ) {
    self.hyperspace = hyperspace
    self.seed = seed
    self.fittedNetworks = fittedNetworks
    self.heldOutNetworks = heldOutNetworks
    self.singleTypeNetworks = singleTypeNetworks ?? heldOutNetworks * 2 / 5
    self.countedNetworks = countedNetworks
  }

  /// All networks to measure: the fitted ones, then the held-out ones.
  public var networks: [Network] { fitted + heldOut }

  /// A random network of a random space.
  public struct Network: Sendable {
    public var space: SearchSpace
    public var subnet: Subnet
    public var graph: NetworkGraph
    public var subject: LatencySubject { .subnet(space, subnet) }
  }

  /// The networks that the correction is fitted on: random ones, and one in four of a single block type.
  public var fitted: [Network] {
    (0..<fittedNetworks).map { network(stream: "profile-fitted", $0, type: $0 % 4 == 3 ? $0 / 4 : nil) }
  }

  /// The networks that only judge the result: random ones, then those of a single block type. None is one of those that
  /// are fitted on, nor there twice, so that a small hyperspace may give fewer than are asked for.
  public var heldOut: [Network] {
    var known = Set(fitted.map(\.subject))
    return
      ((0..<heldOutNetworks).lazy.map { network(stream: "profile-held-out", $0) }
      + (0..<singleTypeNetworks).lazy.map { network(stream: "profile-single-type", $0, type: $0) })
      .filter { known.insert($0.subject).inserted }
  }

  /// How often the counted networks use each kernel.
  public var kernelUse: [KernelSignature: Int] {
    var counts: [KernelSignature: Int] = [:]
    for index in 0..<countedNetworks {
      let graph = network(stream: "profile-kernels", index).graph
      for kernel in graph.kernelSignatures(isWhole: true) {
        if let kernel { counts[kernel, default: 0] += 1 }
      }
    }
    return counts
  }

  /// - Parameter type: For all stages, in turn; `nil` for one drawn for each.
  private func network(stream: String, _ index: Int, type: Int? = nil) -> Network {
    var generator = SeededGenerator(seed: seed, stream: stream, index)
    var space = hyperspace.randomSpace(using: &generator)
    if let type { space.blockTypes = space.blockTypes.map { _ in type % hyperspace.blockTypes.count } }
    let subnet = hyperspace.randomSubnet(of: space, using: &generator)
    return Network(
      space: space, subnet: subnet,
      graph: NetworkGraph(
        subnet, choices: hyperspace.choices(of: space).map(\.blockType), strides: hyperspace.stages.map(\.stride),
        hyperspace: hyperspace))
  }

  /// Measures what is not known yet and fits the predictor.
  ///
  /// - Parameters:
  ///   - budget: For the measuring; fitting takes some seconds more.
  ///   - known: Measurements of an earlier, interrupted profile. Those of another device are ignored; those that had the
  ///     machine busy are made again where time allows.
  ///   - record: Gets each new measurement as soon as it is complete. What it throws ends the profile.
  ///   - progress: Gets the phase, how many of its measurements there are, and how many it wants.
  /// - Throws: `LatencyProfileError` where the budget was too small to measure anything, and what the meter or `record`
  ///   throws.
  public func run(
    _ meter: some LatencyMeter, budget: Duration, known: [LatencyMeasurement] = [],
    record: (LatencyMeasurement) throws -> Void, progress: (Phase, Int, Int) -> Void = { _, _, _ in }
  ) throws -> LatencyPredictor {
    // A closure that does not escape cannot be kept; the run is over before this returns.
    try withoutActuallyEscaping(record) { record in
      try withoutActuallyEscaping(progress) { progress in
        let run = ProfileRun(
          profile: self, meter: meter, budget: budget, known: known, record: record, progress: progress)
        return try run.predictor()
      }
    }
  }

  /// Fits the predictor to measurements alone.
  public func predictor(
    _ measurements: [LatencyMeasurement], device: DeviceIdentity, method: KernelMethod = .alone
  ) -> LatencyPredictor {
    ProfileFit(
      table: MeasurementTable(measurements, device: device), fitted: fitted, heldOut: heldOut,
      kernels: Array(kernelUse.keys), device: device, method: method
    ).predictor()
  }
}

/// Why a profile could not be made.
public struct LatencyProfileError: Error, Hashable, Sendable, CustomStringConvertible {
  public var message: String
  public init(_ message: String) { self.message = message }
  public var description: String { message }
}
