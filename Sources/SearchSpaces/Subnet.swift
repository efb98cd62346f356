/// The choices of one block: kernel size, output width in channels, expansion ratio (`nil` where the type has none).
public struct BlockChoice: Hashable, Sendable {
  public var kernel: Int
  public var width: Int
  public var expansion: Double?

  public init(kernel: Int, width: Int, expansion: Double?) {
    self.kernel = kernel
    self.width = width
    self.expansion = expansion
  }
}

/// One network of a search space.
///
/// Equality means the same network in the same space; the space itself is not part of the value. Its encoding is the
/// published one, `d…_k…_w…_e…_r…`: depths of the stem and the stages, then kernel, width and expansion of each block
/// in order (0 where there is none), then the resolution in pixels.
public struct Subnet: Hashable, Sendable {
  public var stemKernel: Int
  public var stemWidth: Int
  /// One list a stage (stages that are not searched included), one choice a block.
  public var stages: [[BlockChoice]]
  public var resolution: Int

  public init(stemKernel: Int, stemWidth: Int, stages: [[BlockChoice]], resolution: Int) {
    self.stemKernel = stemKernel
    self.stemWidth = stemWidth
    self.stages = stages
    self.resolution = resolution
  }
}

extension Subnet: CustomStringConvertible, LosslessStringConvertible, Codable {
  public var description: String { encoding }

  public var encoding: String {
    let blocks = stages.joined()
    let depths = ["1"] + stages.map { "\($0.count)" }
    let kernels = ["\(stemKernel)"] + blocks.map { "\($0.kernel)" }
    let widths = ["\(stemWidth)"] + blocks.map { "\($0.width)" }
    let expansions = ["0"] + blocks.map { block in block.expansion.map { "\($0)" } ?? "0" }
    let lists = zip("dkwe", [depths, kernels, widths, expansions]).map { "\($0)\($1.joined(separator: "#"))" }
    return (lists + ["r\(resolution)"]).joined(separator: "_")
  }

  /// Reads the form of an encoding; whether the choices exist is for `Hyperspace.subnet(_:in:)` to say.
  public init(encoding: String) throws(EncodingError) {
    guard encoding.utf8.count <= 16_384 else {
      throw EncodingError(String(encoding.prefix(40)) + "…", "is too long to be a subnet")
    }
    // By bytes: records name subnets a hundred thousand times.
    let parts = encoding.utf8.split(separator: UInt8(ascii: "_"), omittingEmptySubsequences: false)
    guard parts.count == 5, zip(parts, "dkwer".utf8).allSatisfy({ $0.first == $1 }) else {
      throw EncodingError(encoding, "is no subnet; one looks like d1#2_k3#3#5_w16#32#32_e0#4.0#4.0_r224")
    }
    func items(_ part: Substring.UTF8View) -> [Substring] {
      part.dropFirst().split(separator: UInt8(ascii: "#"), omittingEmptySubsequences: false).map { Substring($0) }
    }
    func numbers(_ part: Substring.UTF8View) throws(EncodingError) -> [Int] {
      var values: [Int] = []
      for item in items(part) {
        guard let value = Int(item), (1...100_000).contains(value) else {
          throw EncodingError(
            encoding, "\"\(item)\" in \"\(Substring(part).first!)…\" is no whole number from 1 to 100000")
        }
        values.append(value)
      }
      return values
    }
    let depths = try numbers(parts[0])
    let kernels = try numbers(parts[1])
    let widths = try numbers(parts[2])
    let resolution = try numbers(parts[4])
    var expansions: [Double?] = []
    for item in items(parts[3]) {
      guard let value = Double(item), value.isFinite, value >= 0 else {
        throw EncodingError(encoding, "\"\(item)\" in \"e…\" is no expansion ratio, nor 0 for none")
      }
      expansions.append(value == 0 ? nil : value)
    }
    guard depths.allSatisfy({ $0 <= 1_000 }), depths.count <= 1_000 else {
      throw EncodingError(encoding, "a stage has at most 1000 blocks")
    }
    let count = depths.reduce(0, +)
    guard depths.first == 1, kernels.count == count, widths.count == count, expansions.count == count else {
      throw EncodingError(
        encoding,
        "the depths add up to \(count) blocks (the stem is one), but there are \(kernels.count) kernels, "
          + "\(widths.count) widths and \(expansions.count) expansions")
    }
    guard expansions[0] == nil, resolution.count == 1 else {
      throw EncodingError(encoding, "the stem has expansion 0, and there is one resolution")
    }
    var stages: [[BlockChoice]] = []
    var next = 1
    for depth in depths.dropFirst() {
      stages.append(
        (next..<next + depth).map { BlockChoice(kernel: kernels[$0], width: widths[$0], expansion: expansions[$0]) })
      next += depth
    }
    self.init(stemKernel: kernels[0], stemWidth: widths[0], stages: stages, resolution: resolution[0])
  }

  public init?(_ description: String) {
    guard let subnet = try? Subnet(encoding: description) else { return nil }
    self = subnet
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
  /// The subnet of an encoding, checked against a search space of this hyperspace.
  ///
  /// - Throws: `EncodingError` that names the stage, the block and the choices.
  public func subnet(_ encoding: String, in space: SearchSpace) throws(EncodingError) -> Subnet {
    let subnet = try Subnet(encoding: encoding)
    try validate(subnet, in: space)
    return subnet
  }

  /// Checks that a subnet is one of a search space.
  public func validate(_ subnet: Subnet, in space: SearchSpace) throws(EncodingError) {
    try validate(space)
    func refuse(_ message: String) -> EncodingError { EncodingError(subnet.encoding, message) }
    guard resolutions.contains(subnet.resolution) else {
      throw refuse("resolution \(subnet.resolution) is not among \(list(resolutions)) of \(name)")
    }
    guard subnet.stemKernel == stem.kernel else {
      throw refuse("\(stem.name): kernel \(subnet.stemKernel) is not \(stem.kernel)")
    }
    guard stem.widths.contains(subnet.stemWidth) else {
      throw refuse("\(stem.name): width \(subnet.stemWidth) is not among \(list(stem.widths))")
    }
    let choices = choices(of: space)
    guard subnet.stages.count == choices.count else {
      throw refuse("has \(subnet.stages.count) stages after the stem; \(name) has \(choices.count)")
    }
    for (stage, blocks) in zip(choices, subnet.stages) {
      guard stage.depths.contains(blocks.count) else {
        throw refuse(
          "\(stage.name): depth \(blocks.count) is not in \(stage.depths.lowerBound)-\(stage.depths.upperBound)")
      }
      for (index, block) in blocks.enumerated() {
        guard stage.blockType.kernels.contains(block.kernel) else {
          throw refuse(
            "\(stage.name), block \(index): kernel \(block.kernel) is not among \(list(stage.blockType.kernels))")
        }
        guard stage.widths.contains(block.width) else {
          throw refuse("\(stage.name), block \(index): width \(block.width) is not among \(list(stage.widths))")
        }
        guard stage.blockType.expansionChoices.contains(block.expansion) else {
          let right = stage.blockType.expansions.isEmpty ? "0 (none)" : list(stage.blockType.expansions)
          throw refuse("\(stage.name), block \(index): expansion \(block.expansion ?? 0) is not among \(right)")
        }
      }
    }
  }

  private func list<Item>(_ items: [Item]) -> String { items.map { "\($0)" }.joined(separator: " ") }

  /// The subnet with the last choice everywhere: deepest, widest, largest kernels, at the highest resolution.
  public func largestSubnet(of space: SearchSpace) -> Subnet {
    Subnet(
      stemKernel: stem.kernel, stemWidth: stem.widths.last!, stages: choices(of: space).map(\.largestBlocks),
      resolution: resolutions.last!)
  }

  /// The subnet with the first choice everywhere.
  public func smallestSubnet(of space: SearchSpace) -> Subnet {
    Subnet(
      stemKernel: stem.kernel, stemWidth: stem.widths.first!, stages: choices(of: space).map(\.smallestBlocks),
      resolution: resolutions.first!)
  }

  /// A subnet drawn uniformly choice by choice: depth of each stage, then kernel, width and expansion of each block.
  public func randomSubnet(of space: SearchSpace, using generator: inout SeededGenerator) -> Subnet {
    let stages = choices(of: space).map { $0.randomBlocks(using: &generator) }
    return Subnet(
      stemKernel: stem.kernel, stemWidth: generator.choose(stem.widths), stages: stages,
      resolution: generator.choose(resolutions))
  }
}

extension StageChoices {
  /// The blocks of a random sub-stage.
  public func randomBlocks(using generator: inout SeededGenerator) -> [BlockChoice] {
    let depth = depths.lowerBound + generator.next(below: depths.count)
    return (0..<depth).map { _ in randomBlock(using: &generator) }
  }

  /// The choices of one random block.
  public func randomBlock(using generator: inout SeededGenerator) -> BlockChoice {
    BlockChoice(
      kernel: generator.choose(blockType.kernels), width: generator.choose(widths),
      expansion: blockType.expansions.isEmpty ? nil : generator.choose(blockType.expansions))
  }

  /// The deepest, widest sub-stage with the largest kernels and expansions.
  public var largestBlocks: [BlockChoice] {
    [BlockChoice](
      repeating: BlockChoice(
        kernel: blockType.kernels.last!, width: widths.last!, expansion: blockType.expansions.last),
      count: depths.upperBound)
  }

  /// The shallowest, narrowest sub-stage with the smallest kernels and expansions.
  public var smallestBlocks: [BlockChoice] {
    [BlockChoice](
      repeating: BlockChoice(
        kernel: blockType.kernels.first!, width: widths.first!, expansion: blockType.expansions.first),
      count: depths.lowerBound)
  }
}
