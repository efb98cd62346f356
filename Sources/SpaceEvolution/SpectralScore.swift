/// The tables of one stage of a space, as the spectral score needs them: one spectrum a resolution.
struct StageSpectra: Sendable {
  /// The smallest loss of the table, from which its losses are counted.
  let smallestLoss: Double
  /// One a resolution.
  let spectra: [Spectrum]
}

/// What a latency limit does to one resolution of one space.
enum LatencyLimit: Sendable {
  /// No subnet keeps it.
  case excludesAll
  /// Every subnet keeps it.
  case excludesNone
  case between(LatencyKernel)
}

/// Share and tail loss from spectra; see `Frequencies` for the method and the part of its error that is bounded.
///
/// **Error of truncation.** The terms left out are judged by those in the outer half of the frequencies that were used:
/// their root sum of squares, four times over, which is what terms of unrelated phase add up to with a wide margin.
/// Terms fall, so for tables of hundreds of rows the estimate is far too large; for tables of few rows they do not
/// fall and the estimate tells.
struct SpectralScore {
  let frequencies: Frequencies
  let stages: [StageSpectra]
  /// One a resolution.
  let limits: [LatencyLimit]

  /// - Parameter tailFraction: `q`: the mean loss is that of the best mass `min(q, p)`.
  /// - Returns: `nil` where the tail reaches beyond the loss period, so that it cannot be told at these frequencies.
  func shareAndTail(tailFraction: Double) -> ShareAndTail? {
    let (share, shareLoss, shareError) = shareAndMean()
    let base = stages.reduce(0) { $0 + $1.smallestLoss }
    // Below this the Fourier sum is noise.
    guard share > 1e-8 else { return ShareAndTail(share: 0, tailLoss: 0, shareError: shareError, tailError: 0) }
    let mass = min(tailFraction, share)
    guard share > tailFraction else {
      let mean = max(0, shareLoss / share)
      return ShareAndTail(
        share: share, tailLoss: base + mean, shareError: shareError,
        tailError: shareError / share * frequencies.lossPeriod)
    }
    let contraction = contractLatency()
    let upper = 0.97 * frequencies.lossPeriod
    guard
      let (point, value) = tailMean(
        mass: mass, in: 0...upper, tolerance: 1e-7 * frequencies.lossPeriod, { contraction.curve(at: $0) })
    else { return nil }
    return ShareAndTail(
      share: share, tailLoss: base + value, shareError: shareError,
      tailError: contraction.hingeError(at: point) / mass)
  }

  /// `p`, `E loss 1(feasible)` and the error of the former.
  private func shareAndMean() -> (share: Double, shareLoss: Double, error: Double) {
    var share = 0.0
    var shareLoss = 0.0
    var error = 0.0
    for (resolution, limit) in limits.enumerated() {
      let spectra = stages.map { $0.spectra[resolution] }
      switch limit {
      case .excludesAll: continue
      case .excludesNone:
        share += 1
        shareLoss += spectra.reduce(0) { $0 + $1.meanLoss }
      case .between(let kernel):
        var sum = 0.0
        var lossSum = 0.0
        var outer = 0.0
        let count = kernel.share.count
        for index in 0..<count {
          // The product, and its derivative by the product rule.
          var product = spectra[0].share[index]
          var derivative = spectra[0].shareLoss[index]
          for spectrum in spectra.dropFirst() {
            derivative = derivative * spectrum.share[index] + product * spectrum.shareLoss[index]
            product = product * spectrum.share[index]
          }
          let term = product * kernel.share[index]
          sum += term.re.sum()
          if index >= count / 2 { outer += term.squaredMagnitude }
          lossSum += (derivative * kernel.share[index]).re.sum()
        }
        share += sum
        shareLoss += lossSum
        error += outer
      }
    }
    let count = Double(limits.count)
    let bounded = exponential(-Frequencies.damping)
    return (min(1, max(0, share / count)), shareLoss / count, 4 * error.squareRoot() / count + bounded)
  }

  /// The sum over latency frequencies and resolutions, which leaves one complex number a loss frequency.
  private func contractLatency() -> LossTransform {
    var transform = LossTransform(frequencies: frequencies)
    let vectors = frequencies.latencyCount / 8
    let scale = 1 / Double(limits.count)
    for (resolution, limit) in limits.enumerated() {
      let spectra = stages.map { $0.spectra[resolution] }
      switch limit {
      case .excludesAll: continue
      case .excludesNone:
        for index in 0..<frequencies.lossCount {
          let product = spectra.dropFirst().reduce(spectra[0].unlimited[index]) { $0 * $1.unlimited[index] }
          transform.add(product * scale, at: index, edge: 0)
        }
      case .between(let kernel):
        for index in 0..<frequencies.lossCount {
          var inner = Complex8.zero
          var edge = 0.0
          for vector in 0..<vectors {
            let place = index * vectors + vector
            var product = kernel.joint[vector]
            for spectrum in spectra { product = product * spectrum.joint[place] }
            inner = inner + product
            // The outer half: the first and the last quarter, negative and positive.
            if vector < vectors / 4 || vector >= vectors - vectors / 4 { edge += product.squaredMagnitude }
          }
          transform.add(inner.sum * scale, at: index, edge: edge * scale * scale)
        }
      }
    }
    return transform
  }
}

/// `E exp(-a loss) 1(feasible)` at the positive loss frequencies.
private struct LossTransform {
  let frequencies: Frequencies
  var values: [Complex]
  /// The squared size of what stands for the latency frequencies that were left out.
  var edges: [Double]

  init(frequencies: Frequencies) {
    self.frequencies = frequencies
    values = [Complex](repeating: .zero, count: frequencies.lossCount)
    edges = [Double](repeating: 0, count: frequencies.lossCount)
  }

  mutating func add(_ value: Complex, at index: Int, edge: Double) {
    values[index] = values[index] + value
    edges[index] += edge
  }

  /// `E max(0, x - loss) 1(feasible)` and `P(loss <= x, feasible)`, losses counted from the smallest.
  func curve(at x: Double) -> (hinge: Double, mass: Double) {
    var wave = Complex.exponential(frequencies.lossDamping * x, frequencies.lossFrequency(0) * x)
    let turn = Complex.exponential(0, 2 * frequencies.lossFrequency(0) * x)
    var hinge = 0.0
    var mass = 0.0
    for index in values.indices {
      let inverse = Complex(frequencies.lossDamping, frequencies.lossFrequency(index)).reciprocal
      let term = values[index] * wave * inverse
      mass += term.re
      hinge += (term * inverse).re
      wave = wave * turn
    }
    let scale = 2 / frequencies.lossPeriod
    return (hinge * scale, mass * scale)
  }

  /// How far the hinge may be off by what was left out of both frequencies.
  func hingeError(at x: Double) -> Double {
    var sum = 0.0
    for index in values.indices {
      let inverse = Complex(frequencies.lossDamping, frequencies.lossFrequency(index)).reciprocal.squaredMagnitude
      let outer = index >= values.count / 2 ? values[index].squaredMagnitude : 0
      sum += (edges[index] + outer) * inverse * inverse
    }
    let growth = exponential(frequencies.lossDamping * x)
    let images = exponential(-Frequencies.damping) * frequencies.lossPeriod
    return 4 * 2 / frequencies.lossPeriod * growth * sum.squareRoot() + images
  }
}
