public import SearchSpaces

/// What was timed: the key of a measurement.
public enum LatencySubject: Hashable, Sendable {
  /// A call of a model that does nothing, which every call of a kernel's model contains.
  case emptyCall
  case kernel(KernelSignature)
  /// What stands around a kernel that is not timed alone.
  case context(KernelContext)
  case subnet(SearchSpace, Subnet)
  /// A model from elsewhere, by a name or digest.
  case model(String)
}

/// One INT8 latency, measured for one image a call.
public struct LatencyMeasurement: Hashable, Sendable, Codable {
  public var device: DeviceIdentity
  public var subject: LatencySubject
  /// The shortest call of the slices that were kept.
  public var nanoseconds: Double
  /// How much longer the shortest call of the worst kept slice was, in percent.
  public var spreadPercent: Double
  /// Slices that were kept.
  public var slices: Int
  /// Slices that were timed.
  public var rounds: Int
  /// Whether enough slices had the machine at its full speed before and after. Where not, the number is what the busy
  /// machine gave.
  public var isGated: Bool
  /// The shortest run of the probe at the worst kept slice: by it, a later reader tells whether the machine was slower
  /// than it was seen later.
  public var probeNanoseconds: Double
  /// When it was measured, in seconds since 1970.
  public var secondsSince1970: Double

  public init(
    device: DeviceIdentity, subject: LatencySubject, nanoseconds: Double, spreadPercent: Double, slices: Int,
    rounds: Int, isGated: Bool, probeNanoseconds: Double, secondsSince1970: Double
  ) {
    self.device = device
    self.subject = subject
    self.nanoseconds = nanoseconds
    self.spreadPercent = spreadPercent
    self.slices = slices
    self.rounds = rounds
    self.isGated = isGated
    self.probeNanoseconds = probeNanoseconds
    self.secondsSince1970 = secondsSince1970
  }

  private enum CodingKeys: CodingKey {
    case device, subject, nanoseconds, spreadPercent, slices, rounds, isGated, probeNanoseconds, secondsSince1970
  }

  /// - Throws: `DecodingError` too where a time is negative, or longer than eleven days.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    func number(_ key: CodingKeys) throws -> Double {
      let value = try container.decode(Double.self, forKey: key)
      guard value >= 0, value <= 1e15 else {
        throw DecodingError.dataCorruptedError(
          forKey: key, in: container, debugDescription: "\(value) is no \(key.stringValue) of a measurement")
      }
      return value
    }
    self.init(
      device: try container.decode(DeviceIdentity.self, forKey: .device),
      subject: try container.decode(LatencySubject.self, forKey: .subject), nanoseconds: try number(.nanoseconds),
      spreadPercent: try number(.spreadPercent), slices: try container.decode(Int.self, forKey: .slices),
      rounds: try container.decode(Int.self, forKey: .rounds),
      isGated: try container.decode(Bool.self, forKey: .isGated),
      probeNanoseconds: try number(.probeNanoseconds), secondsSince1970: try number(.secondsSince1970))
  }

  public var milliseconds: Double { nanoseconds / 1e6 }
  public var microseconds: Double { nanoseconds / 1e3 }
}

/// One slice of a measurement: the shortest call in it, and the slower of the probes before and after it.
public struct LatencySlice: Hashable, Sendable {
  public var nanoseconds: Double
  public var probeNanoseconds: Double

  public init(nanoseconds: Double, probeNanoseconds: Double) {
    self.nanoseconds = nanoseconds
    self.probeNanoseconds = probeNanoseconds
  }
}

extension LatencyMeasurement {
  /// Makes one number of slices: the minimum of those whose probes are within 5 % of the machine's full speed.
  ///
  /// - Parameters:
  ///   - level: What the machine's probe reads at full speed, by all readings so far.
  ///   - needed: How many such slices make the measurement a gated one. With fewer, all slices are used and `isGated` is
  ///     false.
  /// - Returns: `nil` where there are no slices.
  public init?(
    _ slices: [LatencySlice], device: DeviceIdentity, subject: LatencySubject, level: ProbeLevel, needed: Int,
    secondsSince1970: Double
  ) {
    let good = slices.filter { level.admits($0.probeNanoseconds) }
    let isGated = good.count >= needed
    let kept = isGated ? good : slices
    guard let fastest = kept.map(\.nanoseconds).min(), let slowest = kept.map(\.nanoseconds).max() else { return nil }
    self.init(
      device: device, subject: subject, nanoseconds: fastest,
      spreadPercent: fastest > 0 ? 100 * (slowest / fastest - 1) : 0, slices: kept.count, rounds: slices.count,
      isGated: isGated, probeNanoseconds: kept.map(\.probeNanoseconds).max()!, secondsSince1970: secondsSince1970)
  }
}

/// `{"kernel": "conv-…"}`, `{"context": "map …"}`, `{"space": "…", "subnet": "…"}`, `{"model": "…"}`, or `{"call": "empty"}`.
extension LatencySubject: Codable {
  private enum Key: String, CodingKey { case call, kernel, context, space, subnet, model }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    if let kernel = try container.decodeIfPresent(KernelSignature.self, forKey: .kernel) {
      self = .kernel(kernel)
    } else if let context = try container.decodeIfPresent(KernelContext.self, forKey: .context) {
      self = .context(context)
    } else if let space = try container.decodeIfPresent(SearchSpace.self, forKey: .space) {
      self = .subnet(space, try container.decode(Subnet.self, forKey: .subnet))
    } else if let model = try container.decodeIfPresent(String.self, forKey: .model) {
      self = .model(model)
    } else {
      let call = try container.decode(String.self, forKey: .call)
      guard call == "empty" else {
        throw DecodingError.dataCorruptedError(forKey: .call, in: container, debugDescription: "\"\(call)\" is no call")
      }
      self = .emptyCall
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    switch self {
    case .emptyCall: try container.encode("empty", forKey: .call)
    case .kernel(let kernel): try container.encode(kernel, forKey: .kernel)
    case .context(let context): try container.encode(context, forKey: .context)
    case .subnet(let space, let subnet):
      try container.encode(space, forKey: .space)
      try container.encode(subnet, forKey: .subnet)
    case .model(let name): try container.encode(name, forKey: .model)
    }
  }
}
