import Foundation
import Parsers
import SearchSpaces
import Testing

/// Every parser on inputs that somebody changed: each is read, or refused with a message; none ends the process.
@Suite("Hostile inputs")
struct HostileInputTests {
  /// The runtimes' own readers are not ours to mend, so they are left to `make fuzz`.
  static let parsers = Parser.all.map(\.name).filter { !["onnxruntime", "openvino"].contains($0) }

  @Test("Every parser takes what fuzzing starts from", arguments: parsers)
  func seeds(name: String) throws {
    let parser = try #require(Parser.named(name))
    let seeds = try parser.seeds()
    #expect(!seeds.isEmpty)
    for seed in seeds { try parser.read(seed) }
  }

  @Test("Every parser reads or refuses thousands of changed inputs", arguments: parsers)
  func mutations(name: String) throws {
    let parser = try #require(Parser.named(name))
    let seeds = try parser.seeds()
    var generator = SeededGenerator(seed: 1, stream: "mutations-\(name)")
    // A report is a whole page each time. More on demand, for a machine that has the night.
    let wanted = ProcessInfo.processInfo.environment["SPACEEVO_HOSTILE_INPUTS"].flatMap { Int($0) } ?? 3_000
    let count = name == "report" ? max(1, wanted / 10) : wanted
    for _ in 0..<count {
      let input = generator.choose(seeds).mutated(with: generator.choose(seeds), using: &generator)
      do { try parser.read(input) } catch {
        guard !(error is UnfaithfulParser), !"\(error)".isEmpty else {
          Issue.record("\(error) for \(Data(input).base64EncodedString())")
          return
        }
      }
    }
  }

  @Test("Every input that was once trouble is read or refused", arguments: parsers)
  func regressions(name: String) throws {
    let parser = try #require(Parser.named(name))
    for file in try Self.files(of: name) {
      do { try parser.read([UInt8](Data(contentsOf: file))) } catch {
        #expect(!(error is UnfaithfulParser) && !"\(error)".isEmpty, "\(file.lastPathComponent): \(error)")
      }
    }
  }

  private static func files(of name: String) throws -> [URL] {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Inputs/\(name)")
    guard FileManager.default.fileExists(atPath: folder.path) else { return [] }
    return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
      .filter { !$0.lastPathComponent.hasPrefix(".") }.sorted { $0.lastPathComponent < $1.lastPathComponent }
  }
}

extension [UInt8] {
  /// Numbers and signs at which programs go wrong.
  private static let words: [[UInt8]] =
    [
      "0", "-1", "9223372036854775807", "-9223372036854775808", "18446744073709551616", "1e308", "-1e308", "1e-320",
      "nan",
      "inf", "-", "/", "../../x", "\"", "'", "[", "]", "{", "}", ":", ",", "#", "\n", "*a", "&a ", "\0", "null",
      "\u{85}",
    ].map { Array($0.utf8) } + [
      [0xff], [0xff, 0xff, 0xff, 0xff], [0x7f, 0xff, 0xff, 0xff], [0xff, 0xff, 0xff, 0x7f], [0, 0, 0, 0x80],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], [0x80, 0x80, 0x80], [0xc0, 0xaf],
    ]

  /// One to six changes of the kinds that fuzzers make.
  fileprivate func mutated(with other: [UInt8], using generator: inout SeededGenerator) -> [UInt8] {
    var bytes = self
    for _ in 0..<(1 + generator.next(below: 6)) {
      let place = bytes.isEmpty ? 0 : generator.next(below: bytes.count)
      let length = Swift.min(bytes.count - place, 1 + generator.next(below: 16))
      switch generator.next(below: 8) {
      case 0: if !bytes.isEmpty { bytes[place] ^= 1 << UInt8(generator.next(below: 8)) }
      case 1: if !bytes.isEmpty { bytes[place] = UInt8(generator.next(below: 256)) }
      case 2: bytes.removeSubrange(place..<place + length)
      case 3: bytes.insert(contentsOf: bytes[place..<place + length], at: place)
      case 4: bytes.insert(contentsOf: generator.choose(Self.words), at: place)
      case 5: bytes.replaceSubrange(place..<place + length, with: generator.choose(Self.words))
      case 6: bytes.removeSubrange(place...)
      default:
        guard !other.isEmpty else { continue }
        let start = generator.next(below: other.count)
        let end = Swift.min(other.count, start + 1 + generator.next(below: 64))
        bytes.insert(contentsOf: other[start..<end], at: place)
      }
    }
    return bytes
  }
}
