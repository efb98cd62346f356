import CFuzzer
import Foundation
import Parsers

/// Fuzzes one parser with libFuzzer, see `make fuzz`.
///
///     spaceevo-fuzz list                    the parsers' names
///     spaceevo-fuzz seeds NAME FOLDER       writes the inputs that fuzzing starts from
///     spaceevo-fuzz words NAME              the words in them, as a dictionary of libFuzzer
///     spaceevo-fuzz run NAME [libFuzzer's options, folders and files]
@main
enum Fuzzer {
  static func main() {
    let arguments = Array(CommandLine.arguments.dropFirst())
    switch arguments.first {
    case "list": for parser in Parser.all { print(parser.name) }
    case "seeds" where arguments.count == 3: seeds(of: parser(arguments[1]), folder: arguments[2])
    case "words" where arguments.count == 2: words(of: parser(arguments[1]))
    case "run" where arguments.count >= 2: exit(run(parser(arguments[1]), Array(arguments.dropFirst(2))))
    default: fail("usage: spaceevo-fuzz list | seeds NAME FOLDER | words NAME | run NAME [OPTION …] [FOLDER …]")
    }
  }

  private static func fail(_ message: String) -> Never {
    FileHandle.standardError.write(Data("\(message)\n".utf8))
    exit(64)
  }

  private static func parser(_ name: String) -> Parser {
    guard let parser = Parser.named(name) else {
      fail("no parser is called \(name); there are \(Parser.all.map(\.name).joined(separator: ", "))")
    }
    return parser
  }

  private static func seeds(of parser: Parser, folder: String) {
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      for (index, seed) in try parser.seeds().enumerated() {
        // A seed that is refused starts nothing.
        try parser.read(seed)
        try Data(seed).write(to: URL(filePath: folder).appending(path: "seed-\(index)"))
      }
    } catch {
      fail("\(parser.name): \(error)")
    }
  }

  /// Without them, a fuzzer would have to guess every key of a file letter by letter.
  private static func words(of parser: Parser) {
    let seeds = (try? parser.seeds()) ?? []
    let words = Set(
      seeds.flatMap { seed in
        seed.split { byte in
          !(0x30...0x39).contains(byte) && !(0x61...0x7a).contains(byte | 0x20) && byte != 0x2d && byte != 0x5f
        }.filter { (2...24).contains($0.count) }.map { String(decoding: $0, as: UTF8.self) }
      })
    for word in words.sorted().prefix(400) { print("\"\(word)\"") }
  }

  nonisolated(unsafe) private static var target: Parser?

  /// Hands everything to libFuzzer's driver, which calls back for each input.
  private static func run(_ parser: Parser, _ options: [String]) -> Int32 {
    target = parser
    var words: [UnsafeMutablePointer<CChar>?] = (["spaceevo-fuzz"] + options).map { strdup($0) }
    words.append(nil)
    var count = Int32(words.count - 1)
    return words.withUnsafeMutableBufferPointer { buffer in
      var pointer = buffer.baseAddress
      return LLVMFuzzerRunDriver(&count, &pointer) { data, size in
        let bytes = [UInt8](UnsafeBufferPointer(start: data, count: size))
        do { try Fuzzer.target?.read(bytes) } catch let error as UnfaithfulParser {
          fatalError("\(error)")
        } catch {
          // A message is what a hostile input should end in.
        }
        return 0
      }
    }
  }
}
