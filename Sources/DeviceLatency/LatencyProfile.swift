public import NetworkGraphs
public import SearchSpaces

/// Builds the latency predictor of a hyperspace for a device within a time budget.
///
/// First whole random networks, for the correction and to hold out; then kernels, those that random networks of random
/// spaces use most first. What time is left goes into measuring all of it again.
public struct LatencyProfile: Sendable {
  public enum Phase: String, Hashable, Sendable {
    case networks
    case kernels
    /// All of it again, in the time that is left.
    case repetitions
  }

  public var hyperspace: Hyperspace
  public var seed: UInt64
  /// Networks that the correction is fitted on, and others that only judge the result.
  public var fittedNetworks: Int
  public var heldOutNetworks: Int
  /// Random networks from which the use of kernels is counted.
  public var countedNetworks: Int
  /// How often each thing is measured if time allows.
  public var passes = 3

  public init(
    hyperspace: Hyperspace, seed: UInt64 = 0, fittedNetworks: Int = 24, heldOutNetworks: Int = 12,
    countedNetworks: Int = 2_000
  ) {
    self.hyperspace = hyperspace
    self.seed = seed
    self.fittedNetworks = fittedNetworks
    self.heldOutNetworks = heldOutNetworks
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

  /// The networks that the correction is fitted on.
  public var fitted: [Network] { (0..<fittedNetworks).map { network(stream: "profile-fitted", $0) } }

  /// The networks that only judge the result.
  public var heldOut: [Network] { (0..<heldOutNetworks).map { network(stream: "profile-held-out", $0) } }

  /// Every kernel that the counted networks use, the most used first.
  public var kernels: [KernelSignature] {
    var counts: [KernelSignature: Int] = [:]
    for index in 0..<countedNetworks {
      let graph = network(stream: "profile-kernels", index).graph
      for kernel in graph.kernelSignatures(isWhole: true) {
        if let kernel { counts[kernel, default: 0] += 1 }
      }
    }
    let named = counts.map { (count: $0.value, name: $0.key.description, kernel: $0.key) }
    return named.sorted { $0.count != $1.count ? $0.count > $1.count : $0.name < $1.name }.map(\.kernel)
  }

  private func network(stream: String, _ index: Int) -> Network {
    var generator = SeededGenerator(seed: seed, stream: stream, index)
    let space = hyperspace.randomSpace(using: &generator)
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
  ///   - budget: For the measuring; fitting takes a second more.
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
    let start = ContinuousClock.now
    var table = MeasurementTable(known, device: meter.device)
    let (fitted, heldOut, kernels) = (fitted, heldOut, kernels)
    // In turn, so that a budget that ends early leaves some of both.
    let networks = fitted.spread(heldOut)

    let networkRequests = [.emptyCall] + networks.map { LatencyRequest($0.subject, .network($0.graph)) }
    let kernelRequests = kernels.map { LatencyRequest($0) }
    let all = networkRequests.count + kernelRequests.count
    var repeated = 0
    func measure(
      _ phase: Phase, _ requests: [LatencyRequest], _ effort: MeasurementEffort, pass: Int,
      until deadline: ContinuousClock.Instant
    ) throws {
      let missing = requests.filter { table.gatedCount($0.subject) < pass }
      var done = requests.count - missing.count
      func report() {
        if pass == 1 {
          progress(phase, done, requests.count)
        } else {
          progress(.repetitions, repeated, all * (passes - 1))
        }
      }
      if pass > 1 { repeated += done }
      report()
      try meter.measure(missing, effort: effort, until: deadline) { measurement in
        table.insert(measurement)
        try record(measurement)
        done += 1
        if pass > 1 { repeated += 1 }
        report()
      }
    }

    let end = start + budget
    for pass in 1...max(1, passes) {
      // However slow the first networks are, kernels get their share.
      try measure(.networks, networkRequests, .network, pass: pass, until: pass == 1 ? start + budget / 2 : end)
      try measure(.kernels, kernelRequests, .kernel, pass: pass, until: end)
    }
    guard table[.emptyCall] != nil, kernels.contains(where: { table[.kernel($0)] != nil }) else {
      throw LatencyProfileError(
        "nothing could be measured within \(budget); a profile of \(hyperspace.name) needs at least a minute")
    }
    return predictor(table, fitted: fitted, heldOut: heldOut, kernels: kernels, device: meter.device)
  }

  /// Fits the predictor to measurements alone.
  public func predictor(_ measurements: [LatencyMeasurement], device: DeviceIdentity) -> LatencyPredictor {
    predictor(
      MeasurementTable(measurements, device: device), fitted: fitted, heldOut: heldOut, kernels: kernels,
      device: device)
  }

  private func predictor(
    _ table: MeasurementTable, fitted: [Network], heldOut: [Network], kernels: [KernelSignature],
    device: DeviceIdentity
  ) -> LatencyPredictor {
    let call = table[.emptyCall]?.microseconds ?? 0
    // Kernels of other profiles of this device serve as well.
    let measured = table.kernels.mapValues { $0.microseconds - call }
    let gated = table.kernels.values.count { table.isGated($0) }
    var predictor = LatencyPredictor(
      device: device, kernels: measured, gatedShare: Double(gated) / Double(max(1, measured.count)))
    predictor.estimate(kernels)
    predictor.correction = LatencyCorrection(
      fitting: fitted.compactMap { network in
        table[network.subject].map { predictor.sample(of: network.graph, measuredMicroseconds: $0.microseconds) }
      })
    let pairs = heldOut.compactMap { network in
      table[network.subject].map {
        PredictionAccuracy.Pair(
          predictedMilliseconds: predictor.milliseconds(of: network.graph), measuredMilliseconds: $0.milliseconds)
      }
    }
    if !pairs.isEmpty { predictor.heldOut = PredictionAccuracy(pairs) }
    return predictor
  }
}

extension Array {
  /// The elements of both, those of the other spread evenly among these.
  fileprivate func spread(_ other: [Element]) -> [Element] {
    var result: [Element] = []
    var taken = 0
    for (index, element) in enumerated() {
      result.append(element)
      let due = other.count * (index + 1) / count
      result += other[taken..<due]
      taken = due
    }
    return result + other[taken...]
  }
}

/// Why a profile could not be made.
public struct LatencyProfileError: Error, Hashable, Sendable, CustomStringConvertible {
  public var message: String
  public init(_ message: String) { self.message = message }
  public var description: String { message }
}
