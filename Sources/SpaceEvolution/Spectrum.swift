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
///   `e^{-d}` = 1e-10 of the largest value. That is a bound and holds for all tables. Nothing comes from below, since
///   there is no mass at negative latency and `T < period`.
/// - **Truncation** after finitely many frequencies: terms are faded out by `filter`, so that steps of the distribution
///   far from `T` have no influence; a smooth distribution loses next to nothing, since the filter is flat to the eighth
///   order. Sums over hundreds of rows a stage are smooth in this sense, those over few rows are not. What a filter that
///   ends at eight tenths of the frequencies gives is compared with what all give; see `SpectralScore`. Where they
///   disagree, the space is enumerated instead (`Enumeration`).
struct Frequencies: Hashable, Sendable {
  static let damping = 23.0
  /// What the images add at most, as a share of the largest value.
  static let images = exponential(-damping)

  /// Losses are taken from the smallest loss of each table; tails reach at most this far above their sum.
  let lossPeriod: Double
  /// Latencies are taken from the smallest of each stage; the constraint lies below this.
  let latencyPeriod: Double
  /// Positive frequencies of the loss, a multiple of 2. The negative ones are their mirror image.
  let lossCount: Int
  /// Positive and negative frequencies of the latency, a multiple of 16.
  /// No more than twice `shareCount`.
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

  /// By how much a term is faded out that lies at `position` between the lowest frequency, 0, and the last, 1.
  static func filter(_ position: Double) -> Double {
    guard position < 1 else { return 0 }
    let square = position * position
    let fourth = square * square
    return exponential(-damping * fourth * fourth)
  }

  /// The part of a term, as `filter` leaves it, that a filter which ends at eight tenths takes away.
  static func lastPart(_ position: Double) -> Double { 1 - filter(position / 0.8) / max(filter(position), 1e-300) }

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
  /// Sums to 1, or to the part of it that the rows are.
  var weights: [Double]
  /// The weight of a row that stands once.
  var unit: Double
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
  /// `E 1`: what the rows weigh.
  private(set) var mass: Double
  /// `E loss`.
  private(set) var meanLoss: Double

  /// No rows at all, at the frequencies of another spectrum.
  static func zero(like other: Spectrum) -> Spectrum {
    var result = other
    result.joint = [Complex8](repeating: .zero, count: other.joint.count)
    result.unlimited = [Complex](repeating: .zero, count: other.unlimited.count)
    result.share = [Complex8](repeating: .zero, count: other.share.count)
    result.shareLoss = result.share
    (result.mass, result.meanLoss) = (0, 0)
    return result
  }

  /// Adds the transform of the sums of two independent draws.
  mutating func add(_ a: Spectrum, times b: Spectrum) {
    for index in joint.indices { joint[index] = joint[index] + a.joint[index] * b.joint[index] }
    for index in unlimited.indices { unlimited[index] = unlimited[index] + a.unlimited[index] * b.unlimited[index] }
    for index in share.indices {
      share[index] = share[index] + a.share[index] * b.share[index]
      shareLoss[index] = shareLoss[index] + a.shareLoss[index] * b.share[index] + a.share[index] * b.shareLoss[index]
    }
    mass += a.mass * b.mass
    meanLoss += a.meanLoss * b.mass + a.mass * b.meanLoss
  }

  var bytes: Int { 128 * (joint.count + share.count + shareLoss.count) + 16 * unlimited.count }

  /// - Parameter limit: Rows with a larger latency are in no subnet that counts, and are left out.
  init(_ rows: WeightedRows, _ frequencies: Frequencies, limit: Double) {
    let half = frequencies.latencyCount / 16
    // For frequencies v and -v the latency's wave is conjugate, so with loss waves a + ib it is enough to add up
    // a wave(v) and b wave(v).
    var realParts = [Complex8](repeating: .zero, count: frequencies.lossCount * half)
    var imaginaryParts = realParts
    unlimited = [Complex](repeating: .zero, count: frequencies.lossCount)
    share = [Complex8](repeating: .zero, count: frequencies.shareCount / 8)
    shareLoss = share
    mass = rows.weight
    meanLoss = zip(rows.losses, rows.weights).reduce(0) { $0 + $1.0 * $1.1 }
    var waves = [Complex8](repeating: .zero, count: share.count)
    for row in rows.losses.indices {
      let loss = rows.losses[row]
      let latency = rows.latencies[row]
      // Equally spaced frequencies: each wave is the one before, turned by the same angle.
      var lossWave =
        Complex.exponential(-frequencies.lossDamping * loss, -frequencies.lossFrequency(0) * loss) * rows.weights[row]
      let weight = rows.weights[row]
      let lossTurn = Complex.exponential(0, -2 * frequencies.lossFrequency(0) * loss)
      guard latency <= limit else {
        for index in unlimited.indices {
          unlimited[index] = unlimited[index] + lossWave
          lossWave = lossWave * lossTurn
        }
        continue
      }
      Spectrum.fill(
        &waves,
        first: Complex.exponential(
          -frequencies.latencyDamping * latency, -frequencies.shareFrequency(0) * latency),
        turn: Complex.exponential(0, -2 * frequencies.shareFrequency(0) * latency))
      for index in 0..<frequencies.lossCount {
        unlimited[index] = unlimited[index] + lossWave
        let start = index * half
        for vector in 0..<half {
          let wave = waves[vector]
          realParts[start + vector] = realParts[start + vector] + wave * lossWave.re
          imaginaryParts[start + vector] = imaginaryParts[start + vector] + wave * lossWave.im
        }
        lossWave = lossWave * lossTurn
      }
      for vector in share.indices {
        let wave = waves[vector] * weight
        share[vector] = share[vector] + wave
        shareLoss[vector] = shareLoss[vector] + wave * loss
      }
    }
    joint = []
    joint.reserveCapacity(frequencies.lossCount * half * 2)
    for index in 0..<frequencies.lossCount {
      let range = index * half..<(index + 1) * half
      for place in range.reversed() {
        let (a, b) = (realParts[place].reversed, imaginaryParts[place].reversed)
        joint.append(Complex8(re: a.re + b.im, im: b.re - a.im))
      }
      for place in range {
        let (a, b) = (realParts[place], imaginaryParts[place])
        joint.append(Complex8(re: a.re - b.im, im: a.im + b.re))
      }
    }
  }

  /// Powers of a turn, eight side by side: each item is the one before, turned eight times.
  private static func fill(_ waves: inout [Complex8], first: Complex, turn: Complex) {
    var next = first
    var eight = Complex8.zero
    for lane in 0..<8 {
      eight.re[lane] = next.re
      eight.im[lane] = next.im
      next = next * turn
    }
    let two = turn * turn
    let four = two * two
    let turn8 = four * four
    for index in waves.indices {
      waves[index] = eight
      eight = eight * turn8
    }
  }
}

/// What turns a product of spectra back into figures, at one limit of the latency.
struct LatencyKernel: Sendable {
  /// `e^{bT} / (b period)`, faded out, over all frequencies of the joint transform.
  let joint: [Complex8]
  /// `2 e^{bT} / (b period)`, faded out, over the positive frequencies of the latency alone.
  let share: [Complex8]
  /// How much of each term a filter that ends at eight tenths takes away.
  let lastPartOfJoint: [SIMD8<Double>]
  let lastPartOfShare: [SIMD8<Double>]

  /// - Parameter limit: Milliseconds above the smallest possible latency; in `0 ..< latencyPeriod`.
  init(_ frequencies: Frequencies, limit: Double) {
    func weight(_ frequency: Double) -> Complex {
      let growth = Complex.exponential(frequencies.latencyDamping * limit, frequency * limit)
      return growth * Complex(frequencies.latencyDamping, frequency).reciprocal * (1 / frequencies.latencyPeriod)
    }
    func packed(_ numbers: [Double]) -> [SIMD8<Double>] {
      stride(from: 0, to: numbers.count, by: 8).map { SIMD8(numbers[$0..<$0 + 8]) }
    }
    func packed(_ numbers: [Complex]) -> [Complex8] {
      stride(from: 0, to: numbers.count, by: 8).map { Complex8(numbers, at: $0) }
    }
    let half = Double(frequencies.latencyCount / 2)
    let jointPositions = (0..<frequencies.latencyCount).map { abs(Double($0) + 0.5 - half) / half }
    joint = packed(
      jointPositions.enumerated().map { weight(frequencies.latencyFrequency($0)) * Frequencies.filter($1) })
    lastPartOfJoint = packed(jointPositions.map(Frequencies.lastPart))
    let sharePositions = (0..<frequencies.shareCount).map { (Double($0) + 0.5) / Double(frequencies.shareCount) }
    share = packed(
      sharePositions.enumerated().map { weight(frequencies.shareFrequency($0)) * (2 * Frequencies.filter($1)) })
    lastPartOfShare = packed(sharePositions.map(Frequencies.lastPart))
  }
}

/// What turns transforms of the loss back into figures.
struct LossKernel: Sendable {
  /// `2 / (a period)` and `2 / (a² period)`, faded out.
  let mass: [Complex]
  let hinge: [Complex]
  let lastPart: [Double]

  init(_ frequencies: Frequencies) {
    let positions = (0..<frequencies.lossCount).map { (Double($0) + 0.5) / Double(frequencies.lossCount) }
    let inverses = (0..<frequencies.lossCount).map {
      Complex(frequencies.lossDamping, frequencies.lossFrequency($0)).reciprocal
    }
    mass = zip(inverses, positions).map { $0 * (2 / frequencies.lossPeriod * Frequencies.filter($1)) }
    hinge = zip(mass, inverses).map { $0 * $1 }
    lastPart = positions.map(Frequencies.lastPart)
  }
}
