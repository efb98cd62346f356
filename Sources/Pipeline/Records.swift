import RunFolders
public import SearchSpaces
public import SpaceEvolution

/// The records of a run, one type a file of JSON lines. Times stand in `StepRecord` only, so that all the others are the
/// same for the same configuration, seed, threads and machine; latencies, which no seed repeats, are the exception.

/// A finished step of the run.
struct StepRecord: Codable, Sendable {
  var step: String
  /// Of this process; a step that was interrupted took longer in all.
  var seconds: Double
}

/// One epoch of a training.
public struct TrainingRecord: Codable, Hashable, Sendable {
  /// `teacher`, `supernet` or `model-N`.
  public var network: String
  /// `float` or `integer`.
  public var phase: String
  /// Steps done.
  public var step: Int
  /// Mean over the epoch; of the largest subnet where there are several.
  public var loss: Double
  public var learningRate: Double
  /// Share of the validation images named right, by subnet.
  public var validation: [String: Double]
}

/// A training that collapsed, and was taken back to its last checkpoint.
public struct RestartRecord: Codable, Hashable, Sendable {
  public var network: String
  public var phase: String
  /// The step at which it showed, counted from 0.
  public var step: Int
  public var reason: String
  /// Steps done at the checkpoint that it went on from.
  public var resumedFrom: Int
  /// Of the configured learning rate, from there on.
  public var rateFactor: Double
}

/// One distilled stage and block type.
public struct BlockRecord: Codable, Hashable, Sendable {
  public var stage: String
  public var block: String
  /// Loss (NSR) of the largest sub-stage, mean of the last steps of each phase.
  public var floatLoss: Double
  public var integerLoss: Double
  /// How often training was begun; more than once where it diverged.
  public var attempts: Int
  /// Whether it diverged each time: the losses are then 1, those of the teacher's mean.
  public var diverged: Bool?
}

/// One sub-stage that was trained alone, to see whether the tables rank it rightly.
public struct RankRecord: Codable, Hashable, Sendable {
  public var stage: String
  public var block: String
  public var index: Int
  /// Of its training; `nil` in records of versions that did not say.
  public var floatSteps: Int?
  public var integerSteps: Int?
  /// Noise-to-signal ratios.
  public var float: Double
  public var integer: Double
}

/// One evaluated subnet.
public struct SubnetRecord: Codable, Hashable, Sendable {
  public var generation: Int
  public var subnet: Subnet
  public var predictedMilliseconds: Double
  /// Share of the validation images named right, as integers, with its own batch norm statistics.
  public var accuracy: Double
}

/// One exported model and what was measured on the file.
public struct ModelRecord: Codable, Hashable, Sendable {
  /// Within the run folder's `models`.
  public var file: String
  public var subnet: Subnet
  public var predictedMilliseconds: Double
  public var measuredMilliseconds: Double
  public var spreadPercent: Double
  /// Whether the measurement passed the machine's gate.
  public var gated: Bool
  /// Of the exported file, through the runtime, on the test images.
  public var correct: Int
  public var images: Int
  /// On validation images, as part of the supernet, before it was trained on its own.
  public var supernetAccuracy: Double
  public var macs: Int
  public var parameters: Int
  /// CRC-32 of the file that was judged; absent in records of earlier versions.
  public var crc32: UInt32?

  public var accuracy: Double { Double(correct) / Double(max(1, images)) }

  /// The models of a run folder, fastest first; of each file the last record, which has its last timing.
  ///
  /// - Throws: `RunFolderError` for a damaged record.
  static func all(in paths: RunFolderPaths) throws -> [ModelRecord] {
    let records: [ModelRecord] = try RecordLog.all(paths.recordFile("models"))
    return Dictionary(records.map { ($0.file, $0) }, uniquingKeysWith: { $1 }).values
      .sorted { ($0.measuredMilliseconds, $0.file) < ($1.measuredMilliseconds, $1.file) }
  }
}

/// What the design of the space ended with.
public struct DesignRecord: Codable, Hashable, Sendable {
  /// The latencies for which the space was designed.
  public var constraintsMilliseconds: [Double]
  /// Stem and head, mean over the widths that stages hand over.
  public var fixedMilliseconds: Double
  /// Best first; the first one is trained.
  public var best: [QTScore]
  /// How many spaces were scored.
  public var evaluated: Int
  /// How many there are.
  public var candidates: Int
  /// That `best` are the best of all candidates; absent where bounds could not show it.
  public var proof: DesignProof?
}

/// How all candidate spaces were excluded or scored.
public struct DesignProof: Codable, Hashable, Sendable {
  /// The best space that the evolution had found.
  public var evolved: QTScore
  public var isEvolvedBest: Bool
  public var excludedByTailLoss: Int
  public var excludedByShare: Int
  public var scored: Int
  public var bestExcludedBound: Double?
}
