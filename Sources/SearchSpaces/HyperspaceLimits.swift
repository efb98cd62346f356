/// Sizes beyond which a hyperspace is refused, far above any network that a device with integer kernels runs. They keep a
/// wrong number in a file from ending in an overflow or in a full memory.
extension Hyperspace {
  /// The product of all strides.
  static let mostDownsampling = 65_536
  /// Weights of the largest subnet.
  static let mostWeights = 2e9
  /// Multiply-accumulates of the largest subnet, for one image.
  static let mostMACs = 1e15
  /// Elements of the largest map of one image.
  static let mostMapElements = 2e9

  /// Why the largest subnet is too large to be built, and what would be right; `nil` where it is not. The figures are
  /// bounds from above, by less than twice.
  var reasonForBeingTooLarge: String? {
    var downsampling = stem.stride
    for stage in stages {
      downsampling *= stage.stride
      guard downsampling <= Hyperspace.mostDownsampling else {
        return
          "its strides make more than \(Hyperspace.mostDownsampling) together; an image has no so many pixels a side"
      }
    }
    var size = NetworkSize(edge: resolutions.last!, channels: imageChannels)
    size.append(width: stem.widths.last!, kernel: stem.kernel, stride: stem.stride)
    for stage in stages {
      let types = stage.fixedBlock.map { [$0] } ?? blockTypes
      size.append(types, width: stage.widths.last!, depth: stage.depths.upperBound, stride: stage.stride)
    }
    for layer in head {
      switch layer {
      case .convolution(_, let width, _): size.append(width: width, kernel: 1, stride: 1)
      case .globalAveragePool: size.edge = 1
      case .linear: size.append(width: classes, kernel: 1, stride: 1)
      }
    }
    guard size.weights <= Hyperspace.mostWeights else {
      return
        "its largest subnet may have \(size.weights) weights, more than \(Hyperspace.mostWeights): take smaller widths, "
        + "expansions or depths"
    }
    guard size.macs <= Hyperspace.mostMACs, size.largestMap <= Hyperspace.mostMapElements else {
      return
        "its largest subnet may take \(size.macs) multiply-accumulates (at most \(Hyperspace.mostMACs)) and have a map of "
        + "\(size.largestMap) elements (at most \(Hyperspace.mostMapElements)): take a smaller resolution or smaller widths"
    }
    return nil
  }
}

/// An upper bound of what a network costs, in floating-point numbers, which do not overflow.
private struct NetworkSize {
  /// Of the map that the next layer reads, in pixels.
  var edge: Int
  var channels: Int
  var weights = 0.0
  var macs = 0.0
  var largestMap = 0.0

  init(edge: Int, channels: Int) {
    self.edge = edge
    self.channels = channels
  }

  private var positions: Double { Double(edge) * Double(edge) }

  mutating func append(width: Int, kernel: Int, stride: Int) {
    let count = Double(channels) * Double(width) * Double(kernel * kernel)
    weights += count
    macs += count * positions
    largestMap = max(largestMap, positions * Double(max(channels, width)))
    edge = (edge + stride - 1) / stride
    channels = width
  }

  /// A stage of whichever of the types is the largest.
  mutating func append(_ types: [BlockType], width: Int, depth: Int, stride: Int) {
    let outer = Double(max(channels, width))
    var most = 0.0
    var widest = outer
    for type in types {
      let hidden = max(8, outer * (type.expansions.last ?? 1)) + 8
      let taps = Double(type.kernels.last! * type.kernels.last!)
      let dense =
        switch type.family {
        case .dualDepthwise: 2 * outer * taps + 2 * outer * outer
        case .mbconv: 2 * outer * hidden + hidden * taps
        case .fusedMBConv: outer * hidden * (taps + 1)
        case .residualBottleneck: 2 * outer * hidden + hidden * hidden * taps
        }
      let excitation = type.hasSqueezeExcitation ? 2 * hidden * (hidden / 4 + 8) : 0
      most = max(most, dense + excitation + outer * outer)
      widest = max(widest, hidden)
    }
    weights += Double(depth) * most
    let after = (edge + stride - 1) / stride
    // The first block reads the larger map.
    macs += most * (positions + Double(depth - 1) * Double(after) * Double(after))
    largestMap = max(largestMap, positions * widest)
    edge = after
    channels = width
  }
}
