/// Images and their classes, as tensors.
public struct TrainingBatch {
  /// `[N, C, H, W]`, normalised.
  public let images: Tensor
  /// `[N]`, 64-bit integers.
  public let labels: Tensor

  public init(images: Tensor, labels: Tensor) {
    self.images = images
    self.labels = labels
  }
}

/// The learning rate of a step: linear warm-up, then half a cosine down to 0.
public struct CosineSchedule: Hashable, Sendable {
  public var peak: Double
  public var warmUpSteps: Int
  public var totalSteps: Int

  public init(peak: Double, warmUpSteps: Int, totalSteps: Int) {
    self.peak = peak
    self.warmUpSteps = warmUpSteps
    self.totalSteps = totalSteps
  }

  public func callAsFunction(_ step: Int) -> Double {
    if step < warmUpSteps { return peak * Double(step + 1) / Double(warmUpSteps) }
    let share = Double(step - warmUpSteps) / Double(max(1, totalSteps - warmUpSteps))
    return peak * 0.5 * (1 + cos(.pi * min(1, share)))
  }
}

/// Gradients of several losses, added up parameter by parameter.
public struct GradientSum {
  public private(set) var sums: [Tensor?]

  public init(count: Int) { sums = Array(repeating: nil, count: count) }

  /// Adds `factor * gradients`; the tensors are taken over.
  public mutating func add(_ gradients: [Tensor?], factor: Double = 1) throws {
    for (index, gradient) in gradients.enumerated() {
      guard let gradient else { continue }
      if let sum = sums[index] {
        try sum.accumulate(gradient, factor: factor)
      } else {
        // A gradient may share its elements with another's: make it our own before anything is added to it.
        sums[index] = factor == 1 ? try gradient.copy() : try gradient * factor
      }
    }
  }
}

/// Why a training cannot go on.
public struct TrainingError: Error, Hashable, Sendable, CustomStringConvertible {
  public var message: String
  public init(_ message: String) { self.message = message }
  public var description: String { message }
}

/// Why what was trained cannot be gone on with: it has to go back to an earlier state, and on at a lower rate.
public struct TrainingCollapse: Error, Hashable, Sendable, CustomStringConvertible {
  /// The step at which it showed, counted from 0.
  public var step: Int
  /// What was seen, with numbers.
  public var reason: String

  public init(step: Int, reason: String) {
    self.step = step
    self.reason = reason
  }

  public var description: String { "step \(step): \(reason)" }
}

/// Runs optimiser steps whose gradients several workers compute side by side, each on its own part of the batch: the
/// threads of a pool, and, in a group of processes, those of all pools.
public struct TrainingLoop {
  /// The workers that share each batch; `nil` to compute on the calling thread.
  public let pool: WorkerPool?
  public var schedule: CosineSchedule
  /// Joint norm to which gradients are scaled down, or `nil`.
  public let maximumNorm: Double?
  /// The processes that share each batch; all have pools of the same size. `nil` for this one alone.
  public let group: ProcessGroup?

  public init(pool: WorkerPool?, schedule: CosineSchedule, maximumNorm: Double?, group: ProcessGroup? = nil) {
    self.pool = pool
    self.schedule = schedule
    self.maximumNorm = maximumNorm
    self.group = group
  }

  /// Workers of all processes.
  public var workers: Int { (pool?.count ?? 1) * (group?.size ?? 1) }

  /// What a step came to, the same in all processes.
  public struct Outcome: Hashable, Sendable {
    /// Mean over the batch.
    public let loss: Double
    /// Whether any process was asked to stop.
    public let isStopRequested: Bool
  }

  /// What a worker hands back for one step.
  public struct Contribution {
    public var gradients: GradientSum
    /// For the record; of the largest subnet, where there are several.
    public var loss: Double

    public init(gradients: GradientSum, loss: Double) {
      self.gradients = gradients
      self.loss = loss
    }
  }

  /// One step: every worker's gradients, averaged over the workers in their order, then over the processes; then the
  /// optimiser. Every process makes the same step, bit by bit.
  ///
  /// - Parameters:
  ///   - stopRequested: Whether this process was asked to stop; the step is made all the same.
  ///   - contribution: A worker's part; workers are counted over all processes.
  /// - Throws: `TrainingCollapse` where a loss or gradient is not finite. The parameters are as before the step if it is a
  ///   gradient.
  public func step(
    _ step: Int, optimizer: SGD, stopRequested: Bool = false, contribution: (_ worker: Int) throws -> Contribution
  ) throws -> Outcome {
    let ownWorkers = pool?.count ?? 1
    let first = (group?.rank ?? 0) * ownWorkers
    var parts = [Contribution?](repeating: nil, count: ownWorkers)
    if let pool {
      try parts.withUnsafeMutableBufferPointer { slots in
        // Each worker writes to its own slot, and the slots are read when all are through.
        nonisolated(unsafe) let slots = slots
        try pool.run { slots[$0] = try contribution(first + $0) }
      }
    } else {
      parts[0] = try contribution(first)
    }
    var total = GradientSum(count: optimizer.parameters.count)
    var loss = 0.0
    for part in parts {
      try total.add(part!.gradients.sums, factor: 1 / Double(workers))
      loss += part!.loss / Double(workers)
    }
    var isStopRequested = stopRequested
    if let group {
      try group.sum(total.sums)
      let sums = try group.sum([loss, stopRequested ? 1 : 0])
      loss = sums[0]
      isStopRequested = sums[1] > 0
    }
    let report = try optimizer.step(
      gradients: total.sums, learningRate: schedule(step), maximumNorm: maximumNorm)
    guard report.isApplied, loss.isFinite else {
      throw TrainingCollapse(
        step: step, reason: "the loss is \(loss) and the gradients' norm \(report.gradientNorm)")
    }
    return Outcome(loss: loss, isStopRequested: isStopRequested)
  }
}

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Darwin)
  private import Darwin
#elseif canImport(Musl)
  private import Musl
#endif
