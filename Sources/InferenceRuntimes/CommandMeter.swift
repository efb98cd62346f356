public import DeviceLatency
import Foundation

/// Times models on a device of the user's own, by the commands of its file; one command at a time.
///
/// Each round of a batch is a slice of each of its models. There is no probe of a machine elsewhere: what stands for its
/// full speed is that the device repeats itself, at least three rounds within 5 % of the shortest.
public final class CommandMeter: LatencyMeter {
  public let device: DeviceIdentity
  /// Nobody knows in which order the runtime there keeps its maps.
  public var kernelMethod: KernelMethod { .inContext }
  /// Called ten times a second while a command runs; what it throws ends the command, and is thrown on.
  public var check: () throws -> Void = {}

  private let description: CommandDevice
  private let folder: ScratchFolder
  private var batches = 0

  /// - Throws: What making a temporary folder throws.
  public init(_ description: CommandDevice, threads: Int) throws {
    self.description = description
    device = description.identity(threads: threads)
    folder = try ScratchFolder()
  }

  /// - Throws: `CommandError` where a command fails after all retries. What was complete until then has been handed over.
  public func measure(
    _ requests: [LatencyRequest], effort: MeasurementEffort, until deadline: ContinuousClock.Instant,
    record: (LatencyMeasurement) throws -> Void
  ) throws {
    for first in stride(from: 0, to: requests.count, by: description.batch) {
      guard ContinuousClock.now < deadline else { return }
      let batch = Array(requests[first..<min(first + description.batch, requests.count)])
      let files = try write(batch)
      defer { for file in files { try? FileManager.default.removeItem(atPath: file) } }
      var slices = [[LatencySlice]](repeating: [], count: batch.count)
      var failure: (any Error)?
      do {
        try time(files, into: &slices, until: deadline)
      } catch {
        failure = error
      }
      let now = Date().timeIntervalSince1970
      for (request, slices) in zip(batch, slices) {
        if let measurement = measurement(of: request.subject, slices, secondsSince1970: now) { try record(measurement) }
      }
      if let failure { throw failure }
    }
  }

  private func measurement(
    of subject: LatencySubject, _ slices: [LatencySlice], secondsSince1970: Double
  ) -> LatencyMeasurement? {
    guard let shortest = slices.map(\.nanoseconds).min() else { return nil }
    // The rounds that agree stand for the probe that a machine elsewhere lacks.
    let agreeing = slices.filter { $0.nanoseconds <= shortest * ProbeLevel.tolerance }
    let isRepeated = agreeing.count >= 3
    var measurement = LatencyMeasurement(
      isRepeated ? agreeing : slices, device: device, subject: subject, level: ProbeLevel(earlier: 0), needed: 0,
      secondsSince1970: secondsSince1970)
    measurement?.rounds = slices.count
    measurement?.isGated = isRepeated
    return measurement
  }

  private func write(_ batch: [LatencyRequest]) throws -> [String] {
    batches += 1
    return try batch.enumerated().map { index, request in
      // A name of its own for each: a device may cache what it was sent.
      let file = folder.url.appending(path: "m\(batches)-\(index).onnx")
      try Data(request.model.bytes()).write(to: file)
      return file.path(percentEncoded: false)
    }
  }

  private func time(
    _ files: [String], into slices: inout [[LatencySlice]], until deadline: ContinuousClock.Instant
  ) throws {
    if !description.prepare.isEmpty { _ = try run(description.prepare, key: "prepare", files) }
    for round in 0..<description.rounds {
      // What the batch has is complete with every round.
      if round > 0, ContinuousClock.now >= deadline { break }
      if description.timesOneAtATime {
        for index in files.indices { try timeOnce([index], of: files, into: &slices) }
      } else {
        try timeOnce(Array(files.indices), of: files, into: &slices)
      }
    }
    if !description.clean.isEmpty { _ = try run(description.clean, key: "clean", files) }
  }

  /// One time of each of some models. A command that dies half-way is run again for the models that it had not timed.
  private func timeOnce(_ indices: [Int], of files: [String], into slices: inout [[LatencySlice]]) throws {
    var pending = indices
    for attempt in 0...description.retries {
      let names = pending.map { URL(filePath: files[$0]).lastPathComponent }
      var failure: CommandError?
      var output: [UInt8] = []
      do {
        output = try runOnce(description.time, key: "time", pending.map { files[$0] })
      } catch let error as CommandError {
        (failure, output) = (error, error.output)
      }
      let times = CommandOutput(String(decoding: output, as: UTF8.self), names: names, device: description)
      for (index, time) in zip(pending, times.nanoseconds) {
        if let time { slices[index].append(LatencySlice(nanoseconds: time, probeNanoseconds: 0)) }
      }
      pending = zip(pending, times.nanoseconds).filter { $0.1 == nil }.map(\.0)
      if failure == nil, let complaint = times.complaint {
        failure = CommandError(device: description.name, key: "time", message: complaint, output: output)
      }
      guard var failure else { return }
      guard attempt < description.retries else {
        if attempt > 0 { failure.message += " (tried \(attempt + 1) times)" }
        throw failure
      }
      if pending.isEmpty { return }
    }
  }

  private func run(_ command: [String], key: String, _ files: [String]) throws -> [UInt8] {
    for _ in 0..<description.retries {
      if let output = try? runOnce(command, key: key, files) { return output }
      try check()
    }
    return try runOnce(command, key: key, files)
  }

  private func runOnce(_ command: [String], key: String, _ files: [String]) throws -> [UInt8] {
    let words = description.words(command, files: files, threads: device.threads)
    func failed(_ message: String, _ outcome: ChildProcess.Outcome? = nil) -> CommandError {
      let said = outcome.map { String(decoding: $0.errors, as: UTF8.self) } ?? ""
      let words = said.trimmingCharacters(in: .whitespacesAndNewlines)
      return CommandError(
        device: description.name, key: key, message: message + (words.isEmpty ? "" : "; it said: \(words)"),
        output: outcome?.output ?? [])
    }
    let outcome: ChildProcess.Outcome
    do {
      outcome = try ChildProcess.run(words, seconds: description.timeout, check: check)
    } catch let error as ChildProcess.StartError {
      throw failed("\(error.program) cannot be started: \(error.description)")
    }
    switch outcome.end {
    case .exited(0): return outcome.output
    case .exited(let status): throw failed("\(words[0]) ended with status \(status)", outcome)
    case .signalled(let signal): throw failed("\(words[0]) was ended by signal \(signal)", outcome)
    case .timedOut:
      throw failed("\(words[0]) did not end within \(description.timeout.formatted()) s (\"timeout\")", outcome)
    }
  }
}

/// A device's command that did not do what it should.
public struct CommandError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The device's name.
  public var device: String
  /// The key of the device file.
  public var key: String
  public var message: String
  /// What it printed nevertheless.
  var output: [UInt8] = []

  public var description: String { "device \(device), command \"\(key)\": \(message)" }
}
