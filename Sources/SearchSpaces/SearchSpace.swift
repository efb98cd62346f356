/// One choice of block type and width window for each searched stage of a hyperspace.
///
/// Two values are equal where all choices are; the encoding `onnxw-151122-023231` (hyperspace, block types, windows)
/// stands for one value and back.
public struct SearchSpace: Hashable, Sendable, Comparable {
  /// The name of the hyperspace.
  public var hyperspace: String
  /// Index into `Hyperspace.blockTypes`, one a searched stage.
  public var blockTypes: [Int]
  /// Index of the width window, one a searched stage.
  public var windows: [Int]

  public init(hyperspace: String, blockTypes: [Int], windows: [Int]) {
    self.hyperspace = hyperspace
    self.blockTypes = blockTypes
    self.windows = windows
  }

  /// In the order of the encodings.
  public static func < (a: SearchSpace, b: SearchSpace) -> Bool {
    (a.hyperspace, a.blockTypes.count) != (b.hyperspace, b.blockTypes.count)
      ? (a.hyperspace, a.blockTypes.count) < (b.hyperspace, b.blockTypes.count)
      : a.blockTypes != b.blockTypes
        ? a.blockTypes.lexicographicallyPrecedes(b.blockTypes) : a.windows.lexicographicallyPrecedes(b.windows)
  }
}

/// Why an encoding was refused.
public struct EncodingError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was read.
  public var encoding: String
  /// What is wrong and what would be right.
  public var message: String

  public init(_ encoding: String, _ message: String) {
    self.encoding = encoding
    self.message = message
  }

  public var description: String { "\"\(encoding)\": \(message)" }
}

/// Choices are written as one character each: 0-9, then a-z.
private let digits = Array("0123456789abcdefghijklmnopqrstuvwxyz")

extension SearchSpace: CustomStringConvertible, LosslessStringConvertible, Codable {
  /// The largest number of choices that one character of an encoding can tell apart.
  public static let maximumChoices = digits.count

  public var description: String { encoding }

  /// `hyperspace-blocks-windows`.
  public var encoding: String {
    "\(hyperspace)-\(String(blockTypes.map { digits[$0] }))-\(String(windows.map { digits[$0] }))"
  }

  /// Reads the form of an encoding; whether the choices exist is for `Hyperspace.space(_:)` to say.
  public init(encoding: String) throws(EncodingError) {
    guard encoding.utf8.count <= 16_384 else {
      throw EncodingError(String(encoding.prefix(40)) + "…", "is too long to be a search space")
    }
    let parts = encoding.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count >= 3, !parts[0].isEmpty else {
      throw EncodingError(encoding, "is no search space; one looks like onnxw-151122-023231")
    }
    var choices: [[Int]] = []
    for part in parts.suffix(2) {
      var row: [Int] = []
      for character in part {
        guard let digit = digits.firstIndex(of: character) else {
          throw EncodingError(encoding, "\"\(character)\" is no choice; choices are written 0-9, then a-z")
        }
        row.append(digit)
      }
      choices.append(row)
    }
    guard choices[0].count == choices[1].count, !choices[0].isEmpty else {
      throw EncodingError(
        encoding,
        "has \(choices[0].count) block types and \(choices[1].count) width windows; there must be one of each a stage")
    }
    self.init(
      hyperspace: parts.dropLast(2).joined(separator: "-"), blockTypes: choices[0], windows: choices[1])
  }

  public init?(_ description: String) {
    guard let space = try? SearchSpace(encoding: description) else { return nil }
    self = space
  }

  public init(from decoder: any Decoder) throws {
    try self.init(encoding: decoder.singleValueContainer().decode(String.self))
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(encoding)
  }
}

extension Hyperspace {
  /// The search space of an encoding, checked against this hyperspace.
  ///
  /// - Throws: `EncodingError` that names the stage and its choices.
  public func space(_ encoding: String) throws(EncodingError) -> SearchSpace {
    let space = try SearchSpace(encoding: encoding)
    try validate(space)
    return space
  }

  /// Whether a value is one of this hyperspace's search spaces.
  public func contains(_ space: SearchSpace) -> Bool { (try? validate(space)) != nil }

  func validate(_ space: SearchSpace) throws(EncodingError) {
    guard space.hyperspace == name else {
      throw EncodingError(space.encoding, "is a space of \(space.hyperspace), not of hyperspace \(name)")
    }
    let stages = searchedStages
    guard space.blockTypes.count == stages.count, space.windows.count == stages.count else {
      throw EncodingError(
        space.encoding, "has \(space.blockTypes.count) stages; hyperspace \(name) searches \(stages.count)")
    }
    for (index, stage) in stages.enumerated() {
      guard blockTypes.indices.contains(space.blockTypes[index]) else {
        throw EncodingError(
          space.encoding,
          "\(stage.name): block type \(space.blockTypes[index]) is not among 0-\(blockTypes.count - 1) of \(name)")
      }
      guard (0..<stage.windowCount).contains(space.windows[index]) else {
        throw EncodingError(
          space.encoding,
          "\(stage.name): width window \(space.windows[index]) is not among 0-\(stage.windowCount - 1) of \(name)")
      }
    }
  }

  /// A uniformly drawn search space.
  public func randomSpace(using generator: inout SeededGenerator) -> SearchSpace {
    let stages = searchedStages
    let blocks = stages.map { _ in generator.next(below: blockTypes.count) }
    let windows = stages.map { generator.next(below: $0.windowCount) }
    return SearchSpace(hyperspace: name, blockTypes: blocks, windows: windows)
  }
}
