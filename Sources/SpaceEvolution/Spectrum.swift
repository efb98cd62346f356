/// The frequencies at which the joint distribution of loss and latency is held for one latency constraint.
///
/// Why frequencies: a subnet's loss and latency are sums over stages that are drawn independently, so the Laplace
/// transform of their joint distribution, `E exp(-a loss - b latency)`, is the product of the stages' transforms, each of
/// which is a plain mean over a table's rows. Share and tail loss come back from the product by the Fourier series of
/// Dubner and Abate (1968; see Abate and Whitt, "The Fourier-series method for inverting transforms of probability
/// distributions", 1992): with abscissa `damping / period` and frequencies `(n + 1/2) 2π / period`,
///
///     P(latency <= T) = 2 / period  Re sum_{n >= 0} e^{bT} / b  E exp(-b latency)  + images + truncation.
///
/// - **Images**: the series gives `F(T) - e^{-d} F(T + period) + e^{-2d} …`, `d` being `damping`, so they are below
///   `e^{-d}` = 8e-10 of the largest value. That is a bound and holds for all tables. Nothing comes from below, since
///   there is no mass at negative latency and `T < period`.
/// - **Truncation** after finitely many frequencies: no more is lost than the transform still has beyond them. Products of
///   hundreds of rows a stage fall off like those of a smooth density, and the terms near the end tell how far they have;
///   see `SpectralScore`. Products of few rows do not fall off; those are enumerated instead (`Enumeration`).
struct Frequencies: Hashable, Sendable {
  static let damping = 21.0

  /// Losses are taken from the smallest loss of each table; tails reach at most this far above their sum.
  let lossPeriod: Double
  /// Latencies are taken from the smallest of each stage; the constraint lies below this.
  let latencyPeriod: Double
  /// Positive frequencies of the loss, a multiple of 2. The negative ones are their mirror image.
  let lossCount: Int
  /// Positive and negative frequencies of the latency, a multiple of 32.
  let latencyCount: Int
  /// Positive frequencies of the latency where it is looked at alone, a multiple of 16.
  let shareCount: Int

  var lossDamping: Double { Frequencies.damping / lossPeriod }
  var latencyDamping: Double { Frequencies.damping / latencyPeriod }
  func lossFrequency(_ index: Int) -> Double { (Double(index) + 0.5) * 2 * .pi / lossPeriod }
  /// From the most negative to the most positive.
  func latencyFrequency(_ index: Int) -> Double {
    (Double(index - latencyCount / 2) + 0.5) * 2 * .pi / latencyPeriod
  }
  func shareFrequency(_ index: Int) -> Double { (Double(index) + 0.5) * 2 * .pi / latencyPeriod }

  /// The same with a loss period of twice the length, in which as many frequencies lie to a unit of loss.
  var widened: Frequencies {
    Frequencies(
      lossPeriod: 2 * lossPeriod, latencyPeriod: latencyPeriod, lossCount: 2 * lossCount, latencyCount: latencyCount,
      shareCount: shareCount)
  }

  /// The same with twice as many frequencies a side.
  var doubled: Frequencies {
    Frequencies(
      lossPeriod: lossPeriod, latencyPeriod: latencyPeriod, lossCount: 2 * lossCount, latencyCount: 2 * latencyCount,
      shareCount: 2 * shareCount)
  }
}

/// Rows of one table at one resolution, shifted so that the smallest possible loss and latency are 0.
struct WeightedRows: Sendable {
  var losses: [Double]
  var latencies: [Double]
  /// Sums to 1.
  var weights: [Double]
}

/// The Laplace transform of one table's rows at one resolution.
struct Spectrum: Sendable {
  /// `E exp(-a loss - b latency)`, loss frequency by loss frequency; eight latency frequencies an item.
  private(set) var joint: [Complex8]
  /// `E exp(-a loss)`, for limits that no row exceeds.
  private(set) var unlimited: [Complex]
  /// `E exp(-b latency)`.
  private(set) var share: [Complex8]
  /// `E loss exp(-b latency)`.
  private(set) var shareLoss: [Complex8]
  /// `E loss`.
  let meanLoss: Double

  init(_ rows: WeightedRows, _ frequencies: Frequencies) {
    let vectors = frequencies.latencyCount / 8
    joint = [Complex8](repeating: .zero, count: frequencies.lossCount * vectors)
    unlimited = [Complex](repeating: .zero, count: frequencies.lossCount)
    share = [Complex8](repeating: .zero, count: frequencies.shareCount / 8)
    shareLoss = share
    meanLoss = zip(rows.losses, rows.weights).reduce(0) { $0 + $1.0 * $1.1 }
    var latencyWaves = [Complex](repeating: .zero, count: frequencies.latencyCount)
    var shareWaves = [Complex](repeating: .zero, count: frequencies.shareCount)
    var packed = [Complex8](repeating: .zero, count: vectors)
    for row in rows.losses.indices {
      let loss = rows.losses[row]
      let latency = rows.latencies[row]
      // Equally spaced frequencies: each wave is the one before, turned by the same angle.
      let lossTurn = Complex.exponential(0, -frequencies.lossFrequency(0) * 2 * loss)
      let latencyTurn = Complex.exponential(0, -frequencies.shareFrequency(0) * 2 * latency)
      var wave = Complex.exponential(
        -frequencies.latencyDamping * latency, -frequencies.latencyFrequency(0) * latency)
      for index in latencyWaves.indices {
        latencyWaves[index] = wave
        wave = wave * latencyTurn
      }
      for vector in 0..<vectors { packed[vector] = Complex8(latencyWaves, at: vector * 8) }
      wave =
        Complex.exponential(-frequencies.lossDamping * loss, -frequencies.lossFrequency(0) * loss)
        * rows.weights[row]
      for index in 0..<frequencies.lossCount {
        let start = index * vectors
        unlimited[index] = unlimited[index] + wave
        for vector in 0..<vectors { joint[start + vector] = joint[start + vector] + packed[vector] * wave }
        wave = wave * lossTurn
      }
      wave =
        Complex.exponential(-frequencies.latencyDamping * latency, -frequencies.shareFrequency(0) * latency)
        * rows.weights[row]
      for index in shareWaves.indices {
        shareWaves[index] = wave
        wave = wave * latencyTurn
      }
      for vector in share.indices {
        let waves = Complex8(shareWaves, at: vector * 8)
        share[vector] = share[vector] + waves
        shareLoss[vector] = shareLoss[vector] + waves * loss
      }
    }
  }
}

/// What turns a product of spectra back into figures, at one limit of the latency.
struct LatencyKernel: Sendable {
  /// `e^{bT} / (b period)`, over all frequencies of the joint transform.
  let joint: [Complex8]
  /// `2 e^{bT} / (b period)`, over the positive frequencies of the latency alone.
  let share: [Complex8]

  /// - Parameter limit: Milliseconds above the smallest possible latency; in `0 ..< latencyPeriod`.
  init(_ frequencies: Frequencies, limit: Double) {
    func weight(_ frequency: Double) -> Complex {
      let growth = Complex.exponential(frequencies.latencyDamping * limit, frequency * limit)
      return growth * Complex(frequencies.latencyDamping, frequency).reciprocal * (1 / frequencies.latencyPeriod)
    }
    let joint = (0..<frequencies.latencyCount).map { weight(frequencies.latencyFrequency($0)) }
    self.joint = (0..<frequencies.latencyCount / 8).map { Complex8(joint, at: $0 * 8) }
    let share = (0..<frequencies.shareCount).map { weight(frequencies.shareFrequency($0)) * 2 }
    self.share = (0..<frequencies.shareCount / 8).map { Complex8(share, at: $0 * 8) }
  }
}
