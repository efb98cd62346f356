extension LatencyCorrection {
  /// Fits measured networks by robust least squares of the relative error.
  ///
  /// Which of the terms there are, and how freely the scales and costs of the kinds move away from the common ones, is
  /// what predicts networks best that are left out of the fit (five folds). A cost that makes no sense is left out.
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

  /// - Parameter slack: How far costs may be below zero, in microseconds: of an operation, and of a call.
  fileprivate func isSensible(slack: (operation: Double, call: Double)) -> Bool {
    scales.allSatisfy { (0...4).contains($0) } && microsecondsPerOperation.allSatisfy { $0 >= -slack.operation }
      && microsecondsPerMegabyte >= 0 && microsecondsPerCall >= -slack.call
  }

  /// The mean absolute relative error, which single bad networks sway less than its square.
  fileprivate func meanError(_ samples: [Sample]) -> Double { Statistics.mean(samples.map { abs(error($0)) }) }

  /// Which terms a correction has.
  fileprivate struct Form {
    /// Operations, megabytes, call.
    var terms: [Bool]
    /// How strongly the scales of the kinds are held to the common one; `nil` for no scales of their own.
    var hold: Double?
    /// Whether the kinds have costs of their own, beside the common one of an operation.
    var hasCosts: Bool

    /// The simplest first.
    static let all: [Form] = {
      let holds: [Double?] = [nil, 1, 0.1, 0.01, 0.001]
      var forms: [Form] = []
      for hasCosts in [false, true] {
        for hold in holds {
          for mask in 0..<8 {
            forms.append(Form(terms: (0..<3).map { mask >> $0 & 1 != 0 }, hold: hold, hasCosts: hasCosts))
          }
        }
      }
      return forms
    }()

    var unknowns: Int {
      let kinds = KernelSignature.Group.allCases.count
      return 1 + terms.count { $0 } + (hold == nil ? 0 : kinds) + (hasCosts ? kinds : 0)
    }

    /// The unit of the kinds' costs, about what an operation takes, so that they are held alike in fast and in slow
    /// networks: the mean microseconds of an operation in the samples.
    private func unit(_ samples: [Sample]) -> Double {
      let operations = samples.reduce(0) { $0 + $1.parts.operations.reduce(0, +) }
      return samples.reduce(0) { $0 + $1.measuredMicroseconds } / Double(max(1, operations))
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
      let unit = unit(samples)
      let rows = samples.map { row($0, unit) }
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
      let correction = correction(solution, unit)
      // Where kinds have costs, those of what begins and ends every network are told by the call, as what a fused
      // operation saves is told by its kind.
      return correction.isSensible(slack: hasCosts ? (2 * unit, 10 * unit) : (1, 2)) ? correction : nil
    }

    /// The common scale, the terms, then the kinds' differences from the common scale and from the common cost.
    private func row(_ sample: Sample, _ unit: Double) -> [Double] {
      let parts = sample.parts
      let candidates = [Double(parts.operations.reduce(0, +)), parts.weightMegabytes, 1]
      var row = [parts.microseconds.reduce(0, +)] + zip(candidates, terms).filter(\.1).map(\.0)
      if hold != nil { row += parts.microseconds }
      if hasCosts { row += parts.operations.map { unit * Double($0) } }
      return row.map { $0 / sample.measuredMicroseconds }
    }

    private var ridges: [Double] {
      let free = [Double](repeating: 0, count: 1 + terms.count { $0 })
      let kinds = KernelSignature.Group.allCases
      // Differences of some percent in kinds that make some tenths of a network leave residuals of about a hundredth.
      let ofScales = hold.map { hold in kinds.map { _ in hold * 1e-3 } } ?? []
      return free + ofScales + (hasCosts ? kinds.map { _ in 1e-5 } : [])
    }

    private func correction(_ solution: [Double], _ unit: Double) -> LatencyCorrection {
      let kinds = KernelSignature.Group.allCases
      var values = solution[...]
      let scale = values.removeFirst()
      let terms = terms.map { $0 ? values.removeFirst() : 0 }
      let scales = kinds.map { _ in scale + (hold == nil ? 0 : values.removeFirst()) }
      let costs = kinds.map { _ in terms[0] + (hasCosts ? unit * values.removeFirst() : 0) }
      return LatencyCorrection(
        scales: scales, microsecondsPerOperation: costs, microsecondsPerMegabyte: terms[1],
        microsecondsPerCall: terms[2]
      )
    }
  }
}
