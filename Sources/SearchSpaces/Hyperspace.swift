/// All candidate search spaces: stages with their widths, windows, depths and strides, and the block types among which
/// each searched stage chooses. (The reference code says "superspace".)
///
/// A value of this type is valid: `HyperspaceReader` refuses what is not, with its line.
public struct Hyperspace: Hashable, Sendable {
  /// The convolution that reads the image.
  public struct Stem: Hashable, Sendable {
    public var name: String
    /// Elastic output widths, ascending.
    public var widths: [Int]
    public var kernel: Int
    public var stride: Int
    public var activation: Activation
  }

  /// A run of blocks of one type; the first carries the stride.
  public struct Stage: Hashable, Sendable {
    public var name: String
    /// All widths of the stage, ascending.
    public var widths: [Int]
    /// How many consecutive widths a window has.
    public var windowSize: Int
    /// Elastic depth, in blocks.
    public var depths: ClosedRange<Int>
    public var stride: Int
    /// The stage's block type where it is not searched.
    public var fixedBlock: BlockType?

    public var isSearched: Bool { fixedBlock == nil }
    /// Windows start at each width that leaves room for a whole window.
    public var windowCount: Int { widths.count - windowSize + 1 }
    /// The widths of a window.
    public func widths(window: Int) -> [Int] { Array(widths[window..<window + windowSize]) }
  }

  /// What follows the last stage, in order.
  public enum HeadLayer: Hashable, Sendable {
    /// 1x1 convolution, batch norm, activation.
    case convolution(name: String, width: Int, activation: Activation)
    case globalAveragePool(name: String)
    /// One logit a class, with a bias.
    case linear(name: String)
  }

  public var name: String
  public var imageChannels: Int
  /// Heights (and widths) of square images, ascending, in pixels.
  public var resolutions: [Int]
  public var classes: Int
  public var stem: Stem
  public var stages: [Stage]
  public var blockTypes: [BlockType]
  public var head: [HeadLayer]
  /// Of the device that the networks are for.
  public private(set) var arithmetic = IntegerArithmetic.onnxRuntime

  /// The stages that have a block type and a width window to be searched, in order.
  public var searchedStages: [Stage] { stages.filter(\.isSearched) }

  /// How many search spaces there are; `Int.max` where that is more than an `Int` holds.
  public var spaceCount: Int {
    searchedStages.reduce(1) { count, stage in
      let (product, overflow) = count.multipliedReportingOverflow(by: blockTypes.count * stage.windowCount)
      return overflow ? .max : product
    }
  }

  /// The product of the strides before a stage, and of the stage itself: its output is `resolution / downsampling`,
  /// rounded up at every step.
  public func downsampling(throughStage index: Int) -> Int {
    stages[0...index].reduce(stem.stride) { $0 * $1.stride }
  }
}

/// What is elastic in one stage of a search space.
public struct StageChoices: Hashable, Sendable {
  public var name: String
  public var blockType: BlockType
  public var widths: [Int]
  public var depths: ClosedRange<Int>
  public var stride: Int
  /// Index into `Hyperspace.blockTypes` and window, where the stage is searched.
  public var searched: Searched?

  public init(
    name: String, blockType: BlockType, widths: [Int], depths: ClosedRange<Int>, stride: Int, searched: Searched? = nil
  ) {
    self.name = name
    self.blockType = blockType
    self.widths = widths
    self.depths = depths
    self.stride = stride
    self.searched = searched
  }

  public struct Searched: Hashable, Sendable {
    public var block: Int
    public var window: Int
    public init(block: Int, window: Int) {
      self.block = block
      self.window = window
    }
  }
}

extension Hyperspace {
  /// The elastic stages of a search space: one entry a stage, those that are not searched included.
  ///
  /// - Precondition: `space` is one of this hyperspace (`contains`).
  public func choices(of space: SearchSpace) -> [StageChoices] {
    var searched = 0
    return stages.map { stage in
      if let block = stage.fixedBlock {
        return StageChoices(
          name: stage.name, blockType: block, widths: stage.widths(window: 0), depths: stage.depths,
          stride: stage.stride, searched: nil)
      }
      let block = space.blockTypes[searched]
      let window = space.windows[searched]
      searched += 1
      return stageChoices(stage: stage, block: block, window: window)
    }
  }

  /// What is elastic in a searched stage with a given block type and window.
  public func stageChoices(stage: Stage, block: Int, window: Int) -> StageChoices {
    StageChoices(
      name: stage.name, blockType: blockTypes[block], widths: stage.widths(window: window), depths: stage.depths,
      stride: stage.stride, searched: .init(block: block, window: window))
  }
}

extension Hyperspace {
  /// The same hyperspace for a device with another arithmetic.
  public func computed(in arithmetic: IntegerArithmetic) -> Hyperspace {
    var other = self
    other.arithmetic = arithmetic
    for index in other.blockTypes.indices { other.blockTypes[index].arithmetic = arithmetic }
    for index in other.stages.indices { other.stages[index].fixedBlock?.arithmetic = arithmetic }
    return other
  }
}
