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
    for (resolution, limit) in limits.enumerated() where mixture[resolution] > 0 {
      let weight = mixture[resolution]
      switch limit {
      case .excludesAll: continue
      case .excludesNone:
        let (mass, loss) = chain(resolution, from: (1.0, 0.0)) { value, spectrum in
          (value.0 * spectrum.mass, value.1 * spectrum.mass + value.0 * spectrum.meanLoss)
        } sum: {
          ($0.0 + $1.0, $0.1 + $1.1)
        }
        share += mass * weight
        shareLoss += loss * weight
      case .between(let kernel):
        let only = onlySpectra(resolution)
        for index in kernel.share.indices {
          // The product, and its derivative by the product rule.
          var product = kernel.share[index]
          var derivative = Complex8.zero
          if let only {
            for spectrum in only {
              let value = spectrum.share[index]
              derivative = derivative * value + product * spectrum.shareLoss[index]
              product = product * value
            }
          } else {
            (product, derivative) = chain(resolution, from: (product, derivative)) { value, spectrum in
              let factor = spectrum.share[index]
              return (value.0 * factor, value.1 * factor + value.0 * spectrum.shareLoss[index])
            } sum: {
              ($0.0 + $1.0, $0.1 + $1.1)
            }
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
      min(1, max(0, share)), shareLoss, error(lastPart, 1), error(lastPartOfLoss, frequencies.lossPeriod)
    )
  }

  /// The sum over latency frequencies and resolutions, which leaves one complex number a loss frequency.
  private func contractLatency() -> LossTransform {
    var transform = LossTransform(frequencies: frequencies)
    let vectors = frequencies.latencyCount / 8
    for (resolution, limit) in limits.enumerated() where mixture[resolution] > 0 {
      let weight = mixture[resolution]
      switch limit {
      case .excludesAll: continue
      case .excludesNone:
        for index in 0..<frequencies.lossCount {
          let product = chain(resolution, from: Complex(1, 0)) {
            $0 * $1.unlimited[index]
          } sum: {
            $0 + $1
          }
          transform.add(product * weight, lastPart: .zero, at: index)
        }
      case .between(let kernel):
        let only = onlySpectra(resolution)
        for index in 0..<frequencies.lossCount {
          var all = Complex8.zero
          var lastPart = Complex8.zero
          for vector in 0..<vectors {
            let place = index * vectors + vector
            var product = kernel.joint[vector]
            if let only {
              for spectrum in only { product = product * spectrum.joint[place] }
            } else {
              product = chain(resolution, from: product) {
                $0 * $1.joint[place]
              } sum: {
                $0 + $1
              }
            }
            all = all + product
            lastPart = lastPart + product * kernel.lastPartOfJoint[vector]
          }
          transform.add(all.sum * weight, lastPart: lastPart.sum * weight, at: index)
        }
      }
    }
    return transform
  }

  /// One spectrum a stage where any row follows any; then what is wanted is a plain product.
  private func onlySpectra(_ resolution: Int) -> [Spectrum]? {
    guard stateCounts.allSatisfy({ $0 == 1 }) else { return nil }
    return stages.map { $0.transitions[resolution][0].spectrum }
  }

  /// The sum of the products over all ways through the states.
  @inline(__always)
  private func chain<Value>(
    _ resolution: Int, from start: Value, _ multiply: (Value, Spectrum) -> Value, sum: (Value, Value) -> Value
  ) -> Value {
    var values: [Value?] = [start]
    for (index, stage) in stages.enumerated() {
      var next = [Value?](repeating: nil, count: stateCounts[index + 1])
      for transition in stage.transitions[resolution] {
        guard let value = values[transition.from] else { continue }
        let product = multiply(value, transition.spectrum)
        next[transition.to] = next[transition.to].map { sum($0, product) } ?? product
      }
      values = next
    }
    // The mixture is positive, so there is a way through.
    return values[0]!
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
