import ArgumentParser
import Foundation
import Pipeline
import SearchSpaces
import SpaceEvolution

/// `--hyperspace`, a built-in name or a file.
struct HyperspaceOptions: ParsableArguments {
  @Option(help: "The hyperspace: \(Hyperspace.builtInNames.joined(separator: ", ")), or a YAML file.")
  var hyperspace: String

  func load() throws -> Hyperspace { try Program.hyperspace(hyperspace) }
}

/// `--json` and `--quiet`.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print one JSON value on standard output, and nothing else there.")
  var json = false

  @Flag(help: "No progress on standard error.")
  var quiet = false
}

/// Tables and the parameters of the Q-T score.
struct ScoreOptions: ParsableArguments {
  @OptionGroup var hyperspace: HyperspaceOptions

  @Option(help: "A folder of stage tables, published or our own.", completion: .directory)
  var tables: String

  @Option(name: .customLong("latency"), help: "A latency constraint in milliseconds; repeatable.")
  var latencies: [Double]

  @Option(help: "The score's t: the share of subnets under the constraint that is enough.")
  var fraction = 0.08

  @Option(help: "The score's a: how much a smaller share costs.")
  var exponent = 0.01

  @Option(
    name: .customLong("fixed-latency"),
    help: "Latency of the stages that are not searched, as RESOLUTION=MILLISECONDS; repeatable.")
  var fixedLatencies: [String] = []

  @Flag(help: "Count a row only after rows whose last width is its input width; the authors draw rows independently.")
  var widthConsistent = false

  @Option(help: "Threads.")
  var threads = 2

  var rule: SubnetRule { widthConsistent ? .widthConsistent : .independent }

  mutating func validate() throws {
    guard !latencies.isEmpty else { throw ValidationError("Give at least one --latency in milliseconds.") }
    for latency in latencies where !(latency > 0 && latency.isFinite) {
      throw ValidationError("--latency \(latency): a positive number of milliseconds is right.")
    }
    guard Set(latencies).count == latencies.count else {
      throw ValidationError("--latency: the same latency is given twice, and would count twice; give each once.")
    }
    guard fraction > 0, fraction <= 1 else { throw ValidationError("--fraction is a share: above 0, at most 1.") }
    guard exponent >= 0, exponent <= 10 else { throw ValidationError("--exponent is from 0 to 10.") }
    guard (1...256).contains(threads) else { throw ValidationError("--threads is from 1 to 256.") }
    _ = try fixed()
  }

  /// Milliseconds by resolution.
  func fixed() throws -> [Int: Double] {
    var result: [Int: Double] = [:]
    for item in fixedLatencies {
      let parts = item.split(separator: "=", omittingEmptySubsequences: false)
      guard parts.count == 2, let resolution = Int(parts[0]), let milliseconds = Double(parts[1]), milliseconds >= 0,
        milliseconds.isFinite
      else {
        throw ValidationError("--fixed-latency \(item): write RESOLUTION=MILLISECONDS, such as 224=0.8.")
      }
      guard result.updateValue(milliseconds, forKey: resolution) == nil else {
        throw ValidationError("--fixed-latency: resolution \(resolution) is given twice.")
      }
    }
    return result
  }
}

/// Prints a value as JSON: sorted keys, so that equal results are equal texts.
func printJSON(_ value: some Encodable) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  print(String(decoding: try encoder.encode(value), as: UTF8.self))
}
