internal import Synchronization

/// How far one step of a run is, told through a `ProgressDisplay`. Any thread may count units.
///
///     let step = display.begin("Measure kernels", unit: "kernels", total: 2_162, alreadyDone: 940)
///     defer { step.finish() }
///     for kernel in missing {
///       try log.append(measure(kernel))
///       step.advance()
///     }
public final class StepProgress: Sendable {
  private struct State {
    var estimate: ProgressEstimate
    var isFinished = false
  }

  private let display: ProgressDisplay
  private let name: String
  private let unit: String
  private let state: Mutex<State>

  init(display: ProgressDisplay, name: String, unit: String, total: Int?, alreadyDone: Int) {
    self.display = display
    self.name = name
    self.unit = unit
    let estimate = ProgressEstimate(started: display.now(), total: total, alreadyDone: alreadyDone)
    state = Mutex(State(estimate: estimate))
    display.show(line(estimate, at: estimate.started), .begin)
  }

  /// Counts `units` more as done.
  ///
  /// - Parameter detail: what else is worth a word at this moment, such as "loss 0.31".
  public func advance(by units: Int = 1, detail: String? = nil) {
    let estimate = state.withLock { state in
      state.estimate.done += units
      return state.estimate
    }
    display.showIfDue { line(estimate, at: $0, detail: detail) }
  }

  /// Ends the step with a last line. Further calls do nothing.
  public func finish() {
    let estimate = state.withLock { state -> ProgressEstimate? in
      defer { state.isFinished = true }
      return state.isFinished ? nil : state.estimate
    }
    guard let estimate else { return }
    let now = display.now()
    let worked = estimate.doneHere > 0 ? " in \(spoken(seconds: now - estimate.started))" : ""
    display.show("\(name): \(amount(estimate))\(worked)", .end)
  }

  private func line(_ estimate: ProgressEstimate, at now: Double, detail: String? = nil) -> String {
    var parts = [amount(estimate)]
    if let rate = estimate.rate(at: now) { parts.append("\(spoken(rate: rate, unit: unit))") }
    if let left = estimate.secondsLeft(at: now) { parts.append("\(spoken(seconds: left)) left") }
    if let detail { parts.append(detail) }
    return "\(name): \(parts.joined(separator: ", "))"
  }

  private func amount(_ estimate: ProgressEstimate) -> String {
    guard let total = estimate.total else { return "\(estimate.done) \(unit)" }
    return "\(estimate.done) of \(total) \(unit)"
  }
}

/// The arithmetic of progress. Units that an earlier run finished count as done but not for the rate.
struct ProgressEstimate {
  /// Seconds on the display's clock.
  let started: Double
  let total: Int?
  let alreadyDone: Int
  var done: Int

  init(started: Double, total: Int?, alreadyDone: Int) {
    self.started = started
    self.total = total
    self.alreadyDone = alreadyDone
    done = alreadyDone
  }

  /// Units done since the step began here.
  var doneHere: Int { done - alreadyDone }

  /// Units a second; nil while nothing is known.
  func rate(at now: Double) -> Double? {
    let elapsed = now - started
    return doneHere > 0 && elapsed > 0 ? Double(doneHere) / elapsed : nil
  }

  /// nil while the rate or the total is not known, and when nothing is left.
  func secondsLeft(at now: Double) -> Double? {
    guard let total, total > done, let rate = rate(at: now) else { return nil }
    return Double(total - done) / rate
  }
}

/// A length of time as a person says it: "45 s", "1 min 20 s", "2 h 5 min".
func spoken(seconds: Double) -> String {
  guard seconds.isFinite, seconds < 1e9 else { return "a very long time" }
  let whole = Int(seconds.rounded())
  if whole < 60 { return "\(whole) s" }
  if whole < 3600 { return whole % 60 == 0 ? "\(whole / 60) min" : "\(whole / 60) min \(whole % 60) s" }
  let minutes = (whole + 30) / 60
  return minutes % 60 == 0 ? "\(minutes / 60) h" : "\(minutes / 60) h \(minutes % 60) min"
}

/// A rate with the time unit that keeps the number readable: "12 images/s", "4.5 blocks/min", "2.1 epochs/h".
func spoken(rate: Double, unit: String) -> String {
  let (value, time) = rate >= 1 ? (rate, "s") : rate * 60 >= 1 ? (rate * 60, "min") : (rate * 3600, "h")
  let digits = value >= 10 ? "\(Int(value.rounded()))" : "\((value * 10).rounded() / 10)"
  return "\(digits) \(unit)/\(time)"
}
