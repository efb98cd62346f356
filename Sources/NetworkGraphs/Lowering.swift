public import SearchSpaces

extension NetworkGraph {
  /// Lowers a subnet of a search space: stem, stages, head, for images of the subnet's resolution.
  ///
  /// The input node is the normalised image, `imageChannels x r x r`, quantised as uint8 pixels are.
  ///
  /// - Throws: `EncodingError` where the subnet is none of the space.
  public init(_ subnet: Subnet, of space: SearchSpace, in hyperspace: Hyperspace) throws(EncodingError) {
    try hyperspace.validate(subnet, in: space)
    self.init(
      subnet, choices: hyperspace.choices(of: space).map(\.blockType), strides: hyperspace.stages.map(\.stride),
      hyperspace: hyperspace)
  }

  /// Lowers a network from block types and choices that need not be in any search space, such as a teacher's.
  ///
  /// - Precondition: one block type and stride a stage of the subnet.
  public init(_ subnet: Subnet, choices types: [BlockType], strides: [Int], hyperspace: Hyperspace) {
    precondition(types.count == subnet.stages.count && strides.count == types.count, "one block type a stage")
    var builder = GraphBuilder(hyperspace.arithmetic)
    builder.beginStage(hyperspace.stem.name)
    var x = builder.input(
      TensorShape(channels: hyperspace.imageChannels, height: subnet.resolution, width: subnet.resolution))
    x = builder.convolution(
      hyperspace.stem.name, x, width: subnet.stemWidth, kernel: subnet.stemKernel, stride: hyperspace.stem.stride,
      activation: hyperspace.stem.activation)
    for (index, blocks) in subnet.stages.enumerated() {
      let name = hyperspace.stages[index].name
      builder.beginStage(name)
      x = builder.stage(name, types[index], x, blocks, stride: strides[index])
    }
    builder.beginStage("head")
    for layer in hyperspace.head {
      switch layer {
      case .convolution(let name, let width, let activation):
        x = builder.convolution(name, x, width: width, activation: activation)
      case .globalAveragePool(let name):
        x = builder.globalAveragePool(name, x)
      case .linear(let name):
        x = builder.convolution(name, x, width: hyperspace.classes, hasBias: true, hasBatchNorm: false)
      }
    }
    self = builder.graph()
  }

  /// Lowers the blocks of one stage alone, as stage tables and the latency of a stage need it.
  ///
  /// - Parameters:
  ///   - name: The stage's name, which prefixes the parameters'.
  ///   - input: The stage's input, quantised.
  public init(stage name: String, _ type: BlockType, input: TensorShape, blocks: [BlockChoice], stride: Int) {
    var builder = GraphBuilder(type.arithmetic)
    builder.beginStage(name)
    let x = builder.input(input)
    _ = builder.stage(name, type, x, blocks, stride: stride)
    self = builder.graph()
  }

  /// Lowers the student of block-wise distillation: a float 1x1 projection from the teacher's map to the stage's input
  /// width, the stage's blocks, a float 1x1 projection to the teacher's next map.
  ///
  /// - Parameters:
  ///   - teacherInput: The teacher's map where the stage begins.
  ///   - inputWidth: The width that the stage before hands over in this sub-stage.
  ///   - teacherOutputChannels: Channels of the teacher's map where the stage ends.
  public init(
    distilling name: String, _ type: BlockType, teacherInput: TensorShape, inputWidth: Int, blocks: [BlockChoice],
    stride: Int, teacherOutputChannels: Int
  ) {
    var builder = GraphBuilder(type.arithmetic)
    builder.beginStage(name)
    var x = builder.input(teacherInput, quantizesOutput: false)
    x = builder.convolution("\(name).projection_in", x, width: inputWidth, quantizesWeights: false)
    x = builder.stage(name, type, x, blocks, stride: stride)
    _ = builder.convolution(
      "\(name).projection_out", x, width: teacherOutputChannels, hasBias: true, hasBatchNorm: false,
      quantizesWeights: false, quantizesOutput: false)
    self = builder.graph()
  }
}

extension GraphBuilder {
  /// The blocks of a stage in order; the first carries the stride.
  mutating func stage(_ name: String, _ type: BlockType, _ input: Value, _ blocks: [BlockChoice], stride: Int) -> Value
  {
    scoped(name) { builder in
      var x = input
      for (index, choice) in blocks.enumerated() {
        x = builder.scoped("\(index)") { $0.block(type, x, choice, stride: index == 0 ? stride : 1) }
      }
      return x
    }
  }
}

extension NetworkGraph {
  /// A network, or a part of one, that is written operation by operation.
  ///
  /// - Parameters:
  ///   - input: Of the graph, quantised.
  ///   - arithmetic: The device's.
  ///   - body: Appends the operations; the last one appended is the output.
  public init(
    input: TensorShape, arithmetic: IntegerArithmetic = .onnxRuntime,
    _ body: (inout GraphBuilder, GraphBuilder.Value) -> Void
  ) {
    var builder = GraphBuilder(arithmetic)
    let x = builder.input(input)
    body(&builder, x)
    self = builder.graph()
  }

  /// The same part several times in a row, as one graph.
  ///
  /// - Precondition: the part keeps the shape of its input.
  public init(
    chain count: Int, input: TensorShape, _ part: (inout GraphBuilder, GraphBuilder.Value) -> GraphBuilder.Value
  ) {
    self.init(input: input) { builder, x in
      var x = x
      for index in 0..<count { x = builder.scoped("\(index)") { part(&$0, x) } }
    }
  }
}
