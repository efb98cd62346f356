import NetworkGraphs
import SearchSpaces

/// A profile on its way: what is measured by now, and what is to be measured next.
final class ProfileRun {
  private let profile: LatencyProfile
  private let meter: any LatencyMeter
  private let record: (LatencyMeasurement) throws -> Void
  private let progress: (LatencyProfile.Phase, Int, Int) -> Void
  private let start = ContinuousClock.now
  private let budget: Duration

  private var table: MeasurementTable
  private let fitted: [LatencyProfile.Network]
  private let heldOut: [LatencyProfile.Network]
  private let use: [KernelSignature: Int]
  private var repeated = 0

  /// At least this many kernels are measured between two looks at which come next.
  private static let fewest = 240

  init(
    profile: LatencyProfile, meter: any LatencyMeter, budget: Duration, known: [LatencyMeasurement],
    record: @escaping (LatencyMeasurement) throws -> Void,
    progress: @escaping (LatencyProfile.Phase, Int, Int) -> Void
  ) {
    self.profile = profile
    self.meter = meter
    self.budget = budget
    self.record = record
    self.progress = progress
    table = MeasurementTable(known, device: meter.device)
    (fitted, heldOut, use) = (profile.fitted, profile.heldOut, profile.kernelUse)
  }

  func predictor() throws -> LatencyPredictor {
    // In turn, so that a budget that ends early leaves some of both.
    let networks = fitted.spread(heldOut)
    let requests = [.emptyCall] + networks.map { LatencyRequest($0.subject, .network($0.graph)) }
    let end = start + budget
    for pass in 1...passes {
      // However slow the first networks are, kernels get their share.
      try measure(.networks, requests, networkEffort, pass: pass, until: pass == 1 ? start + budget / 2 : end)
      if pass == 1 {
        // Networks that took longer than they should leave the rest its share all the same: without kernels there is no
        // predictor.
        try measure(.contexts, contexts, effort, pass: pass, until: max(end, .now + budget / 4))
        // Where a session is all that a pass gives, networks need more of them than kernels that can be estimated.
        try measureKernels(until: max(meter.isSlowToLoad ? start + budget * 3 / 4 : end, .now + budget / 4))
      } else {
        try measure(.contexts, contexts, effort, pass: pass, until: end)
        try measure(.kernels, mostDoubtful.map { LatencyRequest($0, method) }, effort, pass: pass, until: end)
      }
    }
    guard table[.emptyCall] != nil, use.keys.contains(where: { table[.kernel($0)] != nil }) else {
      throw LatencyProfileError(
        "nothing could be measured within \(budget); a profile of \(profile.hyperspace.name) needs at least a minute")
    }
    return ProfileFit(
      table: table, fitted: fitted, heldOut: heldOut, kernels: Array(use.keys), device: meter.device, method: method
    ).predictor()
  }

  private var method: KernelMethod { meter.kernelMethod }
  private var effort: MeasurementEffort { method == .alone ? .kernel : .kernelInContext }
  private var networkEffort: MeasurementEffort { meter.isSlowToLoad ? .networkInOneSession : .network }
  /// Where a pass is one session instead of three, there are three times as many.
  private var passes: Int { max(1, meter.isSlowToLoad ? 3 * profile.passes : profile.passes) }

  /// What is taken off the kernels' times besides the empty call, if anything.
  private var contexts: [LatencyRequest] {
    guard method == .inContext else { return [] }
    return Set(use.keys.map(\.context)).subtracting([.call]).map { LatencyRequest($0) }
      .sorted { "\($0.subject)" < "\($1.subject)" }
  }

  private func measure(
    _ phase: LatencyProfile.Phase, _ requests: [LatencyRequest], _ effort: MeasurementEffort, pass: Int,
    until deadline: ContinuousClock.Instant, of total: Int? = nil, after done: Int = 0
  ) throws {
    if requests.isEmpty { return }
    // A small hyperspace draws the same network twice: timed twice, it would not be after an interruption in between.
    var asked: Set<LatencySubject> = []
    let missing = requests.filter { table.gatedCount($0.subject) < pass && asked.insert($0.subject).inserted }
    var done = done + requests.count - missing.count
    if pass > 1 { repeated += requests.count - missing.count }
    let repetitions = (use.count + contexts.count + fitted.count + heldOut.count + 1) * (passes - 1)
    func report() {
      if pass == 1 {
        progress(phase, done, total ?? requests.count)
      } else {
        progress(.repetitions, repeated, repetitions)
      }
    }
    report()
    try meter.measure(missing, effort: effort, until: deadline) { measurement in
      table.insert(measurement)
      try record(measurement)
      done += 1
      if pass > 1 { repeated += 1 }
      report()
    }
  }

  /// Kernels for the first time, a batch at a time: those whose times would be missed most, were they only estimated.
  private func measureKernels(until deadline: ContinuousClock.Instant) throws {
    var missing = use.keys.filter { table.gatedCount(.kernel($0)) < 1 }
    repeat {
      // While nothing is known all kernels are taken for equally long, so the most used ones come first.
      let known = table.kernelMicroseconds(method, smoothed: false).mapValues { max($0, 0.01) }
      let regression = KernelRegression(known)
      let stakes = Dictionary(
        uniqueKeysWithValues: missing.map { ($0, Double(use[$0]!) * (regression.microseconds($0) ?? 1)) })
      missing.sort { stakes[$0]! != stakes[$1]! ? stakes[$0]! > stakes[$1]! : $0 < $1 }
      let batch = missing.prefix(max(ProfileRun.fewest, missing.count / 6))
      try measure(
        .kernels, batch.map { LatencyRequest($0, method) }, effort, pass: 1, until: deadline, of: use.count,
        after: use.count - missing.count)
      missing.removeFirst(batch.count)
    } while !missing.isEmpty && ContinuousClock.now < deadline
  }

  /// All kernels, those first whose spread puts most microseconds of the networks in doubt.
  private var mostDoubtful: [KernelSignature] {
    let doubts = use.map { kernel, count -> (doubt: Double, kernel: KernelSignature) in
      guard let measured = table[.kernel(kernel)] else { return (.infinity, kernel) }
      let share = table.isGated(measured) ? measured.spreadPercent : 100
      return (Double(count) * measured.microseconds * share, kernel)
    }
    return doubts.sorted { $0.doubt != $1.doubt ? $0.doubt > $1.doubt : $0.kernel < $1.kernel }.map(\.kernel)
  }
}

/// The predictor of what was measured.
struct ProfileFit {
  var table: MeasurementTable
  var fitted: [LatencyProfile.Network]
  var heldOut: [LatencyProfile.Network]
  var kernels: [KernelSignature]
  var device: DeviceIdentity
  var method: KernelMethod

  func predictor() -> LatencyPredictor {
    // Kernels of other profiles of this device serve as well.
    let measured = table.kernelMicroseconds(method, smoothed: true)
    let gated = measured.keys.count { table[.kernel($0)].map(table.isGated) ?? false }
    var predictor = LatencyPredictor(
      device: device, kernels: measured, gatedShare: Double(gated) / Double(max(1, measured.count)))
    predictor.estimate(kernels)
    predictor.correction = LatencyCorrection(
      fitting: fitted.compactMap { network in
        table[network.subject].map { predictor.sample(of: network.graph, measuredMicroseconds: $0.microseconds) }
      })
    if method == .inContext {
      predictor.adjustKernels(
        to: fitted.compactMap { network in table[network.subject].map { (network.graph, $0.microseconds) } })
    }
    predictor.fitted = accuracy(of: predictor, on: fitted)
    predictor.heldOut = accuracy(of: predictor, on: heldOut)
    predictor.repeatability = Repeatability((fitted + heldOut).map { table.gated($0.subject) })
    return predictor
  }

  /// `nil` where none of the networks was measured.
  private func accuracy(of predictor: LatencyPredictor, on networks: [LatencyProfile.Network]) -> PredictionAccuracy? {
    let pairs = networks.compactMap { network in
      table[network.subject].map {
        PredictionAccuracy.Pair(
          predictedMilliseconds: predictor.milliseconds(of: network.graph), measuredMilliseconds: $0.milliseconds,
          network: "\(network.space.encoding) \(network.subnet.encoding)")
      }
    }
    return pairs.isEmpty ? nil : PredictionAccuracy(pairs)
  }
}

extension Array {
  /// The elements of both, those of the other spread evenly among these.
  fileprivate func spread(_ other: [Element]) -> [Element] {
    guard !isEmpty else { return other }
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
