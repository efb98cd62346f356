/// A ``Table`` as lines of text for a terminal: units in the header, figures to the right.
public struct TextTable: Hashable, Sendable {
  public var table: Table

  public init(_ table: Table) { self.table = table }

  /// The lines, each ended by a newline; no line ends in spaces.
  public func text() -> String {
    let widths = table.columns.indices.map { column in
      table.rows.indices.reduce(Self.width(of: table.columns[column].heading)) { widest, row in
        max(widest, Self.width(of: clean(table.cell(row, column).text)))
      }
    }
    var lines = [line(table.columns.map(\.heading), widths)]
    lines.append(widths.map { String(repeating: "-", count: $0) }.joined(separator: "  "))
    for row in table.rows.indices {
      lines.append(line(table.columns.indices.map { clean(table.cell(row, $0).text) }, widths))
    }
    return (table.caption.isEmpty ? "" : table.caption + "\n") + lines.map { $0 + "\n" }.joined()
  }

  private func line(_ cells: [String], _ widths: [Int]) -> String {
    var line = ""
    for (column, text) in cells.enumerated() {
      if column > 0 { line += "  " }
      let padding = String(repeating: " ", count: widths[column] - Self.width(of: text))
      line += table.columns[column].alignment == .number ? padding + text : text + padding
    }
    while line.last == " " { line.removeLast() }
    return line
  }

  /// One line, whatever the cell holds; the thin space of counts becomes a plain one, which every terminal has.
  private func clean(_ text: String) -> String {
    String(
      text.map { character in
        character.isNewline || character == "\t" || NumberText.thinSpace.contains(character) || character == "\u{A0}"
          ? " " : character
      })
  }

  /// Columns of the terminal that the text takes: two for characters of East Asian scripts and for emoji, one for others.
  private static func width(of text: String) -> Int {
    text.reduce(0) { sum, character in
      guard let first = character.unicodeScalars.first else { return sum }
      switch first.value {
      case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
        0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
        return sum + 2
      default: return sum + 1
      }
    }
  }
}
