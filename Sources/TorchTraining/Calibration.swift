public import NetworkGraphs

extension ParameterStore {
  /// Gives every quantiser that the graphs have its first scale and offset, by least mean squared error.
  ///
  /// Each graph is walked with each batch; a layer is measured while the layers before it are quantised with what this
  /// walk found for them. A quantiser's scale is the geometric mean over the walks that touch it, its zero point the
  /// mean. A channel of weights that no graph uses takes the scale of the whole filter.
  ///
  /// - Parameters:
  ///   - graphs: Subnets. Together they must touch every quantiser of the store.
  ///   - batches: Images `[N, C, H, W]`.
  /// - Throws: `TorchError` that names quantisers which no graph touches; then nothing is changed.
  public func calibrateQuantizers(
    graphs: [NetworkGraph], batches: [Tensor], normalization: Normalization = .ofBatch
  ) throws(TorchError) {
    guard !batches.isEmpty else { throw TorchError("quantisers cannot be calibrated without a batch of images") }
    let missed = quantizersMissed(by: graphs)
    guard missed.isEmpty else {
      throw TorchError(
        "\(missed.count) quantisers are in none of the \(graphs.count) subnets given for calibration, such as "
          + missed.prefix(3).joined(separator: ", "))
    }
    try withoutGradients { () throws(TorchError) in
      let found = Findings()
      for graph in graphs {
        for batch in batches {
          var pass = ForwardPass(store: self, precision: .quantized, normalization: normalization)
          pass.quantizesRealNumbers = true
          pass.weightScales = { node, weight throws(TorchError) in
            let scales = try weight.leastErrorWeightScales()
            found.add(weightScales: try scales.floats(), of: node.parameterName(.weightScale))
            return scales
          }
          pass.outputQuantizer = { node, values throws(TorchError) in
            guard let values else { throw TorchError("a calibration needs real numbers") }
            let range = try values.leastErrorRange(
              positiveOnly: node.range != .unbounded, maximumScale: node.maximumScale)
            found.add(range, of: node)
            return ActivationQuantizer(
              scale: try Tensor.floats([range.scale], shape: [1]),
              beta: node.range == .unbounded ? try Tensor.floats([range.beta], shape: [1]) : nil,
              maximumScale: node.maximumScale)
          }
          _ = try pass.run(graph, on: batch) { _ in }
        }
      }
      try assign(found)
    }
  }

  /// The quantisers' parameters that none of the graphs touches, sorted.
  public func quantizersMissed(by graphs: [NetworkGraph]) -> [String] {
    let touched = ParameterLayout(graphs).entries
    return layout.names.filter { name in
      layout.entries[name]?.role.isOfQuantizer == true && touched[name] == nil
    }.sorted()
  }

  /// The parameters of a graph's quantisers that are no finite numbers yet, in the order of the graph.
  public func uncalibratedQuantizers(of graph: NetworkGraph) throws(TorchError) -> [String] {
    var names: [String] = []
    for node in graph.nodes {
      for parameter in node.parameters where parameter.role.isOfQuantizer {
        let values = try tensor(parameter.name).prefix(parameter.shape[0]).floats()
        if !values.allSatisfy(\.isFinite) { names.append(parameter.name) }
      }
    }
    return names
  }

  private func assign(_ found: Findings) throws(TorchError) {
    for (name, sums) in found.weightScales {
      let parameter = try tensor(name)
      let filter = try tensor(String(name.dropLast("_scale".count)))
      var scales = try filter.leastErrorWeightScales().floats()
      for (channel, sum) in sums.enumerated() { scales[channel] = found.exponential(sum.logarithm / sum.count) }
      try parameter.assign(try Tensor.floats(scales, shape: parameter.shape))
    }
    for (node, sum) in found.ranges {
      let scale = found.exponential(sum.logarithm / sum.count)
      try tensor(node.scale).assign(try Tensor.floats([scale], shape: [1]))
      if let offset = node.offset {
        // On a whole zero point, so that the first step does not begin on the edge between two.
        let zeroPoint = (sum.zeroPoint / sum.count).rounded()
        try tensor(offset).assign(try Tensor.floats([-Float(zeroPoint) * scale], shape: [1]))
      }
    }
  }
}

extension ParameterRole {
  var isOfQuantizer: Bool { self == .weightScale || self == .outputScale || self == .outputOffset }
}

/// What the walks of a calibration found, summed up. A class since the walks' closures add to it.
private final class Findings {
  struct Output: Hashable {
    let scale: String
    let offset: String?
  }

  var weightScales: [String: [(logarithm: Double, count: Double)]] = [:]
  var ranges: [Output: (logarithm: Double, zeroPoint: Double, count: Double)] = [:]

  func add(weightScales scales: [Float], of name: String) {
    var sums = weightScales[name] ?? []
    while sums.count < scales.count { sums.append((0, 0)) }
    for (channel, scale) in scales.enumerated() {
      sums[channel].logarithm += log(Double(scale))
      sums[channel].count += 1
    }
    weightScales[name] = sums
  }

  func add(_ range: ActivationRange, of node: Node) {
    let key = Output(
      scale: node.parameterName(.outputScale),
      offset: node.range == .unbounded ? node.parameterName(.outputOffset) : nil)
    let sum = ranges[key] ?? (0, 0, 0)
    ranges[key] = (
      sum.logarithm + log(Double(range.scale)), sum.zeroPoint - Double(range.beta) / Double(range.scale), sum.count + 1
    )
  }

  func exponential(_ x: Double) -> Float { Float(exp(x)) }
}

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Darwin)
  private import Darwin
#elseif canImport(Musl)
  private import Musl
#endif
