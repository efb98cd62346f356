public import SearchSpaces
import SpaceEvolution
import TorchTraining

/// One search space of a comparison, and why it takes part.
public struct ComparisonArm: Hashable, Sendable, Codable {
  public enum Kind: String, Hashable, Sendable, Codable {
    case found
    /// One block type throughout, as networks designed by hand have it.
    case handDesigned = "hand-designed"
    case random
  }

  /// Names the arm's folder and its rows: `found`, `mbconv-se`, `random-1`.
  public var name: String
  public var kind: Kind
  /// What a reader calls it.
  public var title: String
  public var space: SearchSpace
}

extension Hyperspace {
  /// The block types that well-known networks use throughout, as far as this hyperspace has them.
  fileprivate var handDesignedBlocks: [(block: Int, precedent: String)] {
    func first(_ family: BlockFamily, squeezeExcitation: Bool) -> Int? {
      blockTypes.firstIndex {
        $0.family == family && $0.hasSqueezeExcitation == squeezeExcitation && !$0.stacksDepthwise
      }
    }
    let wanted: [(Int?, String)] = [
      (first(.mbconv, squeezeExcitation: false), "MobileNetV2's block"),
      (first(.mbconv, squeezeExcitation: true), "MobileNetV3's block"),
      (first(.residualBottleneck, squeezeExcitation: false), "ResNet's block"),
      (
        first(.fusedMBConv, squeezeExcitation: false) ?? first(.fusedMBConv, squeezeExcitation: true),
        "EfficientNetV2's early block"
      ),
    ]
    return wanted.compactMap { block, precedent in block.map { ($0, precedent) } }
  }

  /// All choices of windows for one block type throughout.
  fileprivate func spaces(ofBlock block: Int) -> [SearchSpace] {
    var windows: [[Int]] = [[]]
    for stage in searchedStages {
      windows = windows.flatMap { start in (0..<stage.windowCount).map { start + [$0] } }
    }
    let blocks = searchedStages.map { _ in block }
    return windows.map { SearchSpace(hyperspace: name, blockTypes: blocks, windows: $0) }
  }
}

extension ComparisonArm {
  /// The space found, the hand-designed spaces, and random ones.
  ///
  /// A hand-designed space fixes the block type; its width windows are those with the best Q-T score, so that it is
  /// beaten, if it is, by its blocks and not by badly chosen widths.
  static func arms(found: SearchSpace, hyperspace: Hyperspace, randomSpaces: Int, seed: UInt64, scorer: QTScorer)
    -> [ComparisonArm]
  {
    var arms = [ComparisonArm(name: "found", kind: .found, title: "Found", space: found)]
    for (block, precedent) in hyperspace.handDesignedBlocks {
      let scores = scorer.scores(hyperspace.spaces(ofBlock: block))
      let best = scores.max { ($0.score, $1.space) < ($1.score, $0.space) }!
      let name = hyperspace.blockTypes[block].name
      arms.append(
        ComparisonArm(name: name, kind: .handDesigned, title: "All \(name) (\(precedent))", space: best.space))
    }
    var generator = SeededGenerator(seed: seed, stream: "comparison-spaces")
    for index in 0..<randomSpaces {
      arms.append(
        ComparisonArm(
          name: "random-\(index + 1)", kind: .random, title: "Random \(index + 1)",
          space: hyperspace.randomSpace(using: &generator)))
    }
    return arms
  }
}

/// What one arm reached with one seed.
public struct ComparisonRecord: Hashable, Sendable, Codable {
  /// The most accurate subnet under a latency, by validation, as an exported file.
  public struct Entry: Hashable, Sendable, Codable {
    public var constraintMilliseconds: Double
    /// `nil` where the search met no subnet so fast.
    public var model: ModelRecord?
  }

  public var arm: ComparisonArm
  /// Counted from 1; added to the run's seed.
  public var repetition: Int
  /// The Q-T score of the arm's space at the run's constraints.
  public var score: Double
  /// MACs of the space's largest subnet: the baseline that a score has to beat.
  public var largestMACs: Int
  public var entries: [Entry]

  var models: [ModelRecord] { entries.compactMap(\.model) }

  /// An arm's folder within the run folder.
  static func folder(_ arm: ComparisonArm, _ repetition: Int) -> String { "comparison/\(arm.name)-\(repetition)" }

  /// A model's file within the run folder.
  func path(of model: ModelRecord) -> String {
    "\(ComparisonRecord.folder(arm, repetition))/models/\(model.file)"
  }
}
