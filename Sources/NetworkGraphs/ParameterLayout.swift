public import SearchSpaces

/// What a parameter is for, which decides how it starts and how it is trained.
public enum ParameterRole: String, Hashable, Sendable {
  /// Convolution weights, `out x in/groups x k x k`.
  case weight
  case bias
  /// Gamma and beta of a batch norm, one a channel.
  case batchNormScale
  case batchNormShift
  /// LSQ+ step sizes of the weights, one an output channel.
  case weightScale
  /// LSQ+ step size of a node's output, one number.
  case outputScale
  /// LSQ+ offset of a node's output as a real number (beta), one number; absent where the range begins at 0.
  case outputOffset
}

/// The name, role and shape of every parameter that some subnets share, at the largest shape that any of them uses.
///
/// Smaller subnets use channel prefixes and the centres of kernels.
public struct ParameterLayout: Hashable, Sendable {
  public struct Entry: Hashable, Sendable {
    public var role: ParameterRole
    public var shape: [Int]
  }

  /// Names in the order in which they were first met.
  public private(set) var names: [String] = []
  public private(set) var entries: [String: Entry] = [:]

  public init() {}

  /// The parameters of one graph, or of several that share them.
  public init(_ graphs: some Sequence<NetworkGraph>) {
    for graph in graphs { formUnion(graph) }
  }

  /// Every parameter that a subnet of a search space can use.
  public init(_ space: SearchSpace, in hyperspace: Hyperspace) {
    self.init()
    // Stem and head at their largest, and the deepest subnet in between; then, block by block, all combinations: a
    // shortcut's convolution, for one, is in no extreme subnet.
    let largest = hyperspace.largestSubnet(of: space)
    let choices = hyperspace.choices(of: space)
    formUnion(
      NetworkGraph(
        largest, choices: choices.map(\.blockType), strides: hyperspace.stages.map(\.stride), hyperspace: hyperspace))
    var inputWidths = hyperspace.stem.widths
    for stage in choices {
      formUnion(stage, inputWidths: inputWidths)
      inputWidths = stage.widths
    }
  }

  /// Adds every parameter that a sub-stage can use.
  public mutating func formUnion(_ stage: StageChoices, inputWidths: [Int]) {
    for index in 0..<stage.depths.upperBound {
      for input in index == 0 ? inputWidths : stage.widths {
        for width in stage.widths {
          for kernel in stage.blockType.kernels {
            for expansion in stage.blockType.expansionChoices {
              var builder = GraphBuilder(stage.blockType.arithmetic)
              let x = builder.input(TensorShape(channels: input, height: 8, width: 8))
              let choice = BlockChoice(kernel: kernel, width: width, expansion: expansion)
              _ = builder.scoped(stage.name) { builder in
                builder.scoped("\(index)") {
                  $0.block(stage.blockType, x, choice, stride: index == 0 ? stage.stride : 1)
                }
              }
              formUnion(builder.graph())
            }
          }
        }
      }
    }
  }

  /// Adds the parameters of a graph.
  public mutating func formUnion(_ graph: NetworkGraph) {
    for node in graph.nodes {
      for parameter in node.parameters { add(parameter.name, parameter.role, parameter.shape) }
    }
  }

  /// Graphs, of those drawn, in which every parameter of this layout is used at least once; each uses one that those
  /// before it do not.
  ///
  /// - Returns: As many as were found in a bounded number of draws; a layout that the draws cannot cover is the
  ///   caller's to notice.
  public func covering(_ draw: () throws -> NetworkGraph) rethrows -> [NetworkGraph] {
    var missing = Set(names)
    var graphs: [NetworkGraph] = []
    for _ in 0..<2_000 where !missing.isEmpty {
      let graph = try draw()
      let used = Set(graph.nodes.flatMap { $0.parameters.map(\.name) })
      guard !missing.isDisjoint(with: used) else { continue }
      missing.subtract(used)
      graphs.append(graph)
    }
    return graphs
  }

  private mutating func add(_ name: String, _ role: ParameterRole, _ shape: [Int]) {
    if let entry = entries[name] {
      precondition(entry.role == role && entry.shape.count == shape.count, "\(name) is two different parameters")
      entries[name]!.shape = zip(entry.shape, shape).map(max)
    } else {
      names.append(name)
      entries[name] = Entry(role: role, shape: shape)
    }
  }
}

extension Node {
  /// The name of a parameter of this node.
  public func parameterName(_ role: ParameterRole) -> String {
    switch role {
    case .weight: "\(name).weight"
    case .bias: "\(name).bias"
    case .batchNormScale: "\(name).bn.weight"
    case .batchNormShift: "\(name).bn.bias"
    case .weightScale: "\(name).weight_scale"
    case .outputScale: "\(name).output_scale"
    case .outputOffset: "\(name).output_offset"
    }
  }

  /// The parameters of this node with the shapes that this node uses of them. The input node has none: its quantiser is
  /// the normalisation of the pixels.
  public var parameters: [(name: String, role: ParameterRole, shape: [Int])] {
    var roles: [(ParameterRole, [Int])] = []
    if let convolution {
      roles.append((.weight, convolution.weightShape))
      let perChannel = [convolution.outputChannels]
      if convolution.hasBias { roles.append((.bias, perChannel)) }
      if convolution.hasBatchNorm {
        roles.append((.batchNormScale, perChannel))
        roles.append((.batchNormShift, perChannel))
      }
      if quantizesWeights { roles.append((.weightScale, perChannel)) }
    }
    if quantizesOutput, operation != .input {
      roles.append((.outputScale, [1]))
      if range == .unbounded { roles.append((.outputOffset, [1])) }
    }
    return roles.map { (parameterName($0.0), $0.0, $0.1) }
  }
}
