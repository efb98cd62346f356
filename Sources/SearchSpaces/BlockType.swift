/// The families of blocks that the lowering knows.
///
/// To add one: a case here, a file in `NetworkGraphs/Blocks` with its lowering, and a line in a hyperspace file. The
/// compiler points at every `switch` that misses it.
public enum BlockFamily: String, CaseIterable, Codable, Hashable, Sendable {
  /// Depthwise k x k, 1x1, depthwise k x k, 1x1; each with batch norm and ReLU. No expansion.
  case dualDepthwise = "dual-depthwise"
  /// Inverted bottleneck of MobileNetV2 (1801.04381) and, with SE, MobileNetV3 (1905.02244) and EfficientNet.
  case mbconv
  /// MBConv with its expansion and depthwise convolutions fused into one dense k x k (EfficientNetV2, 2104.00298).
  case fusedMBConv = "fused-mbconv"
  /// The bottleneck of ResNet (1512.03385), ReLU after the addition.
  case residualBottleneck = "residual-bottleneck"

  /// Whether the family has an expansion ratio (elastic hidden width).
  public var hasExpansion: Bool {
    switch self {
    case .dualDepthwise: false
    case .mbconv, .fusedMBConv, .residualBottleneck: true
    }
  }

  /// Whether its lowering has a place for squeeze and excitation.
  public var canSqueezeAndExcite: Bool {
    switch self {
    case .dualDepthwise: false
    case .mbconv, .fusedMBConv, .residualBottleneck: true
    }
  }
}

/// One candidate block of a hyperspace: a family, with what is fixed of it and the choices that stay elastic.
public struct BlockType: Hashable, Sendable {
  /// The name in the hyperspace's file, such as `mbconv-se`.
  public var name: String
  public var family: BlockFamily
  /// Odd kernel sizes, ascending.
  public var kernels: [Int]
  /// Ratios of the hidden width to the block's input (MBConv types) or output (bottleneck), ascending; empty where the
  /// family has none.
  public var expansions: [Double]
  public var activation: Activation
  /// Squeeze and excitation (1709.01507) on the hidden tensor.
  public var hasSqueezeExcitation: Bool
  /// The depthwise k x k is a stack of (k - 1) / 2 depthwise 3x3, with one batch norm and activation after the last.
  public var stacksDepthwise: Bool
  /// Whether a block whose input and output differ in shape has a 1x1 convolution as shortcut. Where not, such a block
  /// has no shortcut at all, as in MobileNetV2.
  public var projectsShortcut: Bool
  /// The device's, set for all block types of a hyperspace at once (``Hyperspace/computed(in:)``).
  public var arithmetic = IntegerArithmetic.onnxRuntime

  public init(
    name: String, family: BlockFamily, kernels: [Int], expansions: [Double], activation: Activation,
    hasSqueezeExcitation: Bool = false, stacksDepthwise: Bool = false, projectsShortcut: Bool = true
  ) {
    self.name = name
    self.family = family
    self.kernels = kernels
    self.expansions = expansions
    self.activation = activation
    self.hasSqueezeExcitation = hasSqueezeExcitation
    self.stacksDepthwise = stacksDepthwise
    self.projectsShortcut = projectsShortcut
  }

  /// The expansions to choose from, with `nil` standing for "none".
  public var expansionChoices: [Double?] { expansions.isEmpty ? [nil] : expansions }
}
