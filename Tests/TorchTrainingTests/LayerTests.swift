import SearchSpaces
import Testing
import TorchTraining

private func close(_ a: [Float], _ b: [Float], _ tolerance: Float = 1e-5) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= tolerance * (1 + abs($1)) }
}

@Suite struct LayerTests {
  @Test("A convolution with stride, padding and bias gives the sums done by hand")
  func convolution() throws {
    let x = try Tensor.floats([1, 2, 3, 4, 5, 6, 7, 8, 9], shape: [1, 1, 3, 3]).channelsLast()
    let w = try Tensor.floats([1, 0, 0, 0, 2, 0, 0, 0, 3], shape: [1, 1, 3, 3])
    let bias = try Tensor.floats([0.5], shape: [1])
    let y = try x.convolved(with: w, bias: bias, stride: 2, padding: 1)
    // Top left: 2 * 1 + 3 * 5; top right: 2 * 3; bottom left: 2 * 7; bottom right: 1 * 5 + 2 * 9.
    #expect(y.shape == [1, 1, 2, 2])
    #expect(try y.floats() == [17.5, 6.5, 14.5, 23.5])
    let depthwise = try Tensor.floats([1, 2, 3, 4], shape: [1, 2, 1, 2])
      .convolved(with: Tensor.floats([10, 100], shape: [2, 1, 1, 1]), groups: 2)
    #expect(try depthwise.floats() == [10, 20, 300, 400])
  }

  @Test("Batch norm returns the batch's own mean and biased variance, and with those gives the same output")
  func batchNorm() throws {
    let x = try Tensor.floats([1, 3, 5, 7, 0, 0, 2, 2], shape: [2, 2, 1, 2])
    let gamma = try Tensor.floats([2, 1], shape: [2]), beta = try Tensor.floats([0, 10], shape: [2])
    let result = try x.batchNormalized(gamma: gamma, beta: beta, epsilon: 0)
    // Channel 0 holds 1, 3, 0, 0 and channel 1 holds 5, 7, 2, 2.
    #expect(close(try result.mean.floats(), [1, 4]))
    #expect(close(try result.variance.floats(), [1.5, 4.5]))
    let first = Float(1.5).squareRoot(), second = Float(4.5).squareRoot()
    let expected: [Float] = [0, 4 / first, 1 / second + 10, 3 / second + 10]
    #expect(close(Array(try result.output.floats().prefix(4)), expected))
    let again = try x.batchNormalized(
      gamma: gamma, beta: beta, mean: result.mean, variance: result.variance, epsilon: 0)
    #expect(close(try again.floats(), try result.output.floats()))
  }

  @Test("Activations are their formulas")
  func activations() throws {
    let values: [Float] = [-4, -3, -1, 0, 1, 2.5, 3, 7]
    let x = try Tensor.floats(values, shape: [8])
    #expect(try x.relu().floats() == values.map { max(0, $0) })
    #expect(try x.clamped(0, 6).floats() == values.map { min(6, max(0, $0)) })
    #expect(close(try x.hardSwish().floats(), values.map { $0 * min(6, max(0, $0 + 3)) / 6 }))
    #expect(close(try x.hardSigmoid().floats(), values.map { min(6, max(0, $0 + 3)) / 6 }))
    #expect(close(try x.swish().floats(), try zip(values, x.sigmoid().floats()).map { $0 * $1 }))
  }

  @Test("A gate of one number a channel multiplies every pixel of it, and pooling averages them")
  func gates() throws {
    let x = try Tensor.floats([1, 2, 3, 4, 5, 6, 7, 8], shape: [1, 2, 2, 2])
    let gate = try Tensor.floats([10, 100], shape: [1, 2, 1, 1])
    #expect(try (x * gate).floats() == [10, 20, 30, 40, 500, 600, 700, 800])
    #expect(try x.globalAveragePooled().floats() == [2.5, 6.5])
    #expect(try x.globalAveragePooled().shape == [1, 2, 1, 1])
    #expect(try x.maxPooled(kernel: 2, stride: 2).floats() == [4, 8])
    #expect(try x.averagePooled(kernel: 2, stride: 1).floats() == [2.5, 6.5])
    #expect(try x.flattened().shape == [1, 8])
    #expect(try x.rows([0, 0]).shape == [2, 2, 2, 2])
  }

  @Test("A slice of a weight is the channel prefix and the kernel's centre, and its gradient is zero elsewhere")
  func slices() throws {
    let shape = [2, 3, 5, 5]
    let values = (0..<150).map(Float.init)
    for isChannelsLast in [false, true] {
      let plain = try Tensor.floats(values, shape: shape)
      let w = isChannelsLast ? try plain.channelsLast() : plain
      try w.setRequiresGradient(true)
      let slice = try w.weightSlice(outputChannels: 1, inputChannels: 2, kernel: 3)
      let inside = [6, 7, 8, 11, 12, 13, 16, 17, 18, 31, 32, 33, 36, 37, 38, 41, 42, 43]
      #expect(try slice.floats() == inside.map(Float.init))
      #expect(slice.isChannelsLast)
      let gradient = try #require(try (slice * slice).sum().gradients(of: [w])[0]).floats()
      #expect(gradient == values.map { inside.contains(Int($0)) ? 2 * $0 : 0 })
    }
    let v = try Tensor.floats([1, 2, 3], shape: [3])
    try v.setRequiresGradient(true)
    let prefix = try v.prefix(2)
    #expect(try prefix.floats() == [1, 2])
    #expect(try #require(try prefix.sum().gradients(of: [v])[0]).floats() == [1, 1, 0])
  }

  @Test("Dropout drops about the given share, the same elements for a seed and others for another")
  func dropout() throws {
    let x = try Tensor.filled(1, shape: [100, 100])
    let values = try x.dropout(0.3, seed: 5).floats()
    let dropped = values.count { $0 == 0 }
    #expect((2_700...3_300).contains(dropped))
    #expect(values.allSatisfy { $0 == 0 || abs($0 - 1 / 0.7) < 1e-6 })
    #expect(try x.dropout(0.3, seed: 5).floats() == values)
    #expect(try x.dropout(0.3, seed: 6).floats() != values)
    #expect(try x.dropout(0, seed: 1).floats() == [Float](repeating: 1, count: 10_000))
  }

  @Test("What libtorch refuses becomes an error that says why, and the process goes on")
  func errors() throws {
    let a = try Tensor.zeros(shape: [2, 3]), b = try Tensor.zeros(shape: [4, 5])
    let refusal = #expect(throws: TorchError.self) { try a + b }
    #expect(refusal?.message.contains("size") == true)
    #expect(throws: TorchError.self) { try a.item() }
    #expect(throws: TorchError.self) { try a.convolved(with: b) }
    #expect(throws: TorchError.self) { try a.crossEntropy(labels: Tensor.integers([0, 1, 2], shape: [3])) }
    #expect(throws: TorchError.self) { try a.rows([7]) }
    #expect(throws: TorchError.self) { try Tensor.floats([1, 2], shape: [3]) }
    #expect(throws: TorchError.self) { try a.fakeQuantizedWeight(scales: Tensor.zeros(shape: [3])) }
    #expect(throws: TorchError.self) {
      try Tensor.zeros(shape: [3, 3, 3, 3]).weightSlice(
        outputChannels: 4, inputChannels: 1, kernel: 3)
    }
    #expect(throws: TorchError.self) { try a.dropout(1, seed: 0) }
    #expect(throws: TorchError.self) { try a.gradients(of: [b]) }
    #expect(throws: TorchError.self) { try Tensor.zeros(shape: [1 << 40, 1 << 20]) }
    #expect(try (a + a).shape == [2, 3])
  }
}

@Suite struct LossTests {
  @Test("Cross entropy with smoothing, and the divergence from a teacher, are their sums")
  func crossEntropy() throws {
    let logits: [Float] = [1, 2, 0.5, -1, 0, 3]
    let student = try Tensor.floats(logits, shape: [2, 3])
    let q = try student.softmax().floats().map(Double.init)
    let labels = try Tensor.integers([1, 0], shape: [2])
    var expected = 0.0
    for (image, label) in [(0, 1), (1, 0)] {
      for k in 0..<3 {
        let target = (k == label ? 0.9 : 0) + 0.1 / 3
        expected -= target * log(q[3 * image + k]) / 2
      }
    }
    #expect(abs(try student.crossEntropy(labels: labels, smoothing: 0.1).item() - expected) < 1e-6)
    let p = [0.2, 0.5, 0.3, 0.1, 0.1, 0.8]
    let teacher = try Tensor.floats(p.map(Float.init), shape: [2, 3])
    let divergence = zip(p, q).reduce(0) { $0 + $1.0 * log($1.0 / $1.1) } / 2
    #expect(abs(try student.divergence(fromProbabilities: teacher).item() - divergence) < 1e-6)
    #expect(abs(try student.divergence(fromProbabilities: student.softmax()).item()) < 1e-6)
  }

  @Test("The alpha-divergence takes the larger branch of each image, clips its powers, and so does its gradient")
  func alphaDivergence() throws {
    // The first student spreads over what the teacher does not, the second misses what the teacher finds likely.
    let logits: [Float] = [0, 0, 0, 8, -2, -2]
    let p = [0.98, 0.01, 0.01, 0.3, 0.4, 0.3]
    let student = try Tensor.floats(logits, shape: [2, 3])
    try student.setRequiresGradient(true)
    let loss = try student.adaptiveAlphaDivergence(
      fromProbabilities: Tensor.floats(p.map(Float.init), shape: [2, 3]))
    let gradient = try #require(try loss.gradients(of: [student])[0]).floats()
    let q = try student.softmax().floats().map(Double.init)
    var value = 0.0
    var slopes: [Double] = []
    var branches: [Bool] = []
    for image in 0..<2 {
      let range = 3 * image..<3 * image + 3
      let (pi, qi) = (Array(p[range]), Array(q[range]))
      // alpha = -1: sum q (t^-1 - 1) / 2 with t^-1 = q / p clipped at 5; alpha = 1: Kullback-Leibler.
      let powers = zip(qi, pi).map { min(5, $0 / $1) }
      let minus = zip(qi, powers).reduce(0) { $0 + $1.0 * ($1.1 - 1) / 2 }
      let plus = zip(pi, qi).reduce(0) { $0 + $1.0 * log($1.0 / $1.1) }
      let weights = minus > plus ? zip(qi, powers).map { -$0 * $1 } : pi
      branches.append(minus > plus)
      value += max(minus, plus) / 2
      let total = weights.reduce(0, +)
      slopes += zip(qi, weights).map { ($0 * total - $1) / 2 }
    }
    #expect(branches == [true, false])
    #expect(
      abs(
        try student.adaptiveAlphaDivergence(
          fromProbabilities: Tensor.floats(p.map(Float.init), shape: [2, 3])
        ).item() - value) < 1e-5)
    #expect(zip(gradient, slopes).allSatisfy { abs(Double($0) - $1) < 1e-5 })
  }

  @Test("The noise-to-signal ratio divides each channel's error by its variance, and only the student learns")
  func noiseToSignal() throws {
    let s = try Tensor.floats([1, 2, 3, 4, 0, 0, 1, 1], shape: [1, 2, 2, 2])
    let t = try Tensor.floats([1, 1, 1, 2, 0, 2, 1, 3], shape: [1, 2, 2, 2])
    try s.setRequiresGradient(true)
    try t.setRequiresGradient(true)
    // Squared errors: channel 0: 0 1 4 4, mean 2.25; channel 1: 0 4 0 4, mean 2.
    let variance = try Tensor.floats([0.5, 4], shape: [2])
    let loss = try s.noiseToSignalRatio(teacher: t, variance: variance, epsilon: 0)
    #expect(abs(try loss.item() - (2.25 / 0.5 + 2 / 4) / 2) < 1e-6)
    let gradients = try loss.gradients(of: [s, t])
    // 2 (s - t) / (pixels * channels * images * variance)
    let expected: [Float] = [0, 0.5, 1, 1, 0, -0.125, 0, -0.125]
    #expect(close(try #require(gradients[0]).floats(), expected))
    #expect(gradients[1] == nil)
    // Variances of the teacher's own channels: 0.1875 and 1.25.
    let own = try s.noiseToSignalRatio(teacher: t, variance: nil, epsilon: 0).item()
    #expect(abs(own - (2.25 / 0.1875 + 2 / 1.25) / 2) < 1e-4)
  }
}

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif
