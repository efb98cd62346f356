import NetworkGraphs
import Quantization
import SearchSpaces
import Testing
import TorchTraining

/// A few operations, their parameters, and maps for them.
private struct Part {
  let graph: NetworkGraph
  let store: ParameterStore
  let names: [String]
  /// On a grid.
  let images: Tensor

  /// Shallow ones: deep ones that have learnt nothing carry one byte's difference everywhere.
  static let kinds = ["relu", "relu6", "add", "add-relu", "hard-swish", "swish", "gate", "classifier"]

  init(_ kind: String, _ arithmetic: IntegerArithmetic = .onnxRuntime) throws {
    let shape = TensorShape(channels: 16, height: 9, width: 9)
    graph = NetworkGraph(input: shape, arithmetic: arithmetic) { builder, input in
      switch kind {
      case "relu": _ = builder.convolution("conv", input, width: 24, kernel: 3, activation: .relu)
      case "relu6":
        let x = builder.convolution("expand", input, width: 24)
        _ = builder.convolution(
          "depthwise", x, width: 24, kernel: 3, stride: 2, isDepthwise: true, activation: .relu6)
      case "add", "add-relu":
        let a = builder.convolution("first", input, width: 24, activation: .relu)
        let b = builder.convolution("second", input, width: 24)
        let x = builder.add("add", a, b, activation: kind == "add" ? nil : .relu)
        if kind == "add" { _ = builder.convolution("third", x, width: 16) }
      case "hard-swish": _ = builder.convolution("conv", input, width: 24, activation: .hardSwish)
      case "swish": _ = builder.convolution("conv", input, width: 24, activation: .swish)
      case "gate":
        let x = builder.convolution("conv", input, width: 24)
        _ = builder.squeezeExcitation("se", x, hidden: 8)
      default:
        let x = builder.convolution("conv", input, width: 24, activation: .relu)
        let pooled = builder.globalAveragePool("pool", x)
        _ = builder.convolution("linear", pooled, width: 10, hasBias: true, hasBatchNorm: false)
      }
    }
    let layout = ParameterLayout([graph])
    store = try ParameterStore(layout, seed: 3)
    names = layout.names
    var generator = SeededGenerator(seed: 7, stream: kind)
    for name in names {
      let count = try store.tensor(name).count
      switch layout.entries[name]?.role {
      case .batchNormScale:
        try store.tensor(name).assign(
          Tensor.floats((0..<count).map { _ in Float(0.3 + generator.normal()) }, shape: [count]))
      case .batchNormShift, .bias:
        try store.tensor(name).assign(
          Tensor.floats((0..<count).map { _ in Float(0.3 * generator.normal()) }, shape: [count]))
      default: break
      }
    }
    let pixels = (0..<24 * shape.count).map { _ in Float(generator.next(below: 256) - 128) / 64 }
    images = try Tensor.floats(pixels, shape: [24, 16, 9, 9], step: 1 / 64).channelsLast()
    try store.calibrateQuantizers(graphs: [graph], batches: [images])
    // Ranges that are narrower than the maps, so that gradients outside them count too.
    for name in names where layout.entries[name]?.role == .outputScale {
      try store.tensor(name).assign(store.tensor(name) * 0.7)
    }
  }

  private func scale(of node: Node) throws -> Float {
    if case .input = node.operation { return try #require(images.step) }
    return try ActivationQuantizer(
      scale: store.tensor(node.parameterName(.outputScale)), beta: nil,
      maximumScale: node.range == .relu6 ? 6 / 255 : nil
    ).parameters().scale
  }

  /// What a convolution's real output gains when its folded bias becomes a whole number, `[1, C, 1, 1]`.
  private func roundingOfBias(_ node: Node, _ normalized: BatchNormalized?) throws -> Tensor {
    func numbers(_ role: ParameterRole) throws -> [Double] {
      try store.tensor(node.parameterName(role)).floats().map(Double.init)
    }
    let inputScale = try scale(of: graph.nodes[node.inputs[0]])
    let weightScales = try store.tensor(node.parameterName(.weightScale)).effectiveScales()
    var gains: [Float] = []
    for channel in weightScales.indices {
      var shift = try normalized == nil ? numbers(.bias)[channel] : 0
      var norm: (gamma: Float, beta: Float, mean: Float, variance: Float)?
      if let normalized {
        let (gamma, beta) = (try numbers(.batchNormScale)[channel], try numbers(.batchNormShift)[channel])
        let (mean, variance) = (try normalized.mean.floats()[channel], try normalized.variance.floats()[channel])
        norm = (Float(gamma), Float(beta), mean, variance)
        shift = beta - Double(mean) * gamma / (Double(variance) + Double(BatchNormParameters.epsilon)).squareRoot()
      }
      let folded = FoldedChannel(
        weightScale: weightScales[channel], bias: norm == nil ? Float(shift) : 0, batchNorm: norm,
        inputScale: inputScale)
      gains.append(Float(Double(folded.bias) * Double(inputScale) * Double(folded.weightScale) - shift))
    }
    return try Tensor.floats(gains, shape: [1, gains.count, 1, 1])
  }

  /// Fake quantisation in real numbers, operation by operation, whose gradients are compared with written-out formulas
  /// elsewhere.
  func inRealNumbers() throws -> Tensor {
    var values: [Tensor] = []
    for node in graph.nodes {
      let inputs = node.inputs.map { values[$0] }
      var raw: Tensor
      switch node.operation {
      case .input:
        values.append(images)
        continue
      case .convolution(let convolution):
        let weight = try store.tensor(node.parameterName(.weight))
          .fakeQuantizedWeight(scales: store.tensor(node.parameterName(.weightScale)))
        raw = try inputs[0].convolved(
          with: weight, bias: convolution.hasBias ? store.tensor(node.parameterName(.bias)) : nil,
          stride: convolution.stride, padding: convolution.padding, groups: convolution.groups)
        var normalized: BatchNormalized?
        if convolution.hasBatchNorm {
          normalized = try raw.batchNormalized(
            gamma: store.tensor(node.parameterName(.batchNormScale)),
            beta: store.tensor(node.parameterName(.batchNormShift)), epsilon: Double(BatchNormParameters.epsilon))
        }
        raw = try (normalized?.output ?? raw) + roundingOfBias(node, normalized)
      case .activation(.hardSwish): raw = try inputs[0].hardSwish()
      case .activation(.swish): raw = try inputs[0].swish()
      case .activation(.hardSigmoid): raw = try inputs[0].hardSigmoid()
      case .activation: raw = try inputs[0].relu()
      case .add: raw = try inputs[0] + inputs[1]
      case .multiply: raw = try inputs[0] * inputs[1]
      case .globalAveragePool: raw = try inputs[0].globalAveragePooled()
      }
      guard node.quantizesOutput else {
        values.append(node.range == .relu ? try raw.relu() : raw)
        continue
      }
      let beta = node.range == .unbounded ? try store.tensor(node.parameterName(.outputOffset)) : nil
      values.append(
        try raw.fakeQuantized(
          ActivationQuantizer(
            scale: store.tensor(node.parameterName(.outputScale)), beta: beta,
            maximumScale: node.range == .relu6 ? 6 / 255 : nil)))
    }
    return values.last!
  }
}

@Suite struct StepsTests {
  @Test(
    "Gradients of training in whole numbers are those of fake quantisation in real ones with biases rounded",
    arguments: Part.kinds, IntegerArithmetic.allCases)
  func gradients(kind: String, arithmetic: IntegerArithmetic) throws {
    let part = try Part(kind, arithmetic)
    var generator = SeededGenerator(seed: 5, stream: kind)
    let whole = try part.store.forward(part.images, through: part.graph, precision: .quantized)
    let real = try part.inRealNumbers()
    let upstream = try Tensor.floats((0..<whole.count).map { _ in Float(generator.normal()) }, shape: whole.shape)
    let leaves = try part.store.tensors(part.names)
    let (a, b) = (
      try (whole * upstream).sum().gradients(of: leaves), try (real * upstream).sum().gradients(of: leaves)
    )
    func norm(_ a: [Float]) -> Double { a.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() }
    let largest = try b.compactMap { try $0.map { norm(try $0.floats()) } }.max() ?? 0
    var compared = 0
    for (name, (first, second)) in zip(part.names, zip(a, b)) {
      let (x, y) = (try #require(first).floats(), try #require(second).floats())
      let distance = norm(zip(x, y).map { $0 - $1 })
      // Sums of real numbers are inexact, so that very few bytes may differ; and a ReLU in real numbers has a corner at the
      // sum of exactly 0, which one in some thousand accumulators is in whole numbers.
      let tolerance = arithmetic.roundsAddends ? 0.01 : 0.03
      #expect(distance <= tolerance * norm(y) + 1e-4 * largest, "\(name): \(distance) of \(norm(y))")
      if norm(y) > 1e-3 * largest { compared += 1 }
    }
    #expect(compared > part.names.count / 2, "most gradients vanish, so the test says little")
  }

  @Test("A value that is not a number stays none through a quantised network")
  func notANumber() throws {
    let part = try Part("gate")
    var pixels = try part.images.floats()
    pixels[0] = .nan
    let output = try part.store.forward(
      Tensor.floats(pixels, shape: part.images.shape, step: 1 / 64), through: part.graph, precision: .quantized)
    #expect(try output.floats().contains(where: \.isNaN))
  }

  @Test("The step of pixels stays with them where they are only moved")
  func steps() throws {
    let pixels = try Tensor.bytes([0, 1, 2, 3], shape: [2, 1, 1, 2])
    let images = try pixels.pixelsAsFloats(shift: 2, factor: 0.5)
    #expect(images.step == 0.5)
    #expect(try images.rows([1]).channelsLast().detached().copy().narrowed(0, to: 0..<1).contiguous().step == 0.5)
    #expect(try (images + images).step == nil)
    #expect(try pixels.pixelsAsFloats(shift: 0.5, factor: 0.5).step == nil)
  }
}
