import DeviceLatency
import SearchSpaces
import TorchTraining

extension RankCheck {
  /// How the tables' ranking of sub-stages stands to that of training each alone.
  public struct Result: Hashable, Sendable, Codable {
    /// Of one block type each: do the tables rank its widths, depths and kernels?
    public var pairs: [Agreement]
    /// Of all block types of a stage: do the tables rank these? Of stages with more than one that was verified.
    public var stages: [StageAgreement]

    init(_ jobs: [(job: StageJob, rows: [Row])]) {
      pairs = jobs.map { Agreement($0.job, $0.rows) }
      stages = Dictionary(grouping: jobs, by: \.job.stage).sorted { $0.key < $1.key }.filter { $0.value.count > 1 }
        .map { StageAgreement($0.value) }
    }
  }

  /// Spearman's rank correlations of one pair, each with the loss of training alone.
  public struct Agreement: Hashable, Sendable, Codable {
    public var stage: String
    public var block: String
    public var substages: Int
    public var float: Double
    public var integer: Double
    /// What ranking by size alone would give, of the integer losses: the larger the better.
    public var macs: Double
    public var parameters: Double
    /// The integer losses of training alone, in percent of the tables': the mean. What is much lower for one block type
    /// than for another of the same stage is how much the tables' short training wrongs it.
    public var alonePercent: Double
    /// How far the tables' integer losses are from those of the same sub-stages sampled again, in percent: the mean, and
    /// the largest. Their training has other images then; where a row is not trained by itself there is no difference.
    public var repeatedMeanPercent: Double
    public var repeatedLargestPercent: Double

    init(_ job: StageJob, _ rows: [Row]) {
      stage = job.distillation.stage.name
      block = job.distillation.stage.blockType.name
      substages = rows.count
      let alone = rows.map(\.alone.integer)
      float = Statistics.spearmanRho(rows.map(\.sharedFloat), rows.map(\.alone.float))
      integer = Statistics.spearmanRho(rows.map(\.sharedInteger), alone)
      macs = -Statistics.spearmanRho(rows.map(\.megaMACs), alone)
      parameters = -Statistics.spearmanRho(rows.map(\.megaParameters), alone)
      alonePercent = Statistics.mean(rows.map { 100 * $0.alone.integer / $0.sharedInteger })
      let differences = rows.map { 100 * abs($0.repeatedInteger / $0.sharedInteger - 1) }
      repeatedMeanPercent = Statistics.mean(differences)
      repeatedLargestPercent = differences.max() ?? 0
    }
  }

  /// Rank correlations over the sub-stages of all verified block types of a stage, each with the integer loss of training
  /// alone.
  public struct StageAgreement: Hashable, Sendable, Codable {
    public var stage: String
    public var blocks: [String]
    public var substages: Int
    public var integer: Double
    /// What ranking by size alone would give: the larger the better.
    public var macs: Double
    public var milliseconds: Double
    /// Kendall's partial tau of the tables: what they say beyond the predicted INT8 latency, which is what a search space
    /// pays with.
    public var integerAtEqualLatency: Double
    public var macsAtEqualLatency: Double

    init(_ jobs: [(job: StageJob, rows: [Row])]) {
      stage = jobs[0].job.distillation.stage.name
      blocks = jobs.map(\.job.distillation.stage.blockType.name)
      let rows = jobs.flatMap(\.rows)
      substages = rows.count
      let (alone, shared) = (rows.map(\.alone.integer), rows.map(\.sharedInteger))
      let (latency, size) = (rows.map(\.milliseconds), rows.map { -$0.megaMACs })
      integer = Statistics.spearmanRho(shared, alone)
      macs = Statistics.spearmanRho(size, alone)
      milliseconds = -Statistics.spearmanRho(latency, alone)
      integerAtEqualLatency = Statistics.partialKendallTau(shared, alone, given: latency)
      macsAtEqualLatency = Statistics.partialKendallTau(size, alone, given: latency)
    }
  }

  /// A sub-stage with its losses alone and with the weights that all share.
  struct Row {
    var alone: RankRecord
    var sharedFloat: Double
    var sharedInteger: Double
    /// The same, sampled again.
    var repeatedInteger: Double
    var megaMACs: Double
    var megaParameters: Double
    /// Predicted INT8 latency.
    var milliseconds: Double
  }
}
