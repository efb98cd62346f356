import Quantization
import SearchSpaces
import Testing
import TorchTraining

/// How a tensor `[5, 6, 4, 3]` lies in memory.
enum Layout: CaseIterable {
  case contiguous, channelsLast, narrowed, transposed

  static let shape = [5, 6, 4, 3]

  /// A leaf, and the tensor of `values` made of it in this layout.
  func tensors(_ values: [Float]) throws -> (leaf: Tensor, value: Tensor) {
    let shape = Layout.shape
    let plain = try Tensor.floats(values, shape: shape)
    let leaf: Tensor
    switch self {
    case .contiguous: leaf = plain
    case .channelsLast: leaf = try plain.channelsLast()
    case .narrowed:
      let strangers = try Tensor.filled(77, shape: [shape[0], 2, shape[2], shape[3]])
      leaf = try Tensor.concatenated([strangers, plain, strangers], along: 1)
    case .transposed: leaf = try plain.permuted([1, 0, 3, 2]).contiguous()
    }
    let own = try leaf.copy()
    try own.setRequiresGradient(true)
    switch self {
    case .contiguous, .channelsLast: return (own, own)
    case .narrowed: return (own, try own.narrowed(1, to: 2..<2 + shape[1]))
    case .transposed: return (own, try own.permuted([1, 0, 3, 2]))
    }
  }

  /// The leaf's gradient in row-major order of the value's shape.
  func gradient(_ gradient: Tensor) throws -> [Float] {
    switch self {
    case .contiguous, .channelsLast: try gradient.floats()
    case .narrowed: try gradient.narrowed(1, to: 2..<2 + Layout.shape[1]).floats()
    case .transposed: try gradient.permuted([1, 0, 3, 2]).floats()
    }
  }
}

/// Numbers on a quantiser's grid, each off its integer by less than 0.45 steps: single and double precision round them
/// to the same integer.
private func draw(
  _ count: Int, steps: ClosedRange<Int>, scale: (Int) -> Float, using generator: inout SeededGenerator
) -> [Float] {
  (0..<count).map { index in
    let step = Double(steps.lowerBound + generator.next(below: steps.count))
    return Float((step + 0.9 * (generator.uniform() - 0.5)) * Double(scale(index)))
  }
}

private func close(_ a: [Float], _ b: [Double], tolerance: Double = 1e-5) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { abs(Double($0) - $1) <= tolerance * (1 + abs($1)) }
}

@Suite struct LearnedStepSizeTests {
  @Test(
    "Weights and their gradients are those of the written-out formulas, in every memory layout",
    arguments: Layout.allCases, 1...5)
  func weights(layout: Layout, seed: Int) throws {
    var generator = SeededGenerator(seed: UInt64(seed), stream: "weights")
    let count = Layout.shape.reduce(1, *), channels = Layout.shape[0], perChannel = count / channels
    let scaleValues = (0..<channels).map { _ in Float(0.01 + 0.1 * generator.uniform()) }
    let values = draw(count, steps: -160...160, scale: { scaleValues[$0 / perChannel] }, using: &generator)
    let upstreamValues = (0..<count).map { _ in Float(generator.normal()) }
    let (leaf, w) = try layout.tensors(values)
    let scales = try Tensor.floats(scaleValues, shape: [channels])
    try scales.setRequiresGradient(true)

    let quantized = try w.fakeQuantizedWeight(scales: scales)
    let loss = try (quantized * Tensor.floats(upstreamValues, shape: Layout.shape)).sum()
    let gradients = try loss.gradients(of: [leaf, scales])

    var expected: [Double] = [], valueGradients: [Double] = [], scaleGradients: [Double] = []
    for channel in 0..<channels {
      let range = channel * perChannel..<(channel + 1) * perChannel
      let channelValues = values[range].map(Double.init), scale = Double(scaleValues[channel])
      let reference = LearnedStepSize.weightGradients(
        channelValues, scale: scale, upstream: upstreamValues[range].map(Double.init),
        gradientScale: 1 / (Double(perChannel) * 127).squareRoot())
      expected += channelValues.map { LearnedStepSize.weight($0, scale: scale) }
      valueGradients += reference.values
      scaleGradients.append(reference.scale)
    }
    #expect(close(try quantized.floats(), expected))
    #expect(close(try layout.gradient(#require(gradients[0])), valueGradients))
    #expect(close(try #require(gradients[1]).floats(), scaleGradients, tolerance: 1e-4))
    #expect(valueGradients.contains(0), "no weight was clipped, so the test says nothing about clipping")
  }

  @Test(
    "Activations and their gradients are those of the written-out formulas, in every memory layout",
    arguments: Layout.allCases, [-0.7, 0, 1.3, 20, -300] as [Float])
  func activations(layout: Layout, beta: Float) throws {
    for seed in 1...4 {
      var generator = SeededGenerator(seed: UInt64(seed), stream: "activations")
      let scale = Float(0.01 + 0.1 * generator.uniform())
      let offset = beta * scale * 100
      let zeroPoint = Int(LearnedStepSize.zeroPoint(scale: Double(scale), offset: Double(offset)))
      let count = Layout.shape.reduce(1, *)
      let values = draw(
        count, steps: -zeroPoint - 40...295 - zeroPoint, scale: { _ in scale }, using: &generator)
      let upstreamValues = (0..<count).map { _ in Float(generator.normal()) }
      let (leaf, x) = try layout.tensors(values)
      let scaleTensor = try Tensor.floats([scale], shape: [1])
      let betaTensor = try Tensor.floats([offset], shape: [1])
      try scaleTensor.setRequiresGradient(true)
      try betaTensor.setRequiresGradient(true)

      let quantized = try x.fakeQuantized(ActivationQuantizer(scale: scaleTensor, beta: betaTensor))
      let loss = try (quantized * Tensor.floats(upstreamValues, shape: Layout.shape)).sum()
      let gradients = try loss.gradients(of: [leaf, scaleTensor, betaTensor])

      let reference = LearnedStepSize.activationGradients(
        values.map(Double.init), scale: Double(scale), offset: Double(offset),
        upstream: upstreamValues.map(Double.init),
        gradientScale: 1 / (Double(count / Layout.shape[0]) * 255).squareRoot())
      let expected = values.map {
        LearnedStepSize.activation(Double($0), scale: Double(scale), offset: Double(offset))
      }
      #expect(close(try quantized.floats(), expected))
      #expect(close(try layout.gradient(#require(gradients[0])), reference.values))
      #expect(close(try #require(gradients[1]).floats(), [reference.scale], tolerance: 1e-4))
      // Beyond the range of zero points, a gradient that would go further is dropped.
      let exact = -offset / scale
      let isDropped = (exact < 0 && reference.offset < 0) || (exact > 255 && reference.offset > 0)
      #expect(
        close(try #require(gradients[2]).floats(), [isDropped ? 0 : reference.offset], tolerance: 1e-4))
    }
  }

  @Test("Without an offset the quantiser is a ReLU, and a largest scale makes it a ReLU6")
  func rectifies() throws {
    let values: [Float] = [-3, -0.4, 0, 0.3, 2, 5.9, 7, 100]
    let x = try Tensor.floats(values, shape: [8])
    try x.setRequiresGradient(true)
    let scale = try Tensor.floats([1], shape: [1])
    try scale.setRequiresGradient(true)
    let wide = try x.fakeQuantized(ActivationQuantizer(scale: scale, beta: nil)).floats()
    #expect(wide == [0, 0, 0, 0, 2, 6, 7, 100])
    let relu6 = try x.fakeQuantized(ActivationQuantizer(scale: scale, beta: nil, maximumScale: 6 / 255))
    #expect(zip(try relu6.floats(), values).allSatisfy { abs($0 - min(6, max(0, $1))) <= 3.01 / 255 })
    // Beyond its cap a scale only listens to gradients that bring it back.
    let growing = try #require(try (relu6.sum() * -1).gradients(of: [scale])[0]).floats()
    #expect(growing == [0])
    let shrinking = try #require(
      try x.fakeQuantized(ActivationQuantizer(scale: scale, beta: nil, maximumScale: 6 / 255)).sum()
        .gradients(of: [scale])[0]
    ).floats()
    #expect(shrinking[0] > 0)
  }

  @Test("A scale that training has driven below zero stands for its magnitude, and its gradient turns with it")
  func negativeScale() throws {
    let values: [Float] = [0.26, -0.74, 1.1, -9, 40]
    func run(_ scale: Float) throws -> ([Float], Float) {
      let scales = try Tensor.floats([scale], shape: [1])
      try scales.setRequiresGradient(true)
      let y = try Tensor.floats(values, shape: [1, 5]).fakeQuantizedWeight(scales: scales)
      return (try y.floats(), try #require(try y.sum().gradients(of: [scales])[0]).floats()[0])
    }
    let (positive, gradient) = try run(0.1)
    let (negative, turned) = try run(-0.1)
    #expect(positive == negative)
    #expect(gradient == -turned)
    #expect(gradient != 0)
  }

  @Test("A value that is not a number stays none behind a quantiser")
  func notANumber() throws {
    let x = try Tensor.floats([.nan, 1], shape: [2])
    let y = try x.fakeQuantized(ActivationQuantizer(scale: Tensor.floats([0.1], shape: [1]), beta: nil)).floats()
    #expect(y[0].isNaN)
    #expect(y[1] == 1)
  }

  @Test("The exported integers and parameters are those of the forward pass")
  func exported() throws {
    var generator = SeededGenerator(seed: 8)
    let values = (0..<60).map { _ in Float(generator.normal()) }
    let w = try Tensor.floats(values, shape: [3, 2, 2, 5]).permuted([0, 1, 3, 2])
    let scales = try Tensor.floats([0.01, -0.02, 0.005], shape: [3])
    let integers = try w.weightIntegers(scales: scales)
    let effective = try scales.effectiveScales()
    #expect(effective == [0.01, 0.02, 0.005])
    let quantized = try w.fakeQuantizedWeight(scales: scales).floats()
    #expect(zip(integers, quantized).enumerated().allSatisfy { Float($1.0) * effective[$0 / 20] == $1.1 })

    let quantizer = ActivationQuantizer(
      scale: try Tensor.floats([0.03], shape: [1]), beta: try Tensor.floats([-1.234], shape: [1]))
    let (scale, zeroPoint) = try quantizer.parameters()
    let affine = AffineQuantizer(scale: scale, zeroPoint: zeroPoint)
    let activations = try w.fakeQuantized(quantizer).floats()
    let exact = try w.floats().map { affine.dequantize(affine.quantize($0)) }
    #expect(activations == exact)
    #expect(zeroPoint == 41)
  }
}

@Suite struct QuantizerInitializationTests {
  private func meanSquaredError(_ a: [Float], _ b: [Float]) -> Double {
    zip(a, b).reduce(0) { $0 + pow(Double($1.0 - $1.1), 2) } / Double(a.count)
  }

  private func pow(_ x: Double, _ n: Int) -> Double { (0..<n).reduce(1) { y, _ in y * x } }

  @Test("A range found by error beats the range from minimum to maximum on a heavy-tailed tensor", arguments: 1...4)
  func activations(seed: Int) throws {
    var generator = SeededGenerator(seed: UInt64(seed))
    // A normal number cubed: long tails, as before a batch norm has settled.
    let values = (0..<40_000).map { _ in Float(pow(generator.normal(), 3)) }
    let x = try Tensor.floats(values, shape: [10, 10, 20, 20])
    for isPositive in [false, true] {
      let target = isPositive ? values.map { max(0, $0) } : values
      let range = try x.leastErrorRange(positiveOnly: isPositive)
      let found = AffineQuantizer(
        scale: range.scale, zeroPoint: UInt8((-range.beta / range.scale).rounded()))
      let low = target.min()!, high = target.max()!
      let widest = (high - low) / 255
      let naive = AffineQuantizer(scale: widest, zeroPoint: UInt8((-low / widest).rounded()))
      let error = meanSquaredError(target, values.map { found.dequantize(found.quantize($0)) })
      let naiveError = meanSquaredError(target, values.map { naive.dequantize(naive.quantize($0)) })
      #expect(error < naiveError)
      #expect(range.scale < widest)
      #expect(isPositive == (range.beta == 0))
    }
  }

  @Test("A ReLU6's scale does not exceed 6 / 255, and a tensor of zeros has a scale too")
  func bounds() throws {
    let x = try Tensor.floats((0..<1000).map { Float($0) / 10 }, shape: [1000])
    let range = try x.leastErrorRange(positiveOnly: true, maximumScale: 6 / 255)
    #expect(range.scale <= 6 / 255 && range.scale > 5.8 / 255)
    let zeros = try Tensor.zeros(shape: [4, 4]).leastErrorRange(positiveOnly: false)
    #expect(zeros.scale > 0 && zeros.scale.isFinite && zeros.beta == 0)
    #expect(throws: TorchError.self) {
      try Tensor.floats([1, .infinity], shape: [2]).leastErrorRange(positiveOnly: false)
    }
  }

  @Test("Scales of weights have no more error than the largest magnitude's, and channels of zeros have one")
  func weights() throws {
    var generator = SeededGenerator(seed: 3)
    let n = 5_000
    var values = (0..<4 * n).map { _ in Float(generator.normal()) }
    values.replaceSubrange(n..<2 * n, with: repeatElement(0, count: n))
    let w = try Tensor.floats(values, shape: [4, 200, 5, 5])
    let scales = try w.leastErrorWeightScales()
    let largest = try Tensor.floats(
      (0..<4).map { c in max(1e-3, values[c * n..<c * n + n].map(\.magnitude).max()! / 127) }, shape: [4])
    let found = try w.fakeQuantizedWeight(scales: scales).floats()
    let naive = try w.fakeQuantizedWeight(scales: largest).floats()
    #expect(meanSquaredError(values, found) < meanSquaredError(values, naive))
    let numbers = try scales.floats()
    #expect(numbers.allSatisfy { $0 > 0 && $0.isFinite })
    #expect(abs(numbers[1] - (numbers[0] + numbers[2] + numbers[3]) / 3) < 1e-6)
    #expect(try Tensor.zeros(shape: [2, 3, 1, 1]).leastErrorWeightScales().floats().allSatisfy { $0 > 0 })
  }
}
