public import NetworkGraphs

/// What a meter is asked to time.
public struct LatencyRequest: Sendable {
  /// Where the model comes from; it is made when its turn comes.
  public enum Model: Sendable {
    /// Does nothing.
    case empty
    /// One operation, with uint8 maps in the device's own order at both ends, or pixels and logits where the operation
    /// is the first or the last of its network.
    case kernel(KernelSignature)
    /// A part of a network, with uint8 maps in the device's own order at both ends.
    case part(NetworkGraph)
    /// A whole network, from pixels to logits.
    case network(NetworkGraph)
    /// A file's bytes, with one image a call.
    case bytes([UInt8])
  }

  public var subject: LatencySubject
  public var model: Model

  public init(_ subject: LatencySubject, _ model: Model) {
    self.subject = subject
    self.model = model
  }

  public static let emptyCall = LatencyRequest(.emptyCall, .empty)

  public init(_ kernel: KernelSignature) { self.init(.kernel(kernel), .kernel(kernel)) }
}

/// How much time each number is worth.
public struct MeasurementEffort: Hashable, Sendable {
  /// How often the model is loaded anew: where a runtime puts its memory changes times by some percent.
  public var sessions: Int
  /// Slices at full speed that each session gives.
  public var slices: Int
  /// How long a slice calls one model, in nanoseconds. Short, since a machine with neighbours is at its full speed for
  /// short times.
  public var sliceNanoseconds: Double
  /// How many models are measured in turn; slices of one model are spread over the time of the group.
  public var groupSize: Int
  /// How many slices a session tries before the model is given up, ungated.
  public var attempts: Int

  public init(sessions: Int, slices: Int, sliceNanoseconds: Double, groupSize: Int, attempts: Int) {
    self.sessions = sessions
    self.slices = slices
    self.sliceNanoseconds = sliceNanoseconds
    self.groupSize = groupSize
    self.attempts = attempts
  }

  /// For thousands of kernels, whose errors average out in a network.
  public static let kernel = MeasurementEffort(
    sessions: 1, slices: 3, sliceNanoseconds: 3e5, groupSize: 24, attempts: 25)
  /// For whole networks.
  public static let network = MeasurementEffort(
    sessions: 3, slices: 3, sliceNanoseconds: 1e6, groupSize: 12, attempts: 50)
}

/// A device that can be timed.
///
/// Two real implementations make the protocol worth having: a runtime in this process, and a command that times files
/// somewhere else.
public protocol LatencyMeter {
  var device: DeviceIdentity { get }

  /// Times models in turn with each other, and hands over each measurement as soon as it is complete.
  ///
  /// - Parameters:
  ///   - deadline: Nothing is begun after it; what is then not measured is simply not handed over.
  ///   - record: What it throws ends the measuring and is thrown on.
  func measure(
    _ requests: [LatencyRequest], effort: MeasurementEffort, until deadline: ContinuousClock.Instant,
    record: (LatencyMeasurement) throws -> Void) throws
}
