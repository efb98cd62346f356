import NetworkGraphs
import SearchSpaces
import Testing

@Suite struct LoweringTests {
  @Test(arguments: [
    (
      "d1#1#2#2#2#2#2#1_k3#3#3#3#3#3#3#3#3#3#3#3#3_w16#16#32#32#64#64#112#112#144#144#240#240#320_"
        + "e0#0.5#4.0#4.0#1.0#1.0#4.0#4.0#4.0#4.0#4.0#4.0#4.0_r160", 163.48, 7.795
    ),
    (
      "d1#1#2#2#3#2#3#1_k3#3#3#3#3#3#3#5#3#3#3#3#3#3#5_w16#16#32#32#64#80#128#112#112#144#176#304#304#256#368_"
        + "e0#0.5#4.0#4.0#2.0#1.0#4.0#6.0#4.0#4.0#4.0#4.0#6.0#4.0#4.0_r192", 358.17, 11.965
    ),
    (
      "d1#1#2#2#3#4#4#1_k3#3#3#3#3#3#5#5#5#3#3#5#3#3#5#3#3#3_w16#32#32#48#80#80#144#128#112#144#176#144#144#272#288"
        + "#272#240#320_e0#0.5#4.0#8.0#4.0#2.0#6.0#6.0#6.0#6.0#8.0#4.0#4.0#8.0#6.0#4.0#6.0#6.0_r224", 981.54, 15.930
    ),
  ])
  func `published subnets cost what the paper's authors list`(encoding: String, macs: Double, parameters: Double) throws
  {
    let hyperspace = try #require(Hyperspace.builtIn("onnxw"))
    let space = try hyperspace.space("onnxw-151122-023231")
    let subnet = try hyperspace.subnet(encoding, in: space)
    #expect(subnet.encoding == encoding)
    let cost = try NetworkGraph(subnet, of: space, in: hyperspace).cost
    #expect(abs(Double(cost.macs) / 1e6 - macs) < 0.005)
    #expect(abs(Double(cost.parameters) / 1e6 - parameters) < 0.0005)
  }

  @Test(arguments: Hyperspace.builtInNames)
  func `the layout of a space holds every parameter of its subnets`(name: String) throws {
    let hyperspace = try #require(Hyperspace.builtIn(name))
    for seed in 0..<4 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      let space = hyperspace.randomSpace(using: &generator)
      let layout = ParameterLayout(space, in: hyperspace)
      for _ in 0..<20 {
        let graph = try NetworkGraph(
          hyperspace.randomSubnet(of: space, using: &generator), of: space, in: hyperspace)
        for node in graph.nodes {
          #expect(node.inputs.allSatisfy { $0 < graph.nodes.count })
          for parameter in node.parameters {
            let entry = try #require(layout.entries[parameter.name], "\(parameter.name)")
            #expect(zip(parameter.shape, entry.shape).allSatisfy { $0 <= $1 })
          }
        }
      }
    }
  }

  /// One convolution, worked out by hand: weights, output pixels, bias, and channels of batch norm.
  struct Layer {
    var weights: Int
    var pixels: Int
    var bias = 0
    var norm = 0
  }

  /// A block from 40 channels of 14x14 to 48 channels, stride 2 or 1 as said, by block type of a hyperspace.
  @Test(arguments: [
    // dual depthwise: k 5
    (
      "onnxw", 0, 5, nil as Double?, 2,
      [
        Layer(weights: 40 * 25, pixels: 49, norm: 40), Layer(weights: 40 * 48, pixels: 49, norm: 48),
        Layer(weights: 48 * 25, pixels: 49, norm: 48), Layer(weights: 48 * 48, pixels: 49, norm: 48),
        Layer(weights: 40 * 48, pixels: 49, norm: 48),
      ]
    ),
    // MBConv with SE: hidden 160, squeezed to 40
    (
      "onnxw", 2, 3, 4, 2,
      [
        Layer(weights: 40 * 160, pixels: 196, norm: 160), Layer(weights: 160 * 9, pixels: 49, norm: 160),
        Layer(weights: 160 * 40, pixels: 1, bias: 40), Layer(weights: 40 * 160, pixels: 1, bias: 160),
        Layer(weights: 160 * 48, pixels: 49, norm: 48), Layer(weights: 40 * 48, pixels: 49, norm: 48),
      ]
    ),
    // residual bottleneck with SE: hidden 48 x 0.5 = 24, squeezed to div8(40 / 4 = 10) = 16
    (
      "onnxw", 4, 7, 0.5, 1,
      [
        Layer(weights: 40 * 24, pixels: 196, norm: 24), Layer(weights: 24 * 24 * 49, pixels: 196, norm: 24),
        Layer(weights: 24 * 16, pixels: 1, bias: 16), Layer(weights: 16 * 24, pixels: 1, bias: 24),
        Layer(weights: 24 * 48, pixels: 196, norm: 48), Layer(weights: 40 * 48, pixels: 196, norm: 48),
      ]
    ),
    // fused MBConv: hidden 80
    (
      "onnxw", 5, 3, 2, 2,
      [
        Layer(weights: 40 * 80 * 9, pixels: 49, norm: 80), Layer(weights: 80 * 48, pixels: 49, norm: 48),
        Layer(weights: 40 * 48, pixels: 49, norm: 48),
      ]
    ),
    // fused MBConv with SE: squeezed to 16
    (
      "mobilew", 4, 3, 1, 1,
      [
        Layer(weights: 40 * 40 * 9, pixels: 196, norm: 40), Layer(weights: 40 * 16, pixels: 1, bias: 16),
        Layer(weights: 16 * 40, pixels: 1, bias: 40), Layer(weights: 40 * 48, pixels: 196, norm: 48),
        Layer(weights: 40 * 48, pixels: 196, norm: 48),
      ]
    ),
    // MBConv with SE and three 3x3 in place of 7x7: hidden 120, squeezed to div8(30) = 32; one batch norm in the stack
    (
      "mobilew", 5, 7, 3, 2,
      [
        Layer(weights: 40 * 120, pixels: 196, norm: 120), Layer(weights: 120 * 9, pixels: 49),
        Layer(weights: 120 * 9, pixels: 49), Layer(weights: 120 * 9, pixels: 49, norm: 120),
        Layer(weights: 120 * 32, pixels: 1, bias: 32), Layer(weights: 32 * 120, pixels: 1, bias: 120),
        Layer(weights: 120 * 48, pixels: 49, norm: 48), Layer(weights: 40 * 48, pixels: 49, norm: 48),
      ]
    ),
    // the same without SE, two 3x3 in place of 5x5
    (
      "mobilew", 6, 5, 6, 1,
      [
        Layer(weights: 40 * 240, pixels: 196, norm: 240), Layer(weights: 240 * 9, pixels: 196),
        Layer(weights: 240 * 9, pixels: 196, norm: 240), Layer(weights: 240 * 48, pixels: 196, norm: 48),
        Layer(weights: 40 * 48, pixels: 196, norm: 48),
      ]
    ),
  ])
  func `a block costs what its layers cost by hand`(
    name: String, type: Int, kernel: Int, expansion: Double?, stride: Int, layers: [Layer]
  ) throws {
    let block = try #require(Hyperspace.builtIn(name)).blockTypes[type]
    let graph = NetworkGraph(
      stage: "stage", block, input: TensorShape(channels: 40, height: 14, width: 14),
      blocks: [BlockChoice(kernel: kernel, width: 48, expansion: expansion)], stride: stride)
    #expect(graph.cost.macs == layers.reduce(0) { $0 + $1.weights * $1.pixels })
    #expect(graph.cost.parameters == layers.reduce(0) { $0 + $1.weights + $1.bias + 2 * $1.norm + 3 })
    #expect(graph.nodes.last?.shape == TensorShape(channels: 48, height: 14 / stride, width: 14 / stride))
  }

  @Test func `a block that keeps its shape has its input as shortcut`() throws {
    let block = try #require(Hyperspace.builtIn("onnxw")).blockTypes[1]
    let graph = NetworkGraph(
      stage: "stage", block, input: TensorShape(channels: 48, height: 7, width: 7),
      blocks: [BlockChoice(kernel: 3, width: 48, expansion: 4)], stride: 1)
    // Expansion to 192, depthwise, projection: no fourth convolution.
    #expect(graph.cost.macs == 49 * (48 * 192 + 192 * 9 + 192 * 48))
    #expect(graph.nodes.last?.operation == .add && graph.nodes.last?.inputs.contains(0) == true)
  }

  @Test(arguments: [(4.0, 8), (8.8, 8), (11.9, 16), (12, 16), (20, 24), (36, 40), (30, 32), (100, 104), (9, 16)])
  func `hidden widths are multiples of 8, and no less than nine tenths`(value: Double, width: Int) {
    #expect(roundedToMultipleOf8(value) == width)
  }
}
