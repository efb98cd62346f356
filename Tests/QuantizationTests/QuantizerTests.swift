import Quantization
import SearchSpaces
import Testing

@Suite struct AffineQuantizerTests {
  @Test(arguments: 0..<50 as Range<UInt64>)
  func `integers survive, and reals within the range move by half a step at most`(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let quantizer = AffineQuantizer(
      scale: Float(0.001 + generator.uniform()), zeroPoint: UInt8(generator.next(below: 256)))
    for integer in UInt8.min...UInt8.max { #expect(quantizer.quantize(quantizer.dequantize(integer)) == integer) }
    #expect(quantizer.dequantize(quantizer.zeroPoint) == 0 && quantizer.quantize(0) == quantizer.zeroPoint)
    let (low, high) = (quantizer.dequantize(0), quantizer.dequantize(255))
    for _ in 0..<200 {
      let real = low + (high - low) * Float(generator.uniform())
      #expect(abs(quantizer.dequantize(quantizer.quantize(real)) - real) <= 0.5001 * quantizer.scale)
    }
    #expect(quantizer.quantize(low - 10 * quantizer.scale) == 0)
    #expect(quantizer.quantize(high + 10 * quantizer.scale) == 255)
  }

  @Test func `ties go to the even step, as in the runtimes`() {
    let quantizer = AffineQuantizer(scale: 0.5, zeroPoint: 10)
    // 0.25 is half a step, 0.75 one and a half.
    #expect([0.25, 0.75, 1.25, -0.25, -0.75].map { quantizer.quantize($0) } == [10, 12, 12, 10, 8])
  }
}

@Suite struct LearnedStepSizeReferenceTests {
  /// The quantiser with the roundings frozen at a point: a smooth function, whose derivatives are the straight-through ones.
  private struct Surrogate {
    var residue: Double
    var bound: Double?

    init(_ x: Double, scale: Double, zeroPoint: Double, range: ClosedRange<Double>) {
      let rounded = (x / scale).rounded(.toNearestOrEven)
      residue = rounded - x / scale
      let integer = rounded + zeroPoint
      bound = integer < range.lowerBound ? range.lowerBound : integer > range.upperBound ? range.upperBound : nil
    }

    func callAsFunction(_ x: Double, scale: Double, offset: Double) -> Double {
      bound.map { scale * $0 + offset } ?? scale * (x / scale + residue)
    }
  }

  @Test(arguments: 0..<30 as Range<UInt64>)
  func `activation gradients are those of finite differences`(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let scale = 0.01 + 0.05 * generator.uniform()
    let offset = -scale * Double(80 + generator.next(below: 100)) - 0.3 * scale
    // From far below the range to far above it.
    let x = (0..<60).map { _ in 600 * scale * (generator.uniform() - 0.5) }
    let upstream = x.map { _ in generator.normal() }
    let zeroPoint = LearnedStepSize.zeroPoint(scale: scale, offset: offset)
    let functions = x.map { Surrogate($0, scale: scale, zeroPoint: zeroPoint, range: 0...255) }
    #expect(Set(functions.map(\.bound)).count == 3, "the values should lie below, in and above the range")
    func loss(_ scale: Double, _ offset: Double) -> Double {
      zip(zip(functions, x), upstream).reduce(0) { $0 + $1.0.0($1.0.1, scale: scale, offset: offset) * $1.1 }
    }
    for (value, function) in zip(x, functions) {
      // The surrogate is the quantiser, up to the rounding of the zero point.
      let quantised = LearnedStepSize.activation(value, scale: scale, offset: offset)
      #expect(abs(quantised - function(value, scale: scale, offset: offset)) <= 0.5001 * scale)
    }
    let gradients = LearnedStepSize.activationGradients(
      x, scale: scale, offset: offset, upstream: upstream, gradientScale: 0.25)
    let step = 1e-6
    let byScale = (loss(scale + step, offset) - loss(scale - step, offset)) / (2 * step)
    let byOffset = (loss(scale, offset + step) - loss(scale, offset - step)) / (2 * step)
    #expect(abs(gradients.scale - 0.25 * byScale) <= 1e-5 * (1 + abs(byScale)))
    #expect(abs(gradients.offset - 0.25 * byOffset) <= 1e-5 * (1 + abs(byOffset)))
    for (index, function) in functions.enumerated() {
      let difference =
        function(x[index] + step, scale: scale, offset: offset)
        - function(x[index] - step, scale: scale, offset: offset)
      #expect(abs(gradients.values[index] - upstream[index] * difference / (2 * step)) < 1e-6)
    }
  }

  @Test(arguments: 0..<30 as Range<UInt64>)
  func `weight gradients are those of finite differences, and weights are symmetric`(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let scale = 0.001 + 0.02 * generator.uniform()
    let w = (0..<40).map { _ in 100 * scale * generator.normal() }
    let upstream = w.map { _ in generator.normal() }
    let functions = w.map { Surrogate($0, scale: scale, zeroPoint: 0, range: -127...127) }
    for value in w {
      let quantised = LearnedStepSize.weight(value, scale: scale)
      #expect(quantised == -LearnedStepSize.weight(-value, scale: scale))
      #expect(abs(quantised) <= 127 * scale * (1 + 1e-12))
    }
    func loss(_ scale: Double) -> Double {
      zip(zip(functions, w), upstream).reduce(0) { $0 + $1.0.0($1.0.1, scale: scale, offset: 0) * $1.1 }
    }
    let step = 1e-7
    let byScale = (loss(scale + step) - loss(scale - step)) / (2 * step)
    let gradients = LearnedStepSize.weightGradients(w, scale: scale, upstream: upstream, gradientScale: 1)
    #expect(abs(gradients.scale - byScale) <= 1e-5 * (1 + abs(byScale)))
    for (index, function) in functions.enumerated() {
      #expect(gradients.values[index] == (function.bound == nil ? upstream[index] : 0))
    }
  }

  @Test func `the zero point is an integer from 0 to 255`() {
    #expect(LearnedStepSize.zeroPoint(scale: 0.1, offset: -1.26) == 13)
    #expect(LearnedStepSize.zeroPoint(scale: 0.1, offset: 5) == 0)
    #expect(LearnedStepSize.zeroPoint(scale: 0.1, offset: -500) == 255)
    #expect(LearnedStepSize.activation(0, scale: 0.1, offset: -1.26) == 0)
  }
}
