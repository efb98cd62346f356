public import TorchTraining

/// What a launcher (torchrun, Slurm, Kubernetes) tells each process of a job that trains together.
public struct JobEnvironment: Hashable, Sendable {
  /// From 0; the process of rank 0 writes the run folder.
  public var rank: Int
  /// How many processes there are; at least 2.
  public var size: Int
  /// Where rank 0, or the launcher, is reached.
  public var host: String
  public var port: Int
  /// Whether the launcher itself keeps the store that processes find each other by, as torchrun does.
  public var launcherServes: Bool
  /// Which attempt of the launcher's this is.
  public var attempt: String

  /// Reads `RANK`, `WORLD_SIZE`, `MASTER_ADDR` and `MASTER_PORT`; `nil` where there is one process only.
  ///
  /// - Throws: `TrainingError` that names the variable that is missing or wrong.
  public init?(_ environment: [String: String]) throws(TrainingError) {
    guard let text = environment["WORLD_SIZE"] else {
      guard environment["RANK"] == nil else {
        throw TrainingError("RANK is set and WORLD_SIZE is not: set both, MASTER_ADDR and MASTER_PORT, or none of them")
      }
      return nil
    }
    guard let size = Int(text), (1...100_000).contains(size) else {
      throw TrainingError("WORLD_SIZE=\(text): the number of processes is right here, from 1 to 100000")
    }
    if size == 1 { return nil }
    func value(_ name: String) throws(TrainingError) -> String {
      guard let value = environment[name], !value.isEmpty else {
        throw TrainingError("WORLD_SIZE is \(size), and \(name) is not set: a job of several processes needs it")
      }
      return value
    }
    func number(_ name: String, in range: ClosedRange<Int>) throws(TrainingError) -> Int {
      let text = try value(name)
      guard let number = Int(text), range.contains(number) else {
        throw TrainingError(
          "\(name)=\(text): a whole number from \(range.lowerBound) to \(range.upperBound) is right here")
      }
      return number
    }
    self.size = size
    rank = try number("RANK", in: 0...size - 1)
    host = try value("MASTER_ADDR")
    port = try number("MASTER_PORT", in: 1...65_535)
    launcherServes = environment["TORCHELASTIC_USE_AGENT_STORE"] == "True"
    attempt = environment["TORCHELASTIC_RESTART_COUNT"] ?? "0"
  }

  /// Whether all processes are on this machine and say so.
  var isLoopback: Bool { ["localhost", "127.0.0.1", "::1"].contains(host) }
}
