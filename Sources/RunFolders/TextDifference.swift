internal import Foundation

/// A line at which two texts differ, with the YAML key that the line stands under.
public struct TextDifference: Hashable, Sendable {
  /// Counted from 1.
  public var line: Int
  /// The keys that lead to the line, such as `train.epochs`; nil for a line that has none.
  public var key: String?
  /// The line in each text, without the blanks around it; nil where a text has ended.
  public var first: String?
  public var second: String?

  /// Every line that differs; of texts of unequal length only the first, since what follows is shifted.
  public static func all(_ first: String, _ second: String) -> [TextDifference] {
    let lines = [first, second].map { $0.split(separator: "\n", omittingEmptySubsequences: false) }
    guard lines[0].count == lines[1].count else { return TextDifference(first, second).map { [$0] } ?? [] }
    return lines[0].indices.filter { lines[0][$0] != lines[1][$0] }.map {
      TextDifference(
        line: $0 + 1, key: key(ofLine: $0, in: lines[0]), first: shown(lines[0], $0), second: shown(lines[1], $0))
    }
  }

  private init(line: Int, key: String?, first: String?, second: String?) {
    (self.line, self.key, self.first, self.second) = (line, key, first, second)
  }

  /// The first difference; nil if the texts are the same.
  init?(_ first: String, _ second: String) {
    guard first != second else { return nil }
    let firstLines = first.split(separator: "\n", omittingEmptySubsequences: false)
    let secondLines = second.split(separator: "\n", omittingEmptySubsequences: false)
    let same = zip(firstLines, secondLines).prefix { $0 == $1 }.count
    line = same + 1
    let lines = same < firstLines.count ? firstLines : secondLines
    key = TextDifference.key(ofLine: same, in: lines)
    self.first = TextDifference.shown(firstLines, same)
    self.second = TextDifference.shown(secondLines, same)
  }

  private static func shown(_ lines: [Substring], _ index: Int) -> String? {
    index < lines.count ? lines[index].trimmingCharacters(in: .whitespaces) : nil
  }

  private static func key(ofLine index: Int, in lines: [Substring]) -> String? {
    var keys: [Substring] = []
    var indentation = Int.max
    for line in lines[...index].reversed() {
      let depth = line.prefix { $0 == " " }.count
      guard depth < indentation, let colon = line.firstIndex(of: ":") else { continue }
      let name = line[..<colon].drop { $0 == " " || $0 == "-" }
      if name.isEmpty || name.first == "#" { continue }
      keys.append(name)
      indentation = depth
    }
    return keys.isEmpty ? nil : keys.reversed().joined(separator: ".")
  }
}
