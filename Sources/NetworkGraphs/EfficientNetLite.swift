import SearchSpaces

/// EfficientNet-Lite (Tan and Le, arXiv 1905.11946, without squeeze and excitation, with ReLU6), in the program's own
/// graph: a teacher, with its ImageNet weights or fine-tuned.
///
/// Its convolutions of stride 2 pad as TensorFlow does: one pixel less above and left where the map's side is even. A
/// kernel that is two pixels larger, with zeros in its first two rows and columns, computes the same with the padding
/// that the program has; so those convolutions have 5x5 or 7x7 kernels here, and their weights are placed by
/// `weightOffset`.
public struct EfficientNetLite: Hashable, Sendable {
  /// 0, 1 or 2.
  public let variant: Int
  /// In pixels; even at every stride, which multiples of 32 are.
  public let resolution: Int
  public let imageChannels: Int
  public let classes: Int
  /// 2 as published; 1 keeps maps twice as large, for small images.
  public let stemStride: Int

  private static let depthMultipliers = [1.0, 1.1, 1.2]
  private static let widthMultipliers = [1.0, 1.0, 1.1]

  /// - Precondition: a variant from 0 to 2, a positive multiple of 32 pixels, a stem stride of 1 or 2.
  public init(variant: Int, resolution: Int, imageChannels: Int = 3, classes: Int = 1000, stemStride: Int = 2) {
    precondition((0...2).contains(variant) && resolution > 0 && resolution.isMultiple(of: 32), "see the comments")
    precondition((1...2).contains(stemStride), "the stem's stride is 1 or 2")
    self.variant = variant
    self.resolution = resolution
    self.imageChannels = imageChannels
    self.classes = classes
    self.stemStride = stemStride
  }

  private struct Stage {
    var repeats: Int
    var kernel: Int
    var stride: Int
    var expansion: Double
    var width: Int
  }

  private static let stages = [
    Stage(repeats: 1, kernel: 3, stride: 1, expansion: 1, width: 16),
    Stage(repeats: 2, kernel: 3, stride: 2, expansion: 6, width: 24),
    Stage(repeats: 2, kernel: 5, stride: 2, expansion: 6, width: 40),
    Stage(repeats: 3, kernel: 3, stride: 2, expansion: 6, width: 80),
    Stage(repeats: 3, kernel: 5, stride: 1, expansion: 6, width: 112),
    Stage(repeats: 4, kernel: 5, stride: 2, expansion: 6, width: 192),
    Stage(repeats: 1, kernel: 3, stride: 1, expansion: 6, width: 320),
  ]

  /// The network; its stages are the stem, the seven of the table and the head.
  public var graph: NetworkGraph {
    var builder = GraphBuilder()
    builder.beginStage("stem")
    var x = builder.input(TensorShape(channels: imageChannels, height: resolution, width: resolution))
    // Stem and head keep their widths in all Lite variants.
    x = builder.convolution("stem", x, width: 32, kernel: 5, stride: stemStride, activation: .relu6)
    for (index, stage) in Self.stages.enumerated() {
      let name = "stage\(index + 1)"
      builder.beginStage(name)
      // First and last stage keep their depths.
      let isFixed = index == 0 || index == Self.stages.count - 1
      let repeats =
        isFixed
        ? stage.repeats : Int((Double(stage.repeats) * Self.depthMultipliers[variant]).rounded(.up))
      let width = roundedToMultipleOf8(Double(stage.width) * Self.widthMultipliers[variant])
      let blocks = (0..<repeats).map { block in
        BlockChoice(
          kernel: stage.kernel + (block == 0 && stage.stride == 2 ? 2 : 0), width: width, expansion: stage.expansion)
      }
      let type = BlockType(
        name: "mbconv", family: .mbconv, kernels: [3, 5, 7], expansions: [1, 6], activation: .relu6,
        projectsShortcut: false)
      x = builder.stage(name, type, x, blocks, stride: stage.stride)
    }
    builder.beginStage("head")
    x = builder.convolution("head", x, width: 1280, activation: .relu6)
    x = builder.globalAveragePool("pool", x)
    x = builder.convolution("logits", x, width: classes, hasBias: true, hasBatchNorm: false)
    return builder.graph()
  }

  /// The first row and column of a node's kernel at which a published kernel of side `kernel` is placed.
  ///
  /// Where a stride-1 stem is given the published stride-2 weights they are centred.
  public static func weightOffset(_ convolution: Convolution, published kernel: Int) -> Int {
    convolution.stride == 2 ? convolution.kernel - kernel : (convolution.kernel - kernel) / 2
  }

  /// The nodes that a published weight file's prefixes name, such as `_blocks.3._expand_conv`, with the batch norm's
  /// prefix where there is one.
  public var publishedNames: [String: (weight: String, batchNorm: String?)] {
    var names: [String: (weight: String, batchNorm: String?)] = [
      "stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1"), "logits": ("_fc", nil),
    ]
    var block = -1
    var last = ""
    for node in graph.nodes where node.convolution != nil && node.name.contains(".") {
      let parts = node.name.split(separator: ".")
      let scope = parts.dropLast().joined(separator: ".")
      if scope != last { (block, last) = (block + 1, scope) }
      let prefix = "_blocks.\(block)."
      switch parts.last! {
      case "expand": names[node.name] = (prefix + "_expand_conv", prefix + "_bn0")
      case "depthwise": names[node.name] = (prefix + "_depthwise_conv", prefix + "_bn1")
      default: names[node.name] = (prefix + "_project_conv", prefix + "_bn2")
      }
    }
    return names
  }
}
