public import NetworkGraphs
public import SearchSpaces

/// Which stage table: a searched stage with a block type and a width window.
public struct StageTableKey: Hashable, Sendable, Comparable, Codable {
  /// Index into `Hyperspace.searchedStages`.
  public var stage: Int
  /// Index into `Hyperspace.blockTypes`.
  public var block: Int
  /// Index of the width window.
  public var window: Int

  public init(stage: Int, block: Int, window: Int) {
    self.stage = stage
    self.block = block
    self.window = window
  }

  public static func < (a: StageTableKey, b: StageTableKey) -> Bool {
    (a.stage, a.block, a.window) < (b.stage, b.block, b.window)
  }
}

/// One sampled sub-stage with what it costs and how well it imitates its teacher.
public struct StageRow: Hashable, Sendable {
  /// One choice a block.
  public var blocks: [BlockChoice]
  /// The sub-stage's input map.
  public var input: TensorShape
  /// Edge of the square image that leads to `input`, in pixels.
  public var resolution: Int
  /// Quantised distillation loss: the noise-to-signal ratio of the student's map, no unit.
  public var loss: Double
  /// Multiply-accumulates for one image, in millions.
  public var megaMACs: Double
  /// Parameters by the published rule (`NetworkGraphs.Cost`), in millions.
  public var megaParameters: Double
  /// INT8 latency on the table's device.
  public var latencyMilliseconds: Double

  public init(
    blocks: [BlockChoice], input: TensorShape, resolution: Int, loss: Double, megaMACs: Double, megaParameters: Double,
    latencyMilliseconds: Double
  ) {
    self.blocks = blocks
    self.input = input
    self.resolution = resolution
    self.loss = loss
    self.megaMACs = megaMACs
    self.megaParameters = megaParameters
    self.latencyMilliseconds = latencyMilliseconds
  }
}

/// Where the figures of a table come from.
public struct StageTableProvenance: Hashable, Sendable, Codable {
  /// The data set and split that the losses were measured on.
  public var data: String
  /// The teacher whose maps the students imitate.
  public var teacher: String
  /// The device's identity, as its measurements record it.
  public var device: String
  public var seed: UInt64
  /// Whether the losses are those of quantised students.
  public var isQuantized: Bool
  /// Versions of what made the table, by name.
  public var versions: [String: String]

  public init(
    data: String, teacher: String, device: String, seed: UInt64, isQuantized: Bool, versions: [String: String]
  ) {
    self.data = data
    self.teacher = teacher
    self.device = device
    self.seed = seed
    self.isQuantized = isQuantized
    self.versions = versions
  }
}

/// The sampled sub-stages of one stage with one block type and one width window.
///
/// Rows are a sample: a row that stands twice weighs twice, and the order has no meaning for a score.
public struct StageTable: Hashable, Sendable {
  public var key: StageTableKey
  /// Absent in the published tables.
  public var provenance: StageTableProvenance?
  public var rows: [StageRow]

  public init(key: StageTableKey, provenance: StageTableProvenance? = nil, rows: [StageRow]) {
    self.key = key
    self.provenance = provenance
    self.rows = rows
  }

  /// The resolutions that rows have, ascending, in pixels.
  public var resolutions: [Int] { Set(rows.map(\.resolution)).sorted() }
}

extension Hyperspace {
  /// Every table that a hyperspace needs: stage by stage, block type by block type, window by window.
  public var stageTableKeys: [StageTableKey] {
    searchedStages.enumerated().flatMap { stage, choices in
      blockTypes.indices.flatMap { block in
        (0..<choices.windowCount).map { StageTableKey(stage: stage, block: block, window: $0) }
      }
    }
  }

  /// The name of a table's file, such as `stage3_1_2.csv`.
  public func stageTableFileName(_ key: StageTableKey) -> String {
    "\(searchedStages[key.stage].name)_\(key.block)_\(key.window).csv"
  }

  /// The index into `stages` of a searched stage.
  func stageIndex(searched index: Int) -> Int { stages.indices.filter { stages[$0].isSearched }[index] }

  /// The widths that the stage before a searched one can hand over, whatever its window.
  func inputWidths(searched index: Int) -> [Int] {
    let stage = stageIndex(searched: index)
    return stage == 0 ? stem.widths : stages[stage - 1].widths
  }

  /// The product of all strides before a searched stage.
  func downsampling(beforeSearched index: Int) -> Int {
    let stage = stageIndex(searched: index)
    return stage == 0 ? stem.stride : downsampling(throughStage: stage - 1)
  }

  /// The edge of a searched stage's input map at a resolution; every stride rounds up.
  func inputEdge(searched index: Int, resolution: Int) -> Int {
    let strides = [stem.stride] + stages[0..<stageIndex(searched: index)].map(\.stride)
    return strides.reduce(resolution) { ($0 + $1 - 1) / $1 }
  }
}
