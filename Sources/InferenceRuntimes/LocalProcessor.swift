import DeviceLatency
import Foundation

#if canImport(Darwin)
  import Darwin
#endif

extension DeviceIdentity {
  /// The identity of a runtime on the processor that this process runs on.
  init(local name: String, version: String, threads: Int) {
    self.init(
      name: name, version: version, processor: LocalProcessor.name, instructionSets: LocalProcessor.instructionSets,
      threads: threads)
  }
}

/// The processor as the operating system describes it.
private enum LocalProcessor {
  /// Names of the instruction sets that integer kernels choose by, as Linux writes them.
  private static let relevant: Set<String> = [
    "avx2", "avx512bw", "avx512_vnni", "avx_vnni", "amx_int8", "amx_tile", "asimddp", "i8mm", "sve", "sve2",
  ]

  #if os(Linux)
    private static let lines: [Substring] =
      (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.split(separator: "\n") ?? []

    private static func value(_ keys: [String]) -> String? {
      for line in lines {
        let parts = line.split(separator: ":", maxSplits: 1)
        if parts.count == 2, keys.contains(parts[0].trimmingCharacters(in: .whitespaces)) {
          return parts[1].trimmingCharacters(in: .whitespaces)
        }
      }
      return nil
    }

    /// The name, with family, model and stepping: clouds give different processors one name.
    static let name: String = {
      let name = value(["model name", "Model", "CPU part"]) ?? "unknown processor"
      guard let family = value(["cpu family"]), let model = value(["model"]) else { return name }
      return "\(name) \(family)/\(model)"
    }()

    static let instructionSets: [String] =
      (value(["flags", "Features"]) ?? "").split(separator: " ").map(String.init).filter(relevant.contains).sorted()
  #elseif canImport(Darwin)
    static let name: String = {
      var size = 0
      sysctlbyname("machdep.cpu.brand_string", nil, &size, nil, 0)
      var bytes = [UInt8](repeating: 0, count: max(size, 1))
      sysctlbyname("machdep.cpu.brand_string", &bytes, &size, nil, 0)
      return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }()
    static let instructionSets: [String] = []
  #else
    static let name = "unknown processor"
    static let instructionSets: [String] = []
  #endif
}
