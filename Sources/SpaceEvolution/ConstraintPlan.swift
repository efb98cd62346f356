internal import SearchSpaces
internal import Synchronization

/// What is prepared once for a latency constraint: frequencies and the spectra of all tables.
struct ConstraintPlan: Sendable {
  /// How often the frequencies may be refined for one space, beyond what was prepared.
  static let refinements = 2

  let frequencies: Frequencies
  private let geometry: Geometry
  private let spectra: SpectraCache
  private let kernels: [LatencyKernel?]

  /// Where the constraint stands against the tables' latencies.
  private struct Geometry {
    /// By resolution: the constraint less the fixed latency. Where latencies are multiples of 1e-4 ms, as published ones
    /// are, the middle between the last sum that keeps the constraint and the first that does not.
    let bounds: [Double]
    /// By resolution: how far that is above the fastest subnet of all spaces, and no more than the slowest is.
    let limits: [Double]
    /// Smallest latency by stage and resolution; latencies are counted from it.
    let origins: [[Double]]

    init(milliseconds: Double, rows: RowStore, fixedLatencies: [Double]) {
      let bounds = fixedLatencies.map { rows.betweenSums(milliseconds - $0) }
      self.bounds = bounds
      origins = rows.smallestLatencies
      limits = bounds.enumerated().map { r, bound in
        let range = (0..<rows.stageCount).reduce(0) {
          $0 + rows.largestLatencies[$1][r] - rows.smallestLatencies[$1][r]
        }
        return min(bound - rows.smallestLatency(resolution: r), range * 1.001)
      }
    }

    /// Kernels for one space whose sums lie further apart than 1e-4 ms: their limits are in the middle between two sums.
    func kernels(of keys: [Int], rows: RowStore, _ frequencies: Frequencies) -> [LatencyKernel?] {
      limits.indices.map { r in
        guard limits[r] >= 0 else { return nil }
        let base = rows.latencyRange(keys, resolution: r).smallest
        let bound = rows.betweenSums(bounds[r], base: base, unit: rows.latencyUnit)
        let limit = bound - rows.smallestLatency(resolution: r)
        return limit < 0 ? nil : LatencyKernel(frequencies, limit: min(limit, 0.999 * frequencies.latencyPeriod))
      }
    }

    func kernels(_ frequencies: Frequencies) -> [LatencyKernel?] {
      limits.map { $0 < 0 ? nil : LatencyKernel(frequencies, limit: $0) }
    }

    func spectra(_ table: Int, rows: RowStore, _ frequencies: Frequencies) -> StageSpectra {
      let stage = rows.stage(of: table)
      let loss = rows.tables[table].smallestLoss
      return StageSpectra(
        smallestLoss: loss,
        transitions: rows.tables[table].transitions.enumerated().map { r, transitions in
          transitions.map { transition in
            StageSpectra.Transition(
              from: transition.from, to: transition.to,
              spectrum: Spectrum(
                transition.rows.shifted(loss: loss, latency: origins[stage][r]), frequencies, limit: limits[r]))
          }
        })
    }
  }

  init(milliseconds: Double, rows: RowStore, fixedLatencies: [Double], tailFraction: Double, threads: Int) {
    let geometry = Geometry(milliseconds: milliseconds, rows: rows, fixedLatencies: fixedLatencies)
    let lossRange = (0..<rows.stageCount).reduce(0.0) { sum, stage in
      sum + rows.tables(ofStage: stage).lazy.flatMap(\.resolutions).map(\.trimmedLossRange).max()!
    }
    let lossScale = rows.tables.lazy.map(\.smallestLoss).max()!
    var frequencies = Frequencies(
      lossPeriod: max(1.05 * lossRange, 1e-3 * lossScale, 1e-9),
      latencyPeriod: max(1.05 * geometry.limits.max()! + rows.latencyUnit, 1e-3 * milliseconds), lossCount: 32,
      latencyCount: 96,
      shareCount: 128)
    // The frequencies at which most of a few spaces are accurate; others that need more get it one by one.
    var generator = SeededGenerator(seed: 1, stream: "spectra")
    let samples = (0..<24).map { _ in
      (0..<rows.stageCount).map { stage in
        rows.stageStarts[stage] + generator.next(below: rows.tables(ofStage: stage).count)
      }
    }
    for _ in 0..<2 {
      let candidate = frequencies
      let outcomes = samples.concurrentMap(threads: threads) { keys in
        let stages = keys.map { geometry.spectra($0, rows: rows, candidate) }
        return ConstraintPlan.spectralScore(keys, stages, geometry, rows, candidate)
          .shareAndTail(tailFraction: tailFraction)
      }
      if outcomes.filter({ $0 == nil }).count > samples.count / 12 {
        frequencies = frequencies.widened
      } else if outcomes.filter({ $0.map { !$0.isAccurate } ?? false }).count > samples.count / 12 {
        frequencies = frequencies.doubled
      } else {
        break
      }
    }
    let chosen = frequencies
    self.frequencies = chosen
    self.geometry = geometry
    kernels = geometry.kernels(chosen)
    // One spectrum a table and resolution is little; one for every two widths is too much to hold for all tables.
    let isSmall = rows.rule == .independent
    spectra = SpectraCache(
      prepared: isSmall
        ? Array(rows.tables.indices).concurrentMap(threads: threads) { geometry.spectra($0, rows: rows, chosen) } : [])
  }

  /// Share and tail loss at some frequencies: those that were prepared, which is fast, or others.
  func shareAndTail(_ keys: [Int], rows: RowStore, tailFraction: Double, _ frequencies: Frequencies) -> ShareAndTail? {
    let isPrepared = frequencies == self.frequencies
    let stages = keys.map { key in
      spectra.value(table: key, frequencies: isPrepared ? nil : frequencies) {
        geometry.spectra(key, rows: rows, frequencies)
      }
    }
    return ConstraintPlan.spectralScore(keys, stages, geometry, rows, frequencies, kernels: isPrepared ? kernels : nil)
      .shareAndTail(tailFraction: tailFraction)
  }

  private static func spectralScore(
    _ keys: [Int], _ stages: [StageSpectra], _ geometry: Geometry, _ rows: RowStore, _ frequencies: Frequencies,
    kernels: [LatencyKernel?]? = nil
  ) -> SpectralScore {
    let kernels =
      rows.latencyUnit > 1e-4
      ? geometry.kernels(of: keys, rows: rows, frequencies) : kernels ?? geometry.kernels(frequencies)
    let limits = geometry.bounds.indices.map { r -> LatencyLimit in
      let (smallest, largest) = rows.latencyRange(keys, resolution: r)
      let bound = latencyLimit(geometry.bounds[r])
      guard smallest <= bound, let kernel = kernels[r] else { return .excludesAll }
      return largest <= bound ? .excludesNone : .between(kernel)
    }
    return SpectralScore(
      frequencies: frequencies, stages: stages, limits: limits, mixture: rows.mixture(keys),
      stateCounts: rows.stateCounts)
  }
}

/// Spectra of tables: those that were prepared, and others as far as they fit.
private final class SpectraCache: Sendable {
  private struct Key: Hashable {
    var table: Int
    /// `nil` for those of the plan.
    var frequencies: Frequencies?
  }
  private struct State {
    var spectra: [Key: StageSpectra] = [:]
    var bytes = 0
  }
  private static let capacity = 400 << 20
  private let prepared: [StageSpectra]
  private let state = Mutex(State())

  init(prepared: [StageSpectra]) { self.prepared = prepared }

  func value(table: Int, frequencies: Frequencies?, make: () -> StageSpectra) -> StageSpectra {
    if frequencies == nil, !prepared.isEmpty { return prepared[table] }
    let key = Key(table: table, frequencies: frequencies)
    if let value = state.withLock({ $0.spectra[key] }) { return value }
    let value = make()
    let bytes = value.bytes
    state.withLock { state in
      while state.bytes + bytes > SpectraCache.capacity, let victim = state.spectra.first {
        state.spectra[victim.key] = nil
        state.bytes -= victim.value.bytes
      }
      if state.spectra.updateValue(value, forKey: key) == nil { state.bytes += bytes }
    }
    return value
  }
}

extension ShareAndTail {
  /// With an estimate of the error that is half of what is promised: 1e-5 for the share, 1e-4 of the tail loss.
  /// Where the share is too small for a score, the tail loss does not matter.
  var isAccurate: Bool {
    shareError <= 5e-6 && (share + shareError < QTParameters.minimumFraction || tailError <= 5e-5 * tailLoss)
  }
}
