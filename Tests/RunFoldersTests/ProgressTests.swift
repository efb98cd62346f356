import RunFolders
import Synchronization
import Testing

@Suite struct ProgressTests {
  /// A display whose time the test sets and whose output it reads.
  private final class Stage: Sendable {
    let time = Mutex(1_000.0)
    let output = Mutex("")

    func display(isQuiet: Bool = false, isTerminal: Bool = false) -> ProgressDisplay {
      ProgressDisplay(isQuiet: isQuiet, isTerminal: isTerminal, now: { self.time.withLock { $0 } }) { text in
        self.output.withLock { $0 += text }
      }
    }

    func pass(_ seconds: Double) { time.withLock { $0 += seconds } }
    var text: String { output.withLock { $0 } }
    var lines: [String] { text.split(separator: "\n").map(String.init) }
  }

  @Test("Away from a terminal a step has a line at its beginning, one every 15 seconds, and one at its end")
  func plainLines() {
    let stage = Stage()
    let step = stage.display().begin("Distil", unit: "blocks", total: 100)
    for _ in 0..<40 {
      stage.pass(1)
      step.advance()
    }
    step.finish()
    step.finish()
    #expect(
      stage.lines == [
        "Distil: 0 of 100 blocks", "Distil: 15 of 100 blocks, 1.0 blocks/s, 1 min 25 s left",
        "Distil: 30 of 100 blocks, 1.0 blocks/s, 1 min 10 s left", "Distil: 40 of 100 blocks in 40 s",
      ])
  }

  @Test("What an earlier run finished counts as done but not for the remaining time")
  func resumed() {
    let stage = Stage()
    let step = stage.display().begin("Measure", unit: "kernels", total: 1_000, alreadyDone: 900)
    stage.pass(20)
    step.advance(by: 10, detail: "1 busy round")
    #expect(
      stage.lines == [
        "Measure: 900 of 1000 kernels", "Measure: 910 of 1000 kernels, 30 kernels/min, 3 min left, 1 busy round",
      ])
  }

  @Test("What a message quotes is shown and not obeyed: controls and turns of direction are written out")
  func printable() {
    #expect("a\u{1B}[2Jb\r\nc\td\u{202E}e\u{9B}ü日".printable == "a\\u{1B}[2Jb\\u{D}\nc\td\\u{202E}e\\u{9B}ü日")
    let stage = Stage()
    let display = stage.display()
    display.warn("key \"\u{1B}]0;title\u{7}\"")
    display.begin("Read \u{8}\u{8}", unit: "files").finish()
    #expect(!stage.text.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
    #expect(stage.lines.first == "warning: key \"\\u{1B}]0;title\\u{7}\"")
  }

  @Test("On a terminal one line moves, at most ten times a second, and notes stay above it")
  func movingLine() {
    let stage = Stage()
    let display = stage.display(isTerminal: true)
    let step = display.begin("Train", unit: "images")
    for _ in 0..<64 {
      stage.pass(1.0 / 64)
      step.advance(by: 100)
    }
    let redrawn = stage.text.split(separator: "\r")
    #expect((9...11).contains(redrawn.count))
    #expect(!stage.text.contains("\n"))
    display.note("a note")
    step.finish()
    #expect(stage.text.contains("\r\u{1B}[Ka note\nTrain: "))
    #expect(stage.text.hasSuffix("\r\u{1B}[KTrain: 6400 images in 1 s\n"))
  }

  @Test("Quiet, only warnings are shown")
  func quiet() {
    let stage = Stage()
    let display = stage.display(isQuiet: true)
    let step = display.begin("Train", unit: "images", total: 10)
    stage.pass(100)
    step.advance(by: 10)
    step.finish()
    display.note("a note")
    display.warn("another machine")
    #expect(stage.text == "warning: another machine\n")
  }

  @Test("Many threads count every unit")
  func threads() async {
    let stage = Stage()
    let step = stage.display().begin("Score", unit: "spaces", total: 4_000)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 { group.addTask { for _ in 0..<1_000 { step.advance() } } }
    }
    step.finish()
    #expect(stage.lines.last == "Score: 4000 of 4000 spaces in 0 s")
  }

  @Test(
    "The remaining time is said as a person says it",
    arguments: [
      (1.0, "1 s left"), (59.4, "59 s left"), (59.6, "1 min left"), (80, "1 min 20 s left"),
      (3_599, "59 min 59 s left"),
      (3_600, "1 h left"), (7_500, "2 h 5 min left"), (1e12, "a very long time left"),
    ])
  func remaining(seconds: Double, text: String) throws {
    let stage = Stage()
    // Half of the units are done in the time that the other half will take.
    let step = stage.display().begin("Step", unit: "units", total: 2)
    stage.pass(max(seconds, 15))
    step.advance()
    guard seconds >= 15 else {
      let late = stage.display().begin("Step", unit: "units", total: 16)
      stage.pass(15)
      late.advance(by: 15)
      return #expect(stage.lines.last?.hasSuffix(text) == true)
    }
    #expect(stage.lines.last?.hasSuffix(text) == true, "\(stage.lines)")
  }
}
