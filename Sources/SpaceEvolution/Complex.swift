/// A complex number, as far as the spectra need it.
struct Complex: Hashable, Sendable {
  var re: Double
  var im: Double

  init(_ re: Double, _ im: Double) {
    self.re = re
    self.im = im
  }

  static let zero = Complex(0, 0)
  var squaredMagnitude: Double { re * re + im * im }

  @inline(__always)
  static func + (a: Complex, b: Complex) -> Complex { Complex(a.re + b.re, a.im + b.im) }
  @inline(__always)
  static func * (a: Complex, b: Complex) -> Complex { Complex(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re) }
  @inline(__always)
  static func * (a: Complex, b: Double) -> Complex { Complex(a.re * b, a.im * b) }
  /// One divided by the number.
  var reciprocal: Complex { Complex(re / squaredMagnitude, -im / squaredMagnitude) }
  /// `exp(x + iy)`.
  static func exponential(_ x: Double, _ y: Double) -> Complex {
    let radius = SpaceEvolution.exponential(x)
    return Complex(radius * cosine(y), radius * sine(y))
  }
}

/// Eight complex numbers side by side.
struct Complex8: Sendable {
  var re: SIMD8<Double>
  var im: SIMD8<Double>

  static let zero = Complex8(re: .zero, im: .zero)

  @inline(__always)
  init(re: SIMD8<Double>, im: SIMD8<Double>) {
    self.re = re
    self.im = im
  }

  /// Eight numbers from an array, beginning at a position.
  init(_ numbers: [Complex], at start: Int) {
    self = .zero
    for lane in 0..<8 {
      re[lane] = numbers[start + lane].re
      im[lane] = numbers[start + lane].im
    }
  }

  @inline(__always)
  static func * (a: Complex8, b: Complex8) -> Complex8 {
    Complex8(re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re)
  }
  @inline(__always)
  static func + (a: Complex8, b: Complex8) -> Complex8 { Complex8(re: a.re + b.re, im: a.im + b.im) }
  @inline(__always)
  static func * (a: Complex8, b: Complex) -> Complex8 {
    Complex8(re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re)
  }
  @inline(__always)
  static func * (a: Complex8, b: SIMD8<Double>) -> Complex8 { Complex8(re: a.re * b, im: a.im * b) }
  @inline(__always)
  static func * (a: Complex8, b: Double) -> Complex8 { Complex8(re: a.re * b, im: a.im * b) }
  /// The lanes in opposite order.
  var reversed: Complex8 {
    var result = Complex8.zero
    for lane in 0..<8 {
      result.re[lane] = re[7 - lane]
      result.im[lane] = im[7 - lane]
    }
    return result
  }
  @inline(__always)
  var sum: Complex { Complex(re.sum(), im.sum()) }
}
