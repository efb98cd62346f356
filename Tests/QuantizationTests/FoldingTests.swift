import NetworkGraphs
import Quantization
import SearchSpaces
import Testing

/// A convolution of 3 channels with a batch norm, random in every number.
private struct Layer {
  static let shape = TensorShape(channels: 3, height: 5, width: 6)
  static let area = 30
  static let outputs = 8
  let convolution = Convolution(inputChannels: 3, outputChannels: Layer.outputs, kernel: 3)
  let weights: [Int8]
  let scales: [Float]
  var batchNorm: BatchNormParameters
  let input: AffineQuantizer
  let output: AffineQuantizer
  let map: [UInt8]

  init(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed), stream: "folding")
    weights = (0..<convolution.weightCount).map { _ in Int8(generator.next(below: 255) - 127) }
    scales = (0..<Self.outputs).map { _ in Float(0.001 + 0.01 * generator.uniform()) }
    func normals() -> [Float] { (0..<Self.outputs).map { _ in Float(generator.normal()) } }
    batchNorm = BatchNormParameters(
      gamma: normals(), beta: normals(), mean: normals(),
      variance: (0..<Self.outputs).map { _ in Float(0.05 + 4 * generator.uniform()) })
    input = AffineQuantizer(
      scale: Float(0.01 + 0.02 * generator.uniform()), zeroPoint: UInt8(1 + generator.next(below: 254)))
    output = AffineQuantizer(
      scale: Float(0.01 + 0.03 * generator.uniform()), zeroPoint: UInt8(generator.next(below: 256)))
    map = (0..<Self.shape.count).map { _ in UInt8(generator.next(below: 256)) }
  }

  var folded: IntegerConvolution {
    IntegerConvolution(folding: weights, scales: scales, bias: nil, batchNorm: batchNorm, inputScale: input.scale)
  }

  /// The network of this layer alone.
  func evaluate(_ map: [UInt8]) -> [UInt8] {
    func node(_ operation: NetworkGraphs.Operation, _ inputs: [Int], _ channels: Int) -> Node {
      Node(
        name: "node\(inputs.count)", operation: operation, inputs: inputs,
        shape: TensorShape(channels: channels, height: 5, width: 6), range: .unbounded, quantizesWeights: true,
        quantizesOutput: true, stage: 0)
    }
    let graph = NetworkGraph(
      nodes: [node(.input, [], 3), node(.convolution(convolution), [0], Self.outputs)], stageNames: ["graph"],
      stageOutputs: [1])
    return IntegerNetwork(graph: graph, quantizers: [input, output], convolutions: [1: folded]).evaluate(map)[1]
  }

  /// The same in double precision, batch norm written out and zeros around the map, in units of the output's steps.
  func exact() -> [Double] {
    var result: [Double] = []
    for out in 0..<Self.outputs {
      let sigma = (Double(batchNorm.variance[out]) + Double(BatchNormParameters.epsilon)).squareRoot()
      for position in 0..<Self.area {
        var sum = 0.0
        for tap in 0..<27 {
          let (row, column) = (position / 6 + tap % 9 / 3 - 1, position % 6 + tap % 3 - 1)
          guard (0..<5).contains(row), (0..<6).contains(column) else { continue }
          let real = Double(input.dequantize(map[(tap / 9 * 5 + row) * 6 + column]))
          sum += real * Double(weights[out * 27 + tap]) * Double(scales[out])
        }
        let normal = Double(batchNorm.gamma[out]) * (sum - Double(batchNorm.mean[out])) / sigma
        let steps = (normal + Double(batchNorm.beta[out])) / Double(output.scale) + Double(output.zeroPoint)
        result.append(max(0, min(255, steps)))
      }
    }
    return result
  }
}

@Suite("Batch norm folded into integers")
struct FoldingTests {
  @Test("The integers compute batch norm to half a step and the rounding of the bias", arguments: 1...20)
  func folding(seed: Int) {
    let layer = Layer(seed: seed)
    let folded = layer.folded
    for (index, (integer, exact)) in zip(layer.evaluate(layer.map), layer.exact()).enumerated() {
      // The bias is rounded to a step of the accumulators.
      let step = Double(layer.input.scale * folded.weightScales[index / Layer.area] / layer.output.scale)
      #expect(abs(Double(integer) - exact) <= 0.5 + 0.5 * step + 1e-3)
    }
  }

  @Test(
    "A negative gamma turns the integers' signs; scales stay positive, and other integers as they are",
    arguments: 1...10)
  func negativeGamma(seed: Int) {
    var layer = Layer(seed: seed)
    layer.batchNorm.gamma[2] = -layer.batchNorm.gamma[2].magnitude
    let folded = layer.folded
    #expect(folded.weightScales.allSatisfy { $0 > 0 })
    for channel in 0..<Layer.outputs {
      let range = channel * 27..<(channel + 1) * 27
      let sign: Int8 = layer.batchNorm.gamma[channel] < 0 ? -1 : 1
      #expect(Array(folded.weights[range]) == layer.weights[range].map { sign * $0 })
    }
  }

  @Test("Zeros around a map are its zero point: a map of that is one value, at the edges too", arguments: 1...5)
  func padding(seed: Int) {
    let layer = Layer(seed: seed)
    let output = layer.evaluate([UInt8](repeating: layer.input.zeroPoint, count: Layer.shape.count))
    for channel in 0..<Layer.outputs {
      #expect(Set(output[channel * Layer.area..<(channel + 1) * Layer.area]).count == 1)
    }
  }

  @Test("A gamma of zero leaves the bias alone, and one that is tiny beside its bias does not overflow")
  func vanishing() {
    var layer = Layer(seed: 3)
    (layer.batchNorm.gamma[0], layer.batchNorm.beta[0]) = (0, 0.4)
    (layer.batchNorm.gamma[1], layer.batchNorm.beta[1]) = (1e-30, -0.3)
    #expect(layer.folded.weights[..<27].allSatisfy { $0 == 0 })
    let output = layer.evaluate(layer.map)
    for (channel, beta) in [(0, Float(0.4)), (1, -0.3)] {
      let expected = layer.output.quantize(beta)
      #expect(
        output[channel * Layer.area..<(channel + 1) * Layer.area].allSatisfy { abs(Int($0) - Int(expected)) <= 1 })
    }
  }
}

@Suite("Bytes through additions and multiplications")
struct ElementwiseTests {
  @Test("Tables are the real sums and products, rounded", arguments: 1...10)
  func pairs(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed), stream: "pairs")
    func node(_ operation: NetworkGraphs.Operation, _ inputs: [Int]) -> Node {
      Node(
        name: "node\(inputs.count)", operation: operation, inputs: inputs,
        shape: TensorShape(channels: 2, height: 1, width: 1), range: .unbounded, quantizesWeights: true,
        quantizesOutput: true, stage: 0)
    }
    for operation in [NetworkGraphs.Operation.add, .multiply] {
      let graph = NetworkGraph(
        nodes: [node(.input, []), node(.input, []), node(operation, [0, 1])], stageNames: ["graph"], stageOutputs: [2])
      let quantizers = (0..<3).map { _ in
        AffineQuantizer(
          scale: Float(0.005 + 0.02 * generator.uniform()), zeroPoint: UInt8(generator.next(below: 256)))
      }
      let table = IntegerNetwork(graph: graph, quantizers: quantizers, convolutions: [:]).pairTable(of: 2)
      var worst = 0.0
      for (index, byte) in table.enumerated() {
        let a = Double(quantizers[0].scale) * Double(index / 256 - Int(quantizers[0].zeroPoint))
        let b = Double(quantizers[1].scale) * Double(index % 256 - Int(quantizers[1].zeroPoint))
        let real = operation == .add ? a + b : a * b
        let exact = max(0, min(255, real / Double(quantizers[2].scale) + Double(quantizers[2].zeroPoint)))
        worst = max(worst, abs(Double(byte) - exact))
      }
      #expect(worst <= 0.5 + 1e-3)
    }
  }

  @Test("Quantising what was dequantised gives the byte back, and halves go to the even byte")
  func rounding() {
    let quantizer = AffineQuantizer(scale: 0.25, zeroPoint: 10)
    for byte in UInt8.min...UInt8.max { #expect(quantizer.quantize(quantizer.dequantize(byte)) == byte) }
    #expect(quantizer.quantize(0.125) == 10 && quantizer.quantize(0.375) == 12)
    #expect(quantizer.quantize(-1e9) == 0 && quantizer.quantize(1e9) == 255)
  }
}
