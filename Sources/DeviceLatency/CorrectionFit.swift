extension LatencyCorrection {
  /// Fits measured networks by robust least squares of the relative error.
  ///
  /// Which of the terms there are, and how freely the scales of the kinds move away from the common one, is what
  /// predicts networks best that are left out of the fit (five folds). A cost that makes no sense is left out.
  ///
  /// - Parameter samples: With fewer than two, the bare sum of the parts stays.
  public init(fitting samples: [Sample]) {
    let usable = samples.filter { $0.measuredMicroseconds > 0 && $0.parts.microseconds.contains { $0 > 0 } }
    guard usable.count >= 2 else {
      self = .none
      return
    }
    // The scale alone, as the fallback that always exists.
    let ratio = Statistics.median(usable.map { $0.measuredMicroseconds / $0.parts.microseconds.reduce(0, +) })
    let scaleAlone = LatencyCorrection(
      scale: ratio, microsecondsPerOperation: 0, microsecondsPerMegabyte: 0, microsecondsPerCall: 0)
    var best: (form: Form?, error: Double) = (nil, scaleAlone.meanError(usable))
    for form in Form.all where usable.count >= 2 * form.unknowns {
      guard let error = form.crossValidatedError(usable), error < 0.995 * best.error else { continue }
      best = (form, error)
    }
    self = best.form?.fit(usable) ?? scaleAlone
  }

  fileprivate var isSensible: Bool {
    scales.allSatisfy { (0...4).contains($0) } && microsecondsPerOperation >= -1 && microsecondsPerMegabyte >= 0
      && microsecondsPerCall >= -2
  }

  /// The mean absolute relative error, which single bad networks sway less than its square.
  fileprivate func meanError(_ samples: [Sample]) -> Double { Statistics.mean(samples.map { abs(error($0)) }) }

  /// Which terms a correction has.
  fileprivate struct Form {
    /// Operations, megabytes, call.
    var terms: [Bool]
    /// How strongly the scales of the kinds are held to the common one; `nil` for no scales of their own.
    var hold: Double?

    /// The simplest first.
    static let all: [Form] = [nil, 1, 0.1, 0.01].flatMap { hold in
      (0..<8).map { mask in Form(terms: [mask & 1 != 0, mask & 2 != 0, mask & 4 != 0], hold: hold) }
    }

    var unknowns: Int {
      1 + terms.count { $0 } + (hold == nil ? 0 : KernelSignature.Group.allCases.count)
    }

    func crossValidatedError(_ samples: [Sample]) -> Double? {
      let folds = min(5, samples.count)
      var sum = 0.0
      for fold in 0..<folds {
        let known = samples.enumerated().filter { $0.offset % folds != fold }.map(\.element)
        guard let candidate = fit(known) else { return nil }
        for (index, sample) in samples.enumerated() where index % folds == fold { sum += abs(candidate.error(sample)) }
      }
      return sum / Double(samples.count)
    }

    /// Iteratively reweighted least squares with Huber's weights.
    ///
    /// - Returns: `nil` where there is no such fit, or it makes no sense.
    func fit(_ samples: [Sample]) -> LatencyCorrection? {
      let rows = samples.map(row)
      let targets = [Double](repeating: 1, count: samples.count)
      let ridges = ridges.map { $0 * Double(samples.count) }
      var weights = targets
      var solution: [Double] = []
      for _ in 0..<10 {
        guard let found = LeastSquares.solve(rows: rows, targets: targets, weights: weights, ridges: ridges) else {
          return nil
        }
        solution = found
        let residuals = rows.map { row in abs(zip(row, found).reduce(-1) { $0 + $1.0 * $1.1 }) }
        let limit = max(1.5 * Statistics.median(residuals), 1e-4)
        weights = residuals.map { $0 <= limit ? 1 : limit / $0 }
      }
      let correction = correction(solution)
      return correction.isSensible ? correction : nil
    }

    /// The common scale, the terms, then the kinds' differences from the common scale.
    private func row(_ sample: Sample) -> [Double] {
      let parts = sample.parts
      let candidates = [Double(parts.operations), parts.weightMegabytes, 1]
      var row = [parts.microseconds.reduce(0, +)] + zip(candidates, terms).filter(\.1).map(\.0)
      if hold != nil { row += parts.microseconds }
      return row.map { $0 / sample.measuredMicroseconds }
    }

    private var ridges: [Double] {
      let free = [Double](repeating: 0, count: 1 + terms.count { $0 })
      // Differences of some percent in kinds that make some tenths of a network leave residuals of about a hundredth.
      return free + (hold.map { hold in KernelSignature.Group.allCases.map { _ in hold * 1e-3 } } ?? [])
    }

    private func correction(_ solution: [Double]) -> LatencyCorrection {
      var values = solution[...]
      let scale = values.removeFirst()
      let terms = terms.map { $0 ? values.removeFirst() : 0 }
      let differences = hold == nil ? KernelSignature.Group.allCases.map { _ in 0 } : Array(values)
      return LatencyCorrection(
        scales: differences.map { scale + $0 }, microsecondsPerOperation: terms[0], microsecondsPerMegabyte: terms[1],
        microsecondsPerCall: terms[2])
    }
  }
}
