internal import Foundation

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

/// What of the machine decides how fast a network runs on it.
public struct Machine: Codable, Hashable, Sendable {
  /// The processor's own name, such as "AMD EPYC 9B14".
  public var processor: String
  /// Those of `Machine.instructionSetsOfInterest` that the processor has, as the kernel names them.
  public var instructionSets: [String]
  /// Logical cores that this process may run on.
  public var cores: Int
  /// Main memory in bytes.
  public var memoryBytes: UInt64
  /// The operating system's name and version, and the kernel's.
  public var operatingSystem: String

  /// Instruction sets that integer or narrow floating-point kernels choose their code by.
  public static let instructionSetsOfInterest = [
    "avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "i8mm",
  ]

  /// The machine that this process runs on.
  public static func current() -> Machine {
    let facts = processorFacts()
    return Machine(
      processor: facts.name, instructionSets: instructionSetsOfInterest.filter(facts.flags.contains),
      cores: ProcessInfo.processInfo.activeProcessorCount, memoryBytes: ProcessInfo.processInfo.physicalMemory,
      operatingSystem: operatingSystemName())
  }

  #if canImport(Darwin)
    private static func processorFacts() -> (name: String, flags: Set<String>) {
      let names = ["asimddp": "hw.optional.arm.FEAT_DotProd", "i8mm": "hw.optional.arm.FEAT_I8MM"]
      let flags = names.filter { systemText($0.value)?.first.map { $0 != "\0" } ?? false }
      return (systemText("machdep.cpu.brand_string")?.trimmingCharacters(in: ["\0"]) ?? "unknown", Set(flags.keys))
    }

    private static func systemText(_ name: String) -> String? {
      var size = 0
      guard sysctlbyname(name, nil, &size, nil, 0) == 0 else { return nil }
      var bytes = [UInt8](repeating: 0, count: size)
      guard sysctlbyname(name, &bytes, &size, nil, 0) == 0 else { return nil }
      return String(decoding: bytes, as: UTF8.self)
    }

    private static func operatingSystemName() -> String {
      "macOS " + ProcessInfo.processInfo.operatingSystemVersionString
    }
  #else
    private static func processorFacts() -> (name: String, flags: Set<String>) {
      let keys = keyedLines(of: "/proc/cpuinfo", separator: ":")
      let flags = (keys["flags"] ?? keys["Features"] ?? "").split(separator: " ").map(String.init)
      return (keys["model name"] ?? keys["CPU part"].map { "ARM part \($0)" } ?? "unknown", Set(flags))
    }

    private static func operatingSystemName() -> String {
      let name = keyedLines(of: "/etc/os-release", separator: "=")["PRETTY_NAME"] ?? "Linux"
      let kernel = (try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)) ?? ""
      return name.trimmingCharacters(in: ["\""]) + ", kernel " + kernel.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The "key separator value" lines of a file; of a repeated key (one block a core) the first.
    private static func keyedLines(of path: String, separator: Character) -> [String: String] {
      guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [:] }
      let pairs = text.split(separator: "\n").compactMap { line -> (String, String)? in
        let parts = line.split(separator: separator, maxSplits: 1)
        guard parts.count == 2 else { return nil }
        return (parts[0].trimmingCharacters(in: .whitespaces), parts[1].trimmingCharacters(in: .whitespaces))
      }
      return Dictionary(pairs) { first, _ in first }
    }
  #endif
}
