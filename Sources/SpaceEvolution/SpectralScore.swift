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
/// **Error of truncation.** Every figure is also computed with a filter that ends at eight tenths of the frequencies, and
/// the estimate is how far that is off, which is much more than what all frequencies are off.
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
    var lastPart = 0.0
    for (resolution, limit) in limits.enumerated() {
      switch limit {
      case .excludesAll: continue
      case .excludesNone:
        share += 1
        shareLoss += stages.reduce(0) { $0 + $1.spectra[resolution].meanLoss }
      case .between(let kernel):
        let count = kernel.share.count
        for index in 0..<count {
          // The product, and its derivative by the product rule.
          var product = kernel.share[index]
          var derivative = Complex8.zero
          for stage in stages {
            let value = stage.spectra[resolution].share[index]
            derivative = derivative * value + product * stage.spectra[resolution].shareLoss[index]
            product = product * value
          }
          share += product.re.sum()
          lastPart += (product.re * kernel.lastPartOfShare[index]).sum()
          shareLoss += derivative.re.sum()
        }
      }
    }
    let count = Double(limits.count)
    let images = exponential(-Frequencies.damping)
    return (min(1, max(0, share / count)), shareLoss / count, abs(lastPart) / count + images)
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
          transform.add(product * scale, lastPart: .zero, at: index)
        }
      case .between(let kernel):
        for index in 0..<frequencies.lossCount {
          var all = Complex8.zero
          var lastPart = Complex8.zero
          for vector in 0..<vectors {
            let place = index * vectors + vector
            var product = kernel.joint[vector]
            for spectrum in spectra { product = product * spectrum.joint[place] }
            all = all + product
            lastPart.re += product.re * kernel.lastPartOfJoint[vector]
            lastPart.im += product.im * kernel.lastPartOfJoint[vector]
          }
          transform.add(all.sum * scale, lastPart: lastPart.sum * scale, at: index)
        }
      }
    }
    return transform
  }
}

/// `E exp(-a loss) 1(feasible)` at the positive loss frequencies.
private struct LossTransform {
  let frequencies: Frequencies
  let kernel: LossKernel
  var values: [Complex]
  /// What the last part of the latency frequencies contributes.
  var lastParts: [Complex]

  init(frequencies: Frequencies) {
    self.frequencies = frequencies
    kernel = LossKernel(frequencies)
    values = [Complex](repeating: .zero, count: frequencies.lossCount)
    lastParts = values
  }

  mutating func add(_ value: Complex, lastPart: Complex, at index: Int) {
    values[index] = values[index] + value
    lastParts[index] = lastParts[index] + lastPart
  }

  /// `E max(0, x - loss) 1(feasible)` and `P(loss <= x, feasible)`, losses counted from the smallest.
  func curve(at x: Double) -> (hinge: Double, mass: Double) {
    var wave = Complex.exponential(frequencies.lossDamping * x, frequencies.lossFrequency(0) * x)
    let turn = Complex.exponential(0, 2 * frequencies.lossFrequency(0) * x)
    var hinge = 0.0
    var mass = 0.0
    for index in values.indices {
      let value = values[index] * wave
      mass += value.re * kernel.mass[index].re - value.im * kernel.mass[index].im
      hinge += value.re * kernel.hinge[index].re - value.im * kernel.hinge[index].im
      wave = wave * turn
    }
    return (hinge, mass)
  }

  /// How far the hinge may be off: what the last parts of both kinds of frequencies contribute, and the images.
  func hingeError(at x: Double) -> Double {
    var ofLoss = 0.0
    var ofLatency = 0.0
    for index in values.indices {
      let wave = Complex.exponential(frequencies.lossDamping * x, frequencies.lossFrequency(index) * x)
      ofLoss += (values[index] * wave * kernel.hinge[index]).re * kernel.lastPart[index]
      ofLatency += (lastParts[index] * wave * kernel.hinge[index]).re
    }
    let images = exponential(-Frequencies.damping) * frequencies.lossPeriod
    return abs(ofLoss) + abs(ofLatency) + images
  }
}
