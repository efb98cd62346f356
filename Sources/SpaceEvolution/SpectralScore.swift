/// The tables of one stage of a space, as the spectral score needs them.
struct StageSpectra: Sendable {
  struct Transition: Sendable {
    /// States before and after, as in `RowStore.Transition`.
    var from: Int
    var to: Int
    var spectrum: Spectrum
  }

  /// The smallest loss of the table, from which its losses are counted.
  let smallestLoss: Double
  /// One list a resolution.
  let transitions: [[Transition]]

  /// About how many bytes they take.
  var bytes: Int { transitions.joined().reduce(0) { $0 + $1.spectrum.bytes } }
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
  /// What a draw at each resolution weighs; see `RowStore.mixture`.
  let mixture: [Double]
  /// How many states there are before each stage and behind the last.
  let stateCounts: [Int]

  /// - Parameter tailFraction: `q`: the mean loss is that of the best mass `min(q, p)`.
  /// - Returns: `nil` where the tail reaches beyond the loss period, so that it cannot be told at these frequencies.
  func shareAndTail(tailFraction: Double) -> ShareAndTail? {
    let (share, shareLoss, shareError, shareLossError) = shareAndMean()
    let base = stages.reduce(0) { $0 + $1.smallestLoss }
    // Below this the Fourier sum is noise.
    guard share > 1e-8 else { return ShareAndTail(share: 0, tailLoss: 0, shareError: shareError, tailError: 0) }
    let mass = min(tailFraction, share)
    guard share > tailFraction else {
      let mean = max(0, shareLoss / share)
      return ShareAndTail(
        share: share, tailLoss: base + mean, shareError: shareError,
        tailError: (shareLossError + shareError * mean) / share)
    }
    let contraction = contractLatency()
    let upper = 0.97 * frequencies.lossPeriod
    guard
      let (point, value) = tailMean(
        mass: mass, in: 0...upper, tolerance: 1e-7 * frequencies.lossPeriod, { contraction.curve(at: $0) })
    else { return nil }
    return ShareAndTail(
      share: share, tailLoss: base + value, shareError: shareError,
      tailError: (contraction.hingeError(at: point) + shareError * (point - value)) / mass)
  }

  /// `p`, `E loss 1(feasible)` and the errors of both.
  ///
  /// The error is what the last part contributes, and its imaginary part, which tells of a step of the distribution right at
  /// the limit: there the real part is blind, being zero by symmetry.
  private func shareAndMean() -> (share: Double, shareLoss: Double, shareError: Double, shareLossError: Double) {
    var share = 0.0
    var shareLoss = 0.0
    var lastPart = Complex.zero
    var lastPartOfLoss = Complex.zero
    // Of all draws, whether they keep the limit or not: losses beyond the period are part of what images repeat.
    var loss = 0.0
    for (resolution, limit) in limits.enumerated() where mixture[resolution] > 0 {
      if case .excludesAll = limit { continue }
      let weight = mixture[resolution]
      let spectra = spectra(resolution)
      let whole = spectra.reduce((mass: 1.0, loss: 0.0)) {
        ($0.mass * $1.mass, $0.loss * $1.mass + $0.mass * $1.meanLoss)
      }
      loss += whole.loss * weight
      switch limit {
      case .excludesAll: break
      case .excludesNone:
        share += whole.mass * weight
        shareLoss += whole.loss * weight
      case .between(let kernel):
        for index in kernel.share.indices {
          // The product, and its derivative by the product rule.
          var product = kernel.share[index]
          var derivative = Complex8.zero
          for spectrum in spectra {
            let value = spectrum.share[index]
            derivative = derivative * value + product * spectrum.shareLoss[index]
            product = product * value
          }
          share += product.re.sum() * weight
          shareLoss += derivative.re.sum() * weight
          lastPart = lastPart + (product * kernel.lastPartOfShare[index]).sum * weight
          lastPartOfLoss = lastPartOfLoss + (derivative * kernel.lastPartOfShare[index]).sum * weight
        }
      }
    }
    func error(_ part: Complex, _ scale: Double) -> Double {
      abs(part.re) + 8 * abs(part.im) + Frequencies.images * scale
    }
    return (
      min(1, max(0, share)), shareLoss, error(lastPart, 1), error(lastPartOfLoss, max(loss, frequencies.lossPeriod))
    )
  }

  /// The sum over latency frequencies and resolutions, which leaves one complex number a loss frequency.
  private func contractLatency() -> LossTransform {
    var transform = LossTransform(frequencies: frequencies)
    let vectors = frequencies.latencyCount / 8
    for (resolution, limit) in limits.enumerated() where mixture[resolution] > 0 {
      if case .excludesAll = limit { continue }
      let weight = mixture[resolution]
      let spectra = spectra(resolution)
      switch limit {
      case .excludesAll: break
      case .excludesNone:
        for index in 0..<frequencies.lossCount {
          let product = spectra.dropFirst().reduce(spectra[0].unlimited[index]) { $0 * $1.unlimited[index] }
          transform.add(product * weight, lastPart: .zero, at: index)
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
            lastPart = lastPart + product * kernel.lastPartOfJoint[vector]
          }
          transform.add(all.sum * weight, lastPart: lastPart.sum * weight, at: index)
        }
      }
    }
    return transform
  }

  /// What the product over is to be taken at a resolution: one spectrum a stage where any row follows any; else one in all,
  /// which is the sum of the products over all ways through the states.
  private func spectra(_ resolution: Int) -> [Spectrum] {
    if stateCounts.allSatisfy({ $0 == 1 }) { return stages.map { $0.transitions[resolution][0].spectrum } }
    var ways: [Spectrum?] = []
    for (index, stage) in stages.enumerated() {
      var next = [Spectrum?](repeating: nil, count: stateCounts[index + 1])
      for transition in stage.transitions[resolution] {
        if index == 0 {
          next[transition.to] = transition.spectrum
        } else if let way = ways[transition.from] {
          next[transition.to, default: .zero(like: way)].add(way, times: transition.spectrum)
        }
      }
      ways = next
    }
    // The mixture is positive, so there is a way through.
    return [ways[0]!]
  }
}

extension [Spectrum?] {
  fileprivate subscript(index: Int, default initial: @autoclosure () -> Spectrum) -> Spectrum {
    get { self[index] ?? initial() }
    _modify {
      var value = self[index] ?? initial()
      self[index] = nil
      yield &value
      self[index] = value
    }
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
    var ofLoss = Complex.zero
    var ofLatency = Complex.zero
    for index in values.indices {
      let wave = Complex.exponential(frequencies.lossDamping * x, frequencies.lossFrequency(index) * x)
      ofLoss = ofLoss + values[index] * wave * kernel.hinge[index] * kernel.lastPart[index]
      ofLatency = ofLatency + lastParts[index] * wave * kernel.hinge[index]
    }
    return ofLoss.squaredMagnitude.squareRoot() + ofLatency.squaredMagnitude.squareRoot() + Frequencies.images
      * frequencies.lossPeriod
  }
}
