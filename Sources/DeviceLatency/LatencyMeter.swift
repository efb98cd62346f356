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
    /// One operation between its source and its sink.
    case kernelInContext(KernelSignature)
    /// Source and sink without it.
    case context(KernelContext)
    /// A part of a network, with maps of its own type in the device's own order at both ends.
    case part(NetworkGraph, Precision = .int8)
    /// A whole network, from pixels to logits.
    case network(NetworkGraph, Precision = .int8)
    /// A file's bytes, with one image a call.
    case bytes([UInt8])
  }

  public enum Precision: String, Hashable, Sendable, CaseIterable {
    case int8, float32
  }

  public var subject: LatencySubject
  public var model: Model

  public init(_ subject: LatencySubject, _ model: Model) {
    self.subject = subject
    self.model = model
  }

  public static let emptyCall = LatencyRequest(.emptyCall, .empty)

  public init(_ kernel: KernelSignature, _ method: KernelMethod = .alone) {
    self.init(.kernel(kernel), method == .alone ? .kernel(kernel) : .kernelInContext(kernel))
  }

  public init(_ context: KernelContext) {
    self = context == .call ? .emptyCall : LatencyRequest(.context(context), .context(context))
  }
}

/// How a device's kernels are timed.
public enum KernelMethod: Hashable, Sendable {
  /// As models of their own, from which an empty call is taken off.
  case alone
  /// Between a source and a sink, from which those are taken off.
  case inContext
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
  /// At least this many calls a slice, however long they take.
  public var fewestCalls: Int
  /// How long a group waits in all for a machine that is slow.
  public var patience: Duration

  public init(
    sessions: Int, slices: Int, sliceNanoseconds: Double, groupSize: Int, attempts: Int, fewestCalls: Int = 1,
    patience: Duration = .seconds(1)
  ) {
    self.sessions = sessions
    self.slices = slices
    self.sliceNanoseconds = sliceNanoseconds
    self.groupSize = groupSize
    self.attempts = attempts
    self.fewestCalls = fewestCalls
    self.patience = patience
  }

  /// For thousands of kernels, whose errors average out in a network. Several calls, since in a slice of one call every
  /// kernel would find the caches full of another one's data.
  public static let kernel = MeasurementEffort(
    sessions: 1, slices: 3, sliceNanoseconds: 3e5, groupSize: 24, attempts: 25, fewestCalls: 5)
  /// For kernels in their contexts, of which a small difference is wanted. One session: the runtime that needs contexts is
  /// slow to load.
  public static let kernelInContext = MeasurementEffort(
    sessions: 1, slices: 3, sliceNanoseconds: 1e6, groupSize: 24, attempts: 25, fewestCalls: 5)
  /// For the chains of a study.
  public static let study = MeasurementEffort(
    sessions: 2, slices: 2, sliceNanoseconds: 3e5, groupSize: 16, attempts: 25, fewestCalls: 3)
  /// For many whole networks. Long slices: a network's first thousand calls or so are some percent slower.
  public static let network = MeasurementEffort(
    sessions: 3, slices: 6, sliceNanoseconds: 4e6, groupSize: 12, attempts: 50, fewestCalls: 4, patience: .seconds(5))
  /// The same for a runtime that takes longer to load a network than to time it.
  public static let networkInOneSession = MeasurementEffort(
    sessions: 1, slices: 6, sliceNanoseconds: 4e6, groupSize: 12, attempts: 50, fewestCalls: 4, patience: .seconds(5))
  /// For the few models whose latency is reported.
  public static let report = MeasurementEffort(
    sessions: 8, slices: 3, sliceNanoseconds: 3e6, groupSize: 8, attempts: 100, fewestCalls: 3, patience: .seconds(30))
}

/// A device that can be timed.
///
/// Two real implementations make the protocol worth having: a runtime in this process, and a command that times files
/// somewhere else.
public protocol LatencyMeter {
  var device: DeviceIdentity { get }
  /// How kernels are to be timed there.
  var kernelMethod: KernelMethod { get }
  /// Whether loading a model takes far longer than timing it. One session is then timed at a time; a profile's next pass
  /// is another.
  var isSlowToLoad: Bool { get }

  /// Times models in turn with each other, and hands over each measurement as soon as it is complete.
  ///
  /// - Parameters:
  ///   - deadline: Nothing is begun after it; what is then not measured is simply not handed over.
  ///   - record: What it throws ends the measuring and is thrown on.
  func measure(
    _ requests: [LatencyRequest], effort: MeasurementEffort, until deadline: ContinuousClock.Instant,
    record: (LatencyMeasurement) throws -> Void) throws
}

extension LatencyMeter {
  public var kernelMethod: KernelMethod { .alone }
  public var isSlowToLoad: Bool { false }
}
