public import Foundation
internal import InputFiles
public import NetworkGraphs
public import SearchSpaces

/// The sidecar of an exported model, `FILE.json` beside `FILE.onnx`: how to feed it, and what was measured on the file
/// itself.
public struct ModelCard: Hashable, Sendable, Codable {
  public struct Pixels: Hashable, Sendable, Codable {
    /// `N`, channels, height, width.
    public var shape: [String]
    /// `uint8`; a pixel's value as decoded, not normalised.
    public var type: String
    /// The meaning of the channels in order, such as `grey` or `red green blue`.
    public var channelOrder: String
    /// `real = scale * (pixel - zeroPoint)`, done inside the model.
    public var scale: Float
    public var zeroPoint: UInt8
  }

  public struct Accuracy: Hashable, Sendable, Codable {
    public var dataSet: String
    public var split: String
    public var images: Int
    public var correct: Int
    /// From 0 to 1.
    public var top1: Double
    /// The runtime that ran the file, with its version.
    public var runtime: String

    public init(dataSet: String, split: String, images: Int, correct: Int, runtime: String) {
      self.dataSet = dataSet
      self.split = split
      self.images = images
      self.correct = correct
      top1 = images == 0 ? 0 : Double(correct) / Double(images)
      self.runtime = runtime
    }
  }

  public struct Latency: Hashable, Sendable, Codable {
    public var device: String
    public var milliseconds: Double
    /// How the number was made of many, such as `minimum of 12 slices`.
    public var statistic: String
    public var spreadPercent: Double
    /// Whether the machine was seen to run at its full speed during the measurement.
    public var gated: Bool
    public var predictedMilliseconds: Double?

    public init(
      device: String, milliseconds: Double, statistic: String, spreadPercent: Double, gated: Bool,
      predictedMilliseconds: Double? = nil
    ) {
      self.device = device
      self.milliseconds = milliseconds
      self.statistic = statistic
      self.spreadPercent = spreadPercent
      self.gated = gated
      self.predictedMilliseconds = predictedMilliseconds
    }
  }

  /// The form of this file.
  public var version = 1
  /// File name of the model.
  public var model: String
  /// `int8` or `float32`.
  public var precision: String
  public var pixels: Pixels
  /// What each logit stands for.
  public var classes: [String]
  public var space: SearchSpace?
  public var subnet: Subnet?
  public var macs: Int
  public var parameters: Int
  public var accuracy: Accuracy?
  public var latency: Latency?
  /// Programs and libraries with their versions.
  public var versions: [String: String]

  /// - Parameters:
  ///   - model: File name of the model.
  ///   - precision: `int8` or `float32`.
  ///   - graph: The network.
  ///   - scale: Of the pixels' quantiser.
  ///   - zeroPoint: Of the pixels' quantiser.
  ///   - channelOrder: `nil` for grey images of one channel, else red, green, blue.
  public init(
    model: String, precision: String, graph: NetworkGraph, scale: Float, zeroPoint: UInt8, channelOrder: String? = nil,
    classes: [String], space: SearchSpace? = nil, subnet: Subnet? = nil, versions: [String: String]
  ) {
    self.model = model
    self.precision = precision
    let shape = graph.inputShape
    pixels = Pixels(
      shape: ["N", "\(shape.channels)", "\(shape.height)", "\(shape.width)"], type: "uint8",
      channelOrder: channelOrder ?? (shape.channels == 1 ? "grey" : "red green blue"), scale: scale,
      zeroPoint: zeroPoint)
    self.classes = classes
    self.space = space
    self.subnet = subnet
    macs = graph.cost.macs
    parameters = graph.cost.parameters
    self.versions = versions
  }
}

extension ONNXModel {
  /// Where a model's card is: `FILE.json` for `FILE.onnx`.
  public static func cardURL(of model: URL) -> URL { model.deletingPathExtension().appendingPathExtension("json") }

  /// Writes a model and its card, each whole or not at all. The card comes last, so that a card stands for a complete
  /// model.
  public static func write(_ bytes: [UInt8], card: ModelCard, to url: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try Data(bytes).write(to: url, options: .atomic)
    try encoder.encode(card).write(to: cardURL(of: url), options: .atomic)
  }

  /// Reads a model's card.
  public static func card(of model: URL) throws -> ModelCard {
    try JSONDecoder().decode(ModelCard.self, from: InputFile.bytes(of: cardURL(of: model), atMost: 16 << 20))
  }
}
