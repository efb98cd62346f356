import NetworkGraphs

extension IntegerNetwork {
  /// Runs the network on one image in plain Swift, exactly as documented on `IntegerNetwork`: the reference that the
  /// trainer, the exporter and the runtimes are compared with. It is slow.
  ///
  /// - Parameter pixels: channels x height x width.
  /// - Returns: The uint8 output of every node, channels x height x width; empty where the output is not quantised.
  /// - Precondition: as many pixels as the input shape has.
  public func evaluate(_ pixels: [UInt8]) -> [[UInt8]] { evaluate(maps: [pixels]) }

  /// The same for a graph with several inputs: one map an input node, in order.
  ///
  /// - Precondition: as many elements in each as the input node's shape has.
  public func evaluate(maps: [[UInt8]]) -> [[UInt8]] {
    var inputs = maps[...]
    var values: [[UInt8]] = []
    var reals: [Int: [Float]] = [:]
    for (index, node) in graph.nodes.enumerated() {
      if !node.quantizesOutput {
        reals[index] = realNumbers(of: index, input: values[node.inputs[0]])
        values.append([])
        continue
      }
      switch node.operation {
      case .input:
        precondition(inputs.first?.count == node.shape.count, "one element of a map for each of the input's")
        values.append(inputs.removeFirst())
      case .convolution(let convolution):
        values.append(evaluate(convolution, at: index, input: values[node.inputs[0]]))
      case .activation:
        let table = elementTable(of: index)
        values.append(values[node.inputs[0]].map { table[Int($0)] })
      case .add where reals[node.inputs[0]] != nil:
        let sum = realAddition(at: index)
        values.append(zip(reals[node.inputs[0]]!, values[node.inputs[1]]).map { sum($0, $1) })
      case .add:
        let sum = addition(at: index)
        values.append(zip(values[node.inputs[0]], values[node.inputs[1]]).map { sum($0, $1) })
      case .multiply:
        let product = multiplication(at: index)
        let gate = values[node.inputs[1]]
        let area = node.shape.height * node.shape.width
        values.append(
          values[node.inputs[0]].enumerated().map { position, value in product(value, gate[position / area]) })
      case .globalAveragePool:
        let map = values[node.inputs[0]]
        let area = map.count / node.shape.channels
        values.append(
          (0..<node.shape.channels).map { channel in
            let sum = map[channel * area..<(channel + 1) * area].reduce(0) { $0 + Int($1) }
            return pooled(sum: sum, area: area, at: index)
          })
      }
    }
    return values
  }

  /// The logits of one image, dequantised.
  public func logits(_ pixels: [UInt8]) -> [Float] {
    evaluate(pixels).last!.map { quantizers.last!.dequantize($0) }
  }

  /// The output of a convolution or an activation that is not quantised.
  private func realNumbers(of index: Int, input: [UInt8]) -> [Float] {
    let node = graph.nodes[index]
    switch node.operation {
    case .convolution(let convolution):
      let requantization = requantization(at: index)
      let area = node.shape.height * node.shape.width
      return sums(convolution, at: index, input: input).enumerated().map { place, sum in
        node.range.clamped(
          Float(sum) * requantization.multipliers[place / area] + requantization.realBiases[place / area])
      }
    case .activation(let activation):
      return input.map { activation(quantizers[node.inputs[0]].dequantize($0), graph.arithmetic) }
    default: preconditionFailure("\(node.name) has no output in real numbers")
    }
  }

  private func evaluate(_ convolution: Convolution, at index: Int, input: [UInt8]) -> [UInt8] {
    let node = graph.nodes[index]
    let requantization = requantization(at: index)
    let biases = convolutions[index]!.biases
    let zeroPoint = Float(quantizers[index].zeroPoint)
    let area = node.shape.height * node.shape.width
    return sums(convolution, at: index, input: input).enumerated().map { place, sum in
      let channel = place / area
      let multiplier = requantization.multipliers[channel]
      if let line = requantization.line {
        return line(Float(sum) * multiplier + requantization.realBiases[channel])
      }
      let integer = (Float(sum + biases[channel]) * multiplier).rounded(.toNearestOrEven) + zeroPoint
      return UInt8(max(0, min(255, integer)))
    }
  }

  /// A convolution's accumulators without the bias, channels x height x width.
  private func sums(_ convolution: Convolution, at index: Int, input: [UInt8]) -> [Int32] {
    let node = graph.nodes[index]
    let numbers = convolutions[index]!
    let inputShape = graph.nodes[node.inputs[0]].shape
    let inputQuantizer = quantizers[node.inputs[0]]
    let zeroPoint = Int32(inputQuantizer.zeroPoint)
    let kernel = convolution.kernel
    let channelsPerGroup = convolution.inputChannels / convolution.groups
    var result: [Int32] = []
    result.reserveCapacity(node.shape.count)
    for out in 0..<convolution.outputChannels {
      for y in 0..<node.shape.height {
        for x in 0..<node.shape.width {
          var sum: Int32 = 0
          for channel in 0..<channelsPerGroup {
            let inputChannel = convolution.isDepthwise ? out : channel
            for ky in 0..<kernel {
              let row = y * convolution.stride + ky - convolution.padding
              guard row >= 0, row < inputShape.height else { continue }
              for kx in 0..<kernel {
                let column = x * convolution.stride + kx - convolution.padding
                guard column >= 0, column < inputShape.width else { continue }
                let value = input[(inputChannel * inputShape.height + row) * inputShape.width + column]
                let weight = numbers.weights[((out * channelsPerGroup + channel) * kernel + ky) * kernel + kx]
                sum += (Int32(value) - zeroPoint) * Int32(weight)
              }
            }
          }
          result.append(sum)
        }
      }
    }
    return result
  }
}

extension OutputRange {
  /// The function that the range stands for.
  func clamped(_ x: Float) -> Float {
    switch self {
    case .unbounded: x
    case .relu: max(0, x)
    case .relu6: min(6, max(0, x))
    }
  }
}
