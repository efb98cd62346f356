internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// Where progress is shown: one moving line on a terminal, now and then a plain line elsewhere; on standard error.
///
/// On a terminal the line is redrawn at most ten times a second. Elsewhere a step has a line at its beginning, at its
/// end, and between them at most every 15 seconds. Quiet, there are neither progress lines nor notes, only warnings.
public final class ProgressDisplay: Sendable {
  enum Moment { case begin, between, end }

  private struct State {
    var lastShown = -Double.infinity
    /// The text of the moving line on the terminal; empty when there is none.
    var movingLine = ""
  }

  private let isQuiet: Bool
  private let isTerminal: Bool
  private let write: @Sendable (String) -> Void
  let now: @Sendable () -> Double
  private let state = Mutex(State())

  /// Shows progress on standard error.
  public convenience init(isQuiet: Bool = false) {
    self.init(
      isQuiet: isQuiet, isTerminal: isatty(STDERR_FILENO) == 1, now: steadySeconds,
      write: { text in
        var text = text
        text.withUTF8 { bytes in _ = bytes.baseAddress.map { Self.put($0, bytes.count) } }
      })
  }

  /// A display with a clock (in seconds) and an output of the caller's.
  public init(
    isQuiet: Bool, isTerminal: Bool, now: @escaping @Sendable () -> Double, write: @escaping @Sendable (String) -> Void
  ) {
    self.isQuiet = isQuiet
    self.isTerminal = isTerminal
    self.now = now
    self.write = write
  }

  /// Begins a step.
  ///
  /// - Parameters:
  ///   - unit: what is counted, in the plural: "images".
  ///   - total: how many there are in all; nil if that is not known.
  ///   - alreadyDone: how many of `total` an earlier run has finished; they don't enter the remaining time.
  public func begin(_ name: String, unit: String, total: Int? = nil, alreadyDone: Int = 0) -> StepProgress {
    StepProgress(display: self, name: name, unit: unit, total: total, alreadyDone: alreadyDone)
  }

  /// Shows a line that stays.
  public func note(_ text: String) {
    if !isQuiet { putLine(text) }
  }

  /// Shows a line that stays, quiet or not: something that the user must know.
  public func warn(_ text: String) { putLine("warning: \(text)") }

  private func putLine(_ text: String) {
    let text = text.printable
    state.withLock { state in
      write((state.movingLine.isEmpty ? "" : Self.clearLine) + text + "\n" + state.movingLine)
    }
  }

  /// Shows a line of progress if enough time has passed since the last one; only then is it made.
  func showIfDue(_ line: (_ now: Double) -> String) {
    if isQuiet { return }
    let time = now()
    let isDue = state.withLock { state in
      let isDue = time - state.lastShown >= (isTerminal ? 0.1 : 15)
      if isDue { state.lastShown = time }
      return isDue
    }
    if isDue { show(line(time), .between) }
  }

  func show(_ line: String, _ moment: Moment) {
    if isQuiet { return }
    let line = line.printable
    let time = now()
    state.withLock { state in
      state.lastShown = time
      guard isTerminal else { return write(line + "\n") }
      let shown = String(line.prefix(Self.columns() - 1))
      state.movingLine = moment == .end ? "" : shown
      write(Self.clearLine + (moment == .end ? line + "\n" : shown))
    }
  }

  /// Back to the first column, and clear to the end of the line.
  private static let clearLine = "\r\u{1B}[K"

  private static func columns() -> Int {
    var size = winsize()
    return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 10 ? Int(size.ws_col) : 80
  }

  private static func put(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int {
    #if canImport(Glibc)
      Glibc.write(STDERR_FILENO, start, count)
    #else
      Darwin.write(STDERR_FILENO, start, count)
    #endif
  }
}

/// Seconds of a clock that never jumps.
private func steadySeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
