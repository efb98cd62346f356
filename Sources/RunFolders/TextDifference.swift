internal import Foundation

/// The first line at which two texts differ, with the YAML key that the line stands under.
struct TextDifference: Hashable {
  /// Counted from 1.
  var line: Int
  /// The keys that lead to the line, such as `train.epochs`; nil for a line that has none.
  var key: String?
  /// The line in each text, without the blanks around it; nil where a text has ended.
  var first: String?
  var second: String?

  /// nil if the texts are the same.
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
