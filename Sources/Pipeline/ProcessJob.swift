import Foundation
import RunFolders
import TorchTraining

/// The processes that do one run together: they find each other, agree on what the run is, and wait for rank 0 where it
/// works alone.
final class ProcessJob {
  let environment: JobEnvironment
  private let store: ProcessStore

  var leads: Bool { environment.rank == 0 }

  /// Finds the others' store.
  ///
  /// - Throws: `ProcessGroupError` where it cannot be reached within five minutes.
  init(_ environment: JobEnvironment) throws(ProcessGroupError) {
    self.environment = environment
    store = try ProcessStore(
      host: environment.host, port: environment.port, serves: leadsServing(environment),
      prefix: "spaceevo/\(environment.attempt)", timeoutSeconds: 300)
  }

  /// Waits until somebody has set a key.
  ///
  /// - Throws: `Interrupted` after a signal; `ProcessGroupError` where the process that keeps the store is gone.
  private func waitFor(_ key: String) throws -> String {
    while true {
      try Interruption.check()
      if let text = try store.text(key) { return text }
      Thread.sleep(forTimeInterval: 0.05)
    }
  }

  // MARK: Agreement

  /// Refuses processes that would not do the same run.
  ///
  /// - Parameter parts: Named texts that must be the same everywhere.
  /// - Throws: `TrainingError` in every process, which names the rank and the lines that differ.
  func agree(on parts: [Part]) throws {
    let rank = environment.rank
    let encoder = JSONEncoder()
    try store.set("parts/\(rank)", String(decoding: try encoder.encode(parts), as: UTF8.self))
    guard leads else {
      let verdict = try waitFor("verdict")
      try store.set("heard/\(rank)", "")
      guard verdict.isEmpty else { throw TrainingError(verdict) }
      return
    }
    var verdict = ""
    for other in 1..<environment.size where verdict.isEmpty {
      let theirs = try JSONDecoder().decode([Part].self, from: Data(try waitFor("parts/\(other)").utf8))
      verdict = Self.difference(parts, theirs, rank: other) ?? ""
    }
    try store.set("verdict", verdict)
    guard !verdict.isEmpty else { return }
    // The store goes with this process: let the others read first.
    let patience = ContinuousClock.now + .seconds(10)
    for other in 1..<environment.size {
      while try store.text("heard/\(other)") == nil, ContinuousClock.now < patience {
        Thread.sleep(forTimeInterval: 0.05)
      }
    }
    throw TrainingError(verdict)
  }

  struct Part: Codable, Hashable, Sendable {
    var name: String
    var text: String
  }

  /// What differs between rank 0's parts and another's; `nil` where nothing does.
  static func difference(_ own: [Part], _ theirs: [Part], rank: Int) -> String? {
    for (a, b) in zip(own, theirs) where a != b {
      let differences = TextDifference.all(a.text, b.text)
      let lines = differences.prefix(5).map { difference in
        let place = difference.key.map { "\($0) (line \(difference.line))" } ?? "line \(difference.line)"
        func quoted(_ line: String?) -> String { line.map { "\"\($0)\"" } ?? "nothing" }
        return "\(place): \(quoted(difference.first)) on rank 0, \(quoted(difference.second)) on rank \(rank)"
      }
      let more = differences.count > lines.count ? "; and \(differences.count - lines.count) more lines" : ""
      return
        "rank \(rank) has another \(a.name) than rank 0: \(lines.joined(separator: "; "))\(more). Nothing was changed: "
        + "start all processes with the same \(a.name)"
    }
    return own.count == theirs.count ? nil : "rank \(rank) runs another version of this program"
  }

  // MARK: Going on together

  /// Tells the others that rank 0 is through with something.
  func announce(_ what: String) throws { try store.set("done/\(what)", "") }

  /// Waits until rank 0 is through with something that it does alone.
  func wait(for what: String) throws { _ = try waitFor("done/\(what)") }

  /// Connects every process with every other.
  func group() throws(ProcessGroupError) -> ProcessGroup {
    try ProcessGroup(
      store, rank: environment.rank, size: environment.size, address: environment.isLoopback ? "127.0.0.1" : nil)
  }
}

private func leadsServing(_ environment: JobEnvironment) -> Bool {
  environment.rank == 0 && !environment.launcherServes
}
