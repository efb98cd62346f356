public import DeviceLatency
import Foundation
import NetworkGraphs
import ONNXExport
import Quantization
import SearchSpaces

/// Times INT8 models in ONNX Runtime on this CPU.
///
/// Before and after every slice it runs a probe, a convolution that is bound by the integer units, through the runtime
/// itself. A slice counts only where both are within 5 % of the shortest ever seen: the host has slow states that
/// nothing else shows.
public final class OnnxRuntimeMeter: LatencyMeter {
  public let device: DeviceIdentity
  /// The shortest run of the probe so far, in nanoseconds.
  public private(set) var bestProbe: Double

  private let options: OnnxRuntimeSession.Options
  private let probe: OnnxRuntimeSession

  /// - Parameters:
  ///   - threads: Inside an operation.
  ///   - bestProbe: The shortest probe of earlier measurements on this device, if any; a machine that is slower now is
  ///     then known to be.
  /// - Throws: `InferenceError` where the runtime is not there.
  public init(threads: Int = 1, bestProbe: Double? = nil) throws {
    let version = try OnnxRuntime.load()
    device = DeviceIdentity(local: "onnxruntime", version: version, threads: threads)
    options = OnnxRuntimeSession.Options(threads: threads, images: 1)
    let kernel = KernelSignature(
      kind: .convolution(kernel: 1, stride: 1, outputChannels: 128),
      input: TensorShape(channels: 128, height: 8, width: 8), range: .relu)
    // One thread whatever the models use: it is the core's speed that is asked for. Of several sessions the fastest:
    // where the runtime happens to put their memory makes some of them slower for good.
    let model = try OnnxRuntimeMeter.model(.kernel(kernel))
    let sessions = try (0..<4).map { _ in try OnnxRuntimeSession(model, .init(threads: 1, images: 1)) }
    var fastest = [UInt64](repeating: .max, count: sessions.count)
    for _ in 0..<25 {
      for (index, session) in sessions.enumerated() {
        fastest[index] = min(fastest[index], try session.time(calls: 5).min()!)
      }
    }
    probe = sessions[fastest.firstIndex(of: fastest.min()!)!]
    self.bestProbe = bestProbe ?? .infinity
    // Wakes the core and its wide units, and meets some of the machine's states, before anything is judged by the best.
    let awake = ContinuousClock.now + .milliseconds(300)
    while ContinuousClock.now < awake { _ = try runProbe() }
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
          slices, device: device, subject: request.subject, bestProbe: bestProbe,
          needed: effort.sessions * effort.slices, secondsSince1970: now)
        if let measurement { try record(measurement) }
      }
    }
  }

  /// The slices of each model of a group, in turn.
  private func time(
    _ group: [LatencyRequest], _ effort: MeasurementEffort, until deadline: ContinuousClock.Instant
  ) throws -> [[LatencySlice]] {
    let models = try group.map { try OnnxRuntimeMeter.model($0.model) }
    var slices = [[LatencySlice]](repeating: [], count: group.count)
    for session in 0..<effort.sessions {
      // What the group has is complete with every session: a deadline between two leaves fewer, not none.
      if session > 0, ContinuousClock.now >= deadline { break }
      let sessions = try models.map { try OnnxRuntimeSession($0, options) }
      // Warms caches, and tells how many calls fill a slice.
      let calls = try sessions.map { session in
        let call = Double(try session.time(calls: 3).min()!)
        return max(1, min(4_000, Int(effort.sliceNanoseconds / max(call, 1))))
      }
      var good = [Int](repeating: 0, count: group.count)
      for _ in 0..<effort.attempts {
        let pending = group.indices.filter { good[$0] < effort.slices }
        if pending.isEmpty { break }
        var wereGood = 0
        var before = try runProbe()
        for index in pending {
          let shortest = Double(try sessions[index].time(calls: calls[index]).min()!)
          let after = try runProbe()
          let slower = max(before, after)
          slices[index].append(LatencySlice(nanoseconds: shortest, probeNanoseconds: slower))
          if slower <= bestProbe * LatencyMeasurement.probeTolerance {
            good[index] += 1
            wereGood += 1
          }
          before = after
        }
        if ContinuousClock.now >= deadline { break }
        // Some slow states last for seconds; a pause lets one pass without burning the attempts.
        if wereGood == 0 { Thread.sleep(forTimeInterval: 0.005) }
      }
    }
    return slices
  }

  /// The shortest of a few runs of the probe, in nanoseconds.
  private func runProbe() throws -> Double {
    let shortest = Double(try probe.time(calls: 8).min()!)
    bestProbe = min(bestProbe, shortest)
    return shortest
  }

  /// The model of a request, with random weights: times do not depend on them.
  private static func model(_ model: LatencyRequest.Model) throws -> [UInt8] {
    switch model {
    case .empty: try ONNXModel.emptyModel()
    case .kernel(let kernel) where kernel.kind == .globalAveragePool && kernel.place == .inside:
      try ONNXModel.channelsLastPool(IntegerNetwork(randomWeights: 0, for: NetworkGraph(kernel)))
    case .kernel(let kernel):
      try ONNXModel.bytes(
        IntegerNetwork(randomWeights: 0, for: NetworkGraph(kernel)),
        .init(
          batch: .fixed(1), input: kernel.place.readsPixels ? .pixels : .maps(.channelsLast),
          output: kernel.place.writesLogits ? .logits : .map(.channelsLast)))
    case .part(let graph):
      try ONNXModel.bytes(
        IntegerNetwork(randomWeights: 0, for: graph),
        .init(batch: .fixed(1), input: .maps(.channelsLast), output: .map(.channelsLast)))
    case .network(let graph):
      try ONNXModel.bytes(IntegerNetwork(randomWeights: 0, for: graph))
    case .bytes(let bytes): bytes
    }
  }
}
