import NetworkGraphs
import Quantization
import SearchSpaces
import Testing

@Suite struct BatchNormFoldingTests {
  @Test(arguments: 0..<40 as Range<UInt64>)
  func `folded integers compute what batch norm would`(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    func floats(_ count: Int, _ draw: (inout SeededGenerator) -> Double) -> [Float] {
      (0..<count).map { _ in Float(draw(&generator)) }
    }
    let (channels, filter) = (6, 9)
    let integers = (0..<channels * filter).map { _ in Int8(generator.next(below: 255) - 127) }
    let scales = floats(channels) { 0.001 + 0.01 * $0.uniform() }
    let bias = seed % 2 == 0 ? floats(channels) { $0.normal() } : nil
    var gamma = floats(channels) { $0.normal() }
    gamma[0] = -0.7
    gamma[1] = 0
    let norm = BatchNormParameters(
      gamma: gamma, beta: floats(channels) { $0.normal() }, mean: floats(channels) { $0.normal() },
      variance: floats(channels) { 0.1 + $0.uniform() })
    let inputScale: Float = 0.02
    let folded = IntegerConvolution(
      folding: integers, scales: scales, bias: bias, batchNorm: norm, inputScale: inputScale)
    #expect(folded.weightScales.allSatisfy { $0 > 0 })
    #expect(folded.weights.allSatisfy { $0 >= -127 })
    let input = (0..<filter).map { _ in Int32(generator.next(below: 256)) - 128 }
    for channel in 0..<channels {
      let range = channel * filter..<(channel + 1) * filter
      func sum(_ weights: [Int8]) -> Double {
        zip(weights[range], input).reduce(0) { $0 + Double($1.0) * Double($1.1) }
      }
      let real = sum(integers) * Double(scales[channel] * inputScale) + Double(bias?[channel] ?? 0)
      let sigma = Double(norm.variance[channel] + BatchNormParameters.epsilon).squareRoot()
      let expected =
        (real - Double(norm.mean[channel])) / sigma * Double(gamma[channel]) + Double(norm.beta[channel])
      let step = Double(folded.weightScales[channel] * inputScale)
      let computed = (sum(folded.weights) + Double(folded.biases[channel])) * step
      // The bias is rounded to a step.
      #expect(abs(computed - expected) <= 0.51 * step + 1e-5 * (1 + abs(expected)), "channel \(channel)")
      let sign: Int8 = gamma[channel] < 0 ? -1 : gamma[channel] == 0 ? 0 : 1
      #expect(zip(folded.weights[range], integers[range]).allSatisfy { $0 == sign * $1 })
    }
  }

  @Test func `a bias of more steps than int32 holds widens the scale`() {
    let norm = BatchNormParameters(gamma: [1e-12], beta: [1_000], mean: [0], variance: [1])
    let folded = IntegerConvolution(folding: [127], scales: [1e-3], bias: nil, batchNorm: norm, inputScale: 1e-3)
    let bias = Double(folded.biases[0]) * Double(folded.weightScales[0]) * 1e-3
    #expect(abs(bias - 1_000) < 0.01)
    #expect(folded.weights == [0])
  }

  @Test func `a number that is not finite is no integer, and is not hidden`() {
    for broken in [(Float.nan, Float(0), Float(1)), (1, .infinity, 1), (1, 0, .nan)] {
      let folded = FoldedChannel(
        weightScale: 0.01, bias: 0, batchNorm: (gamma: broken.0, beta: broken.1, mean: 0, variance: broken.2),
        inputScale: 0.1)
      #expect(folded.weightScale.isNaN)
    }
  }
}

@Suite struct IntegerInterpreterTests {
  /// A block of every family, with and without squeeze and excitation, once with a stride.
  private static let types: [BlockType] = [
    BlockType(name: "dual", family: .dualDepthwise, kernels: [3, 5], expansions: [], activation: .relu),
    BlockType(name: "mb", family: .mbconv, kernels: [3, 5], expansions: [2], activation: .relu6),
    BlockType(
      name: "mbse", family: .mbconv, kernels: [3, 5], expansions: [2], activation: .hardSwish,
      hasSqueezeExcitation: true),
    BlockType(name: "fused", family: .fusedMBConv, kernels: [3, 5], expansions: [2], activation: .swish),
    BlockType(
      name: "rese", family: .residualBottleneck, kernels: [3, 5], expansions: [0.5], activation: .relu,
      hasSqueezeExcitation: true),
  ]

  @Test(arguments: 0..<10)
  func `every node is the real operation on its dequantised inputs, rounded`(index: Int) throws {
    let type = IntegerInterpreterTests.types[index / 2]
    let blocks =
      [BlockChoice(kernel: 3, width: 16, expansion: type.expansions.first)]
      + [BlockChoice(kernel: 5, width: 16, expansion: type.expansions.first)]
    let graph = NetworkGraph(
      stage: "stage", type, input: TensorShape(channels: 8, height: 7, width: 7), blocks: blocks, stride: 1 + index % 2)
    let network = IntegerNetwork(randomWeights: UInt64(index), for: graph)
    let float = FloatNetwork(dequantizing: network)
    var generator = SeededGenerator(seed: 5)
    let pixels = (0..<8 * 7 * 7).map { _ in UInt8(generator.next(below: 256)) }
    let values = network.evaluate(pixels)
    #expect(values.count == graph.nodes.count && values[0] == pixels)
    for (place, node) in graph.nodes.enumerated() where node.operation != .input {
      let inputs = node.inputs.map { input in values[input].map { network.quantizers[input].dequantize($0) } }
      let real = reference(node, inputs, shapes: node.inputs.map { graph.nodes[$0].shape }, float.convolutions[place])
      #expect(real.count == node.shape.count && values[place].count == real.count)
      for (value, integer) in zip(real, values[place]) {
        // Half a step of rounding, and what float32 adds to it.
        let step = network.quantizers[place].scale
        let clamped = max(
          network.quantizers[place].dequantize(0), min(network.quantizers[place].dequantize(255), value))
        #expect(abs(network.quantizers[place].dequantize(integer) - clamped) <= 0.51 * step, "\(node.name)")
      }
    }
    #expect(Set(values.last!).count > 8, "the last map should not be saturated")
  }

  @Test(arguments: 0..<5)
  func `what a block adds to its shortcut without rounding is added to it as a real number`(index: Int) throws {
    var type = IntegerInterpreterTests.types[index]
    type.arithmetic = .openVINO
    let block = BlockChoice(kernel: 3, width: 16, expansion: type.expansions.first)
    let graph = NetworkGraph(
      stage: "stage", type, input: TensorShape(channels: 16, height: 7, width: 7), blocks: [block, block], stride: 1)
    let network = IntegerNetwork(randomWeights: UInt64(index), for: graph)
    let float = FloatNetwork(dequantizing: network)
    var generator = SeededGenerator(seed: 6)
    let values = network.evaluate((0..<16 * 7 * 7).map { _ in UInt8(generator.next(below: 256)) })
    func dequantized(_ node: Int) -> [Float] { values[node].map { network.quantizers[node].dequantize($0) } }
    var additions = 0
    for (place, node) in graph.nodes.enumerated() where node.operation == .add {
      additions += 1
      let addend = node.inputs[0]
      #expect(!graph.nodes[addend].quantizesOutput && values[addend].isEmpty)
      let before = graph.nodes[addend].inputs[0]
      var real = reference(
        graph.nodes[addend], [dequantized(before)], shapes: [graph.nodes[before].shape], float.convolutions[addend])
      if graph.nodes[addend].range == .relu { real = real.map { max(0, $0) } }
      let sum = zip(real, dequantized(node.inputs[1])).map { $0 + $1 }
      let quantizer = network.quantizers[place]
      for (value, integer) in zip(sum, values[place]) {
        let clamped = max(quantizer.dequantize(0), min(quantizer.dequantize(255), value))
        #expect(abs(quantizer.dequantize(integer) - clamped) <= 0.51 * quantizer.scale)
      }
    }
    #expect(additions == 2)
  }

  private func reference(
    _ node: Node, _ inputs: [[Float]], shapes: [TensorShape], _ weights: FloatNetwork.FoldedConvolution?
  ) -> [Float] {
    switch node.operation {
    case .input: return []
    case .activation(let activation): return inputs[0].map { activation($0) }
    case .add: return zip(inputs[0], inputs[1]).map { $0 + $1 }
    case .multiply:
      let area = shapes[0].height * shapes[0].width
      return inputs[0].enumerated().map { $1 * inputs[1][$0 / area] }
    case .globalAveragePool:
      let area = shapes[0].height * shapes[0].width
      return (0..<shapes[0].channels).map { channel in
        inputs[0][channel * area..<(channel + 1) * area].reduce(0, +) / Float(area)
      }
    case .convolution(let convolution):
      return convolve(inputs[0], shapes[0], convolution, weights!, output: node.shape)
    }
  }

  private func convolve(
    _ input: [Float], _ shape: TensorShape, _ convolution: Convolution, _ weights: FloatNetwork.FoldedConvolution,
    output: TensorShape
  ) -> [Float] {
    let kernel = convolution.kernel
    let depth = convolution.inputChannels / convolution.groups
    var result: [Float] = []
    for out in 0..<output.channels {
      for y in 0..<output.height {
        for x in 0..<output.width {
          var sum = Double(weights.biases[out])
          for place in 0..<depth * kernel * kernel {
            let channel = convolution.isDepthwise ? out : place / (kernel * kernel)
            let row = y * convolution.stride + place / kernel % kernel - kernel / 2
            let column = x * convolution.stride + place % kernel - kernel / 2
            guard (0..<shape.height).contains(row), (0..<shape.width).contains(column) else { continue }
            sum +=
              Double(input[(channel * shape.height + row) * shape.width + column])
              * Double(weights.weights[out * depth * kernel * kernel + place])
          }
          result.append(Float(sum))
        }
      }
    }
    return result
  }
}
