public import DeviceLatency
public import Foundation
import InputFiles

/// What the probe read at full speed in the last sessions on this machine, kept from one process to the next.
///
/// A session that falls into a slow state of the host from beginning to end cannot know it by itself. The lower quartile
/// of the last sessions' levels tells it; what is older than a day does not count, since machines are moved and changed.
public struct ProbeHistory: Sendable {
  public var file: URL

  private static let sessions = 15
  private static let memory: TimeInterval = 86_400

  private struct Session: Codable {
    var device: DeviceIdentity
    var nanoseconds: Double
    var secondsSince1970: Double
  }

  public init(file: URL) { self.file = file }

  /// `spaceevo/probes.json` in the user's cache folder (`XDG_CACHE_HOME`, else `~/.cache`).
  public static var standard: ProbeHistory {
    let environment = ProcessInfo.processInfo.environment
    let cache =
      environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : URL(filePath: $0) }
      ?? FileManager.default.homeDirectoryForCurrentUser.appending(path: ".cache")
    return ProbeHistory(file: cache.appending(path: "spaceevo/probes.json"))
  }

  /// Nanoseconds of the probe at full speed in earlier sessions; `nil` where nothing is known.
  public func level(of device: DeviceIdentity, now: Date = Date()) -> Double? {
    let levels = sessions(now: now).filter { $0.device == device }.map(\.nanoseconds)
    return levels.isEmpty ? nil : Statistics.quantile(levels, 0.25)
  }

  /// Adds what a session saw. A cache that cannot be written is none: nothing depends on it but the next session's doubt.
  public func remember(_ nanoseconds: Double, of device: DeviceIdentity, now: Date = Date()) {
    guard nanoseconds.isFinite, nanoseconds > 0 else { return }
    var sessions = sessions(now: now)
    sessions.append(Session(device: device, nanoseconds: nanoseconds, secondsSince1970: now.timeIntervalSince1970))
    let own = sessions.filter { $0.device == device }.suffix(ProbeHistory.sessions)
    let kept = sessions.filter { $0.device != device } + own
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try? FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try? encoder.encode(kept).write(to: file, options: .atomic)
  }

  private func sessions(now: Date) -> [Session] {
    guard let data = try? InputFile.bytes(of: file, atMost: 1 << 20),
      let sessions = try? JSONDecoder().decode([Session].self, from: data)
    else { return [] }
    return sessions.filter {
      $0.nanoseconds > 0 && abs(now.timeIntervalSince1970 - $0.secondsSince1970) < ProbeHistory.memory
    }
  }
}
