import SearchSpaces
import Testing
import TorchTraining

private func close(_ a: [Float], _ b: [Double]) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { abs(Double($0) - $1) <= 1e-5 * (1 + abs($1)) }
}

@Suite struct OptimizerTests {
  @Test("Three steps of gradient descent are the formula's, in both forms of momentum", arguments: [false, true])
  func descent(isNesterov: Bool) throws {
    var p = [1.0, -2, 0.5], v = [0.0, 0, 0]
    let parameter = try Tensor.floats(p.map(Float.init), shape: [3])
    let idle = try Tensor.floats([7], shape: [1])
    let optimizer = try SGD(
      [parameter, idle], settings: [ParameterSettings(learningRateFactor: 0.5, weightDecay: 0.1), ParameterSettings()],
      momentum: 0.8, nesterov: isNesterov)
    for step in 1...3 {
      let g = [0.3 * Double(step), -1, 4]
      let report = try optimizer.step(
        gradients: [try Tensor.floats(g.map(Float.init), shape: [3]), nil], learningRate: 0.2, maximumNorm: 2)
      let norm = g.reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(abs(report.gradientNorm - norm) < 1e-5)
      #expect(report.isApplied)
      for i in 0..<3 {
        let d = g[i] * 2 / norm + 0.1 * p[i]
        v[i] = 0.8 * v[i] + d
        p[i] -= 0.1 * (isNesterov ? d + 0.8 * v[i] : v[i])
      }
      #expect(close(try parameter.floats(), p))
      #expect(close(try optimizer.velocities[0].floats(), v))
    }
    #expect(try idle.floats() == [7])
  }

  @Test("Three steps of Adam are the formula's, and a parameter counts its own steps only")
  func adam() throws {
    var p = [1.0, -2], m = [0.0, 0], v = [0.0, 0]
    let parameter = try Tensor.floats(p.map(Float.init), shape: [2])
    let late = try Tensor.floats([1], shape: [1])
    let optimizer = try AdamW(
      [parameter, late], settings: [ParameterSettings(weightDecay: 0.05), ParameterSettings()], beta1: 0.8, beta2: 0.9)
    for step in 1...3 {
      let g = [0.5 * Double(step), -3]
      try optimizer.step(
        gradients: [
          try Tensor.floats(g.map(Float.init), shape: [2]), step == 3 ? try Tensor.floats([2], shape: [1]) : nil,
        ],
        learningRate: 0.1)
      for i in 0..<2 {
        m[i] = 0.8 * m[i] + 0.2 * g[i]
        v[i] = 0.9 * v[i] + 0.1 * g[i] * g[i]
        let correctedM = m[i] / (1 - (0..<step).reduce(1) { y, _ in y * 0.8 })
        let correctedV = v[i] / (1 - (0..<step).reduce(1) { y, _ in y * 0.9 })
        p[i] -= 0.1 * (0.05 * p[i] + correctedM / (correctedV.squareRoot() + 1e-8))
      }
      #expect(close(try parameter.floats(), p))
    }
    #expect(optimizer.stepCounts == [3, 1])
    // Its first step: corrected moments are the gradient and its square.
    #expect(close(try late.floats(), [1 - 0.1]))
  }

  @Test("A gradient that is not finite is reported, and nothing changes", arguments: [Float.nan, .infinity])
  func nonFinite(value: Float) throws {
    let a = try Tensor.floats([1], shape: [1]), b = try Tensor.floats([2], shape: [1])
    let gradients: [Tensor?] = [try Tensor.floats([1], shape: [1]), try Tensor.floats([value], shape: [1])]
    let settings = [ParameterSettings(), ParameterSettings()]
    #expect(try !SGD([a, b], settings: settings).step(gradients: gradients, learningRate: 1).isApplied)
    let adam = try AdamW([a, b], settings: settings)
    #expect(try !adam.step(gradients: gradients, learningRate: 1, maximumNorm: 1).isApplied)
    #expect(adam.stepCounts == [0, 0])
    #expect(try a.floats() == [1] && b.floats() == [2])
    #expect(throws: TorchError.self) { try adam.step(gradients: [nil], learningRate: 1) }
    #expect(throws: TorchError.self) {
      try adam.step(gradients: [try Tensor.zeros(shape: [3]), nil], learningRate: 1)
    }
  }

  @Test("A parameter in memory order N, H, W, C is moved by a gradient in another order")
  func layouts() throws {
    let values = (0..<24).map(Float.init)
    let parameter = try Tensor.floats(values, shape: [2, 3, 2, 2]).channelsLast()
    let gradient = try Tensor.floats(values, shape: [2, 3, 2, 2])
    let optimizer = try SGD([parameter], settings: [ParameterSettings()], momentum: 0, nesterov: false)
    try optimizer.step(gradients: [gradient], learningRate: 0.5)
    #expect(try parameter.floats() == values.map { $0 / 2 })
  }
}

@Suite struct GradientTests {
  @Test("Gradients taken on two threads at once, from graphs that share parameters, are those taken one after another")
  func concurrent() throws {
    var generator = SeededGenerator(seed: 4)
    func random(_ shape: [Int]) throws -> Tensor {
      try Tensor.floats((0..<shape.reduce(1, *)).map { _ in Float(generator.normal()) }, shape: shape)
    }
    let w = try random([8, 4, 3, 3]), head = try random([5, 8, 1, 1]), scales = try Tensor.filled(0.02, shape: [8])
    for leaf in [w, head, scales] { try leaf.setRequiresGradient(true) }
    let batches = try (0..<2).map { _ in try random([6, 4, 8, 8]).channelsLast() }
    func gradients(_ batch: Int) throws -> [[Float]] {
      let features = try batches[batch].convolved(with: w.fakeQuantizedWeight(scales: scales), padding: 1).relu()
      let loss = try features.globalAveragePooled().convolved(with: head).flattened()
        .crossEntropy(labels: Tensor.integers([0, 1, 2, 3, 4, 0], shape: [6]))
      return try loss.gradients(of: [w, head, scales]).map { try #require($0).floats() }
    }
    let alone = try (0..<2).map(gradients)
    let pool = WorkerPool(count: 2)
    for _ in 0..<20 {
      var together = [[[Float]]](repeating: [], count: 2)
      try together.withUnsafeMutableBufferPointer { slots in
        nonisolated(unsafe) let slots = slots
        try pool.run { slots[$0] = try gradients($0) }
      }
      // The number of threads an operation uses may change the order of its sums.
      for (a, b) in zip(alone.joined(), together.joined()) {
        #expect(zip(a, b).allSatisfy { abs($0 - $1) <= 1e-4 * (1 + abs($1)) })
      }
    }
    #expect(alone[0] != alone[1])
  }

  @Test("Inside withoutGradients nothing is recorded, and a parameter that a loss does not use has no gradient")
  func recording() throws {
    let a = try Tensor.filled(2, shape: [3]), b = try Tensor.filled(1, shape: [3])
    try a.setRequiresGradient(true)
    try b.setRequiresGradient(true)
    let silent = try withoutGradients { () throws(TorchError) in try a * a }
    #expect(!silent.requiresGradient)
    let loss = try (a * a).sum()
    let gradients = try loss.gradients(of: [b, a])
    #expect(gradients[0] == nil)
    #expect(try #require(gradients[1]).floats() == [4, 4, 4])
    #expect(throws: TorchError.self, "the graph is used up") { try loss.gradients(of: [a]) }
    #expect(try !(a * a).detached().requiresGradient)
  }
}

@Suite struct TrainingLoopTests {
  @Test("A step whose loss or gradient is no number is a collapse that says so, and a gradient's changes nothing")
  func collapse() throws {
    let parameter = try Tensor.floats([1], shape: [1])
    let optimizer = try SGD([parameter], settings: [ParameterSettings()])
    let loop = TrainingLoop(
      pool: nil, schedule: CosineSchedule(peak: 0.5, warmUpSteps: 0, totalSteps: 10), maximumNorm: nil)
    func step(_ gradient: Float, loss: Double) throws {
      _ = try loop.step(3, optimizer: optimizer) { _ in
        var sum = GradientSum(count: 1)
        try sum.add([Tensor.floats([gradient], shape: [1])])
        return .init(gradients: sum, loss: loss)
      }
    }
    let failure = #expect(throws: TrainingCollapse.self) { try step(.nan, loss: 1) }
    #expect(failure?.step == 3 && failure?.reason.contains("nan") == true)
    #expect(try parameter.floats() == [1])
    #expect(throws: TrainingCollapse.self) { try step(1, loss: .infinity) }
  }
}
