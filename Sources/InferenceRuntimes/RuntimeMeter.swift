public import DeviceLatency
import Foundation
import NetworkGraphs
import SearchSpaces

/// Times INT8 models in one of the runtimes of this process.
///
/// Before and after every slice it runs a probe, a convolution that is bound by the integer units, through the runtime
/// itself. A slice counts only where both are within 5 % of the machine's full speed (`ProbeLevel`): the host has slow
/// states that nothing else shows. A machine that stays slow is waited for, as long as the effort says, and then given
/// up: what was timed is handed over marked as not gated.
public final class RuntimeMeter: LatencyMeter {
  public let device: DeviceIdentity
  /// ONNX Runtime computes in the order in which kernels' maps are handed to it; OpenVINO has an order of its own.
  public var kernelMethod: KernelMethod { runtime == .onnxRuntime ? .alone : .inContext }
  public var isSlowToLoad: Bool { runtime == .openVINO }
  /// What the probe reads at full speed.
  public private(set) var level: ProbeLevel
  /// Called when the machine is slow and the meter begins to wait for it.
  public var onWait: () -> Void = {}

  private let history: ProbeHistory?
  private let runtime: LocalRuntime
  private let options: SessionOptions
  private let probe: any InferenceSession

  /// - Parameters:
  ///   - threads: Inside an operation.
  ///   - earlierLevel: The probe at full speed of earlier measurements on this device, in nanoseconds, if any; a machine
  ///     that is slower now is then known to be.
  ///   - history: Of other processes; what this meter sees is added to it at its end.
  /// - Throws: `InferenceError` where the runtime is not there.
  public init(
    _ runtime: LocalRuntime, threads: Int = 1, earlierLevel: Double? = nil, history: ProbeHistory? = nil
  ) throws {
    self.runtime = runtime
    self.history = history
    device = DeviceIdentity(local: runtime.rawValue, version: try runtime.load(), threads: threads)
    options = SessionOptions(threads: threads, images: 1)
    level = ProbeLevel(earlier: [earlierLevel, history?.level(of: device)].compactMap(\.self).min())
    probe = try RuntimeMeter.makeProbe(runtime)
    // Wakes the core and its wide units, and meets some of the machine's states, before anything is judged.
    let awake = ContinuousClock.now + .milliseconds(300)
    while ContinuousClock.now < awake { _ = try runProbe() }
  }

  deinit { history?.remember(level.seen, of: device) }

  /// One thread whatever the models use: it is the core's speed that is asked for. Of several sessions the fastest:
  /// where the runtime happens to put their memory makes some of them slower for good.
  private static func makeProbe(_ runtime: LocalRuntime) throws -> any InferenceSession {
    let kernel = KernelSignature(
      kind: .convolution(kernel: 1, stride: 1, outputChannels: 256),
      input: TensorShape(channels: 256, height: 8, width: 8), range: .relu)
    let model = try runtime.model(.kernel(kernel))
    let sessions = try (0..<4).map { _ in try runtime.session(model, .init(threads: 1, images: 1)) }
    var fastest = [UInt64](repeating: .max, count: sessions.count)
    for _ in 0..<25 {
      for (index, session) in sessions.enumerated() {
        fastest[index] = min(fastest[index], try session.time(calls: 5).min()!)
      }
    }
    return sessions[fastest.firstIndex(of: fastest.min()!)!]
  }

  public func measure(
    _ requests: [LatencyRequest], effort: MeasurementEffort, until deadline: ContinuousClock.Instant,
    record: (LatencyMeasurement) throws -> Void
  ) throws {
    for first in stride(from: 0, to: requests.count, by: effort.groupSize) {
      guard ContinuousClock.now < deadline else { return }
      let group = Array(requests[first..<min(first + effort.groupSize, requests.count)])
      let slices = try time(group, effort, until: deadline)
      let now = Date().timeIntervalSince1970
      for (request, slices) in zip(group, slices) {
        let measurement = LatencyMeasurement(
          slices, device: device, subject: request.subject, level: level, needed: effort.sessions * effort.slices,
          secondsSince1970: now)
        if let measurement { try record(measurement) }
      }
    }
  }

  /// The slices of each model of a group, in turn.
  private func time(
    _ group: [LatencyRequest], _ effort: MeasurementEffort, until deadline: ContinuousClock.Instant
  ) throws -> [[LatencySlice]] {
    let models = try group.map { try runtime.model($0.model) }
    var slices = [[LatencySlice]](repeating: [], count: group.count)
    var patience = Patience(effort.patience, until: deadline)
    for session in 0..<effort.sessions {
      // What the group has is complete with every session: a deadline between two leaves fewer, not none.
      if session > 0, ContinuousClock.now >= deadline { break }
      let sessions = try zip(group, models).map { request, model in
        try naming(request.subject) { try runtime.session(model, options) }
      }
      // Tells how many calls fill a slice, and warms caches and clocks with a slice that does not count.
      let calls = try zip(group, sessions).map { request, session in
        try naming(request.subject) {
          let call = Double(try session.time(calls: 3).min()!)
          let calls = max(effort.fewestCalls, min(4_000, Int(effort.sliceNanoseconds / max(call, 1))))
          _ = try session.time(calls: calls)
          return calls
        }
      }
      var good = [Int](repeating: 0, count: group.count)
      for _ in 0..<effort.attempts {
        let pending = group.indices.filter { good[$0] < effort.slices }
        if pending.isEmpty { break }
        let round = try timeOnce(pending, of: sessions, calls: calls)
        for (index, slice) in zip(pending, round) {
          slices[index].append(slice)
          if level.admits(slice.probeNanoseconds) { good[index] += 1 }
        }
        if ContinuousClock.now >= deadline { break }
        if round.contains(where: { level.admits($0.probeNanoseconds) }) {
          patience.renew()
        } else {
          if patience.isFresh { onWait() }
          guard patience.wait() else { break }
        }
      }
    }
    return slices
  }

  /// One slice of each pending model, with a probe before, between and after them.
  private func timeOnce(
    _ pending: [Int], of sessions: [any InferenceSession], calls: [Int]
  ) throws -> [LatencySlice] {
    var before = try runProbe()
    return try pending.map { index in
      let shortest = Double(try sessions[index].time(calls: calls[index]).min()!)
      let after = try runProbe()
      defer { before = after }
      return LatencySlice(nanoseconds: shortest, probeNanoseconds: max(before, after))
    }
  }

  /// The shortest of a few runs of the probe, in nanoseconds.
  private func runProbe() throws -> Double {
    let shortest = Double(try probe.time(calls: 6).min()!)
    level.insert(shortest)
    return shortest
  }
}

/// Runs `body`, and has an error of the runtime name what was to be timed.
private func naming<Result>(_ subject: LatencySubject, _ body: () throws -> Result) throws -> Result {
  do { return try body() } catch let error as InferenceError { throw error.naming(subject.name) }
}

extension LatencySubject {
  /// How an error names what it could not time.
  fileprivate var name: String {
    switch self {
    case .emptyCall: "the model that does nothing"
    case .kernel(let kernel): "the model of kernel \(kernel)"
    case .context(let context): "the model of context \(context)"
    case .subnet(let space, let subnet): "subnet \(subnet.encoding) of \(space.encoding)"
    case .model(let name): name
    }
  }
}

/// How long a slow machine is waited for: in pauses that grow, and in all no longer than allowed.
private struct Patience {
  private var left: Duration
  private var pause = Patience.shortest
  private let deadline: ContinuousClock.Instant
  private static let shortest = Duration.milliseconds(4)

  init(_ allowed: Duration, until deadline: ContinuousClock.Instant) {
    left = allowed
    self.deadline = deadline
  }

  /// Whether nothing has been waited for yet that would be worth telling.
  var isFresh: Bool { pause >= .milliseconds(256) && pause < .milliseconds(512) }

  mutating func renew() { pause = Patience.shortest }

  /// Waits a little. Some slow states last for milliseconds, others for many seconds.
  ///
  /// - Returns: Whether there was time left for it.
  mutating func wait() -> Bool {
    let now = ContinuousClock.now
    guard left > .zero, now < deadline else { return false }
    let length = min(pause, left, deadline - now)
    Thread.sleep(forTimeInterval: length / .seconds(1))
    left -= length
    pause = min(pause * 2, .seconds(2))
    return true
  }
}
