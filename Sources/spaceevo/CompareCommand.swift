import ArgumentParser
import Foundation
import Pipeline

struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "The space found against hand-designed and random ones: same budget, same device, measured files.",
    discussion: """
      Runs what is missing of the run up to the design, then trains, searches, exports and measures every space once a \
      seed. Stopped at any moment, the same command goes on. The page is comparison.html in the run folder.
      """)

  @OptionGroup var options: RunOptions

  @Option(parsing: .unconditional, help: "How many seeds each space is trained with.")
  var seeds = 2

  @Option(parsing: .unconditional, help: "How many random spaces take part.")
  var random = 2

  @Option(
    help: ArgumentHelp(
      "Also design a space for this device, and time each of the two spaces found on both devices.",
      valueName: "device"))
  var crosswise: String?

  func validate() throws {
    guard (1...1_000).contains(seeds) else { throw ValidationError("--seeds \(seeds): right would be 1 to 1000.") }
    guard (0...1_000).contains(random) else { throw ValidationError("--random \(random): right would be 0 to 1000.") }
  }

  func run() throws {
    let (text, page) = try options.open().compare(repetitions: seeds, randomSpaces: random, otherDevice: crosswise)
    print(text)
    print("Comparison: \(page.path(percentEncoded: false))")
  }
}
