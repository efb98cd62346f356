/// A table, for a page and for a terminal alike.
public struct Table: Hashable, Sendable {
  public enum Alignment: Hashable, Sendable {
    case text
    /// To the right, with figures of equal width. Rows of one column are meant to have the same decimals.
    case number
  }

  public struct Column: Hashable, Sendable {
    public var header: String
    /// Stands in the header, in brackets, so that the cells are bare figures.
    public var unit: String
    public var alignment: Alignment

    public init(_ header: String, unit: String = "", alignment: Alignment = .text) {
      self.header = header
      self.unit = unit
      self.alignment = alignment
    }

    /// A column of figures.
    public static func number(_ header: String, unit: String = "") -> Column {
      Column(header, unit: unit, alignment: .number)
    }

    var heading: String { unit.isEmpty ? header : "\(header) (\(unit))" }
  }

  public struct Cell: Hashable, Sendable, ExpressibleByStringLiteral {
    public var text: String
    /// The best of its column, or whatever else the eye should find first.
    public var isEmphasised: Bool
    /// Set in the fixed-width face: encodings, file names.
    public var isCode: Bool

    public init(_ text: String, isEmphasised: Bool = false, isCode: Bool = false) {
      self.text = text
      self.isEmphasised = isEmphasised
      self.isCode = isCode
    }

    public init(stringLiteral value: String) { self.init(value) }

    /// An encoding or a file name.
    public static func code(_ text: String) -> Cell { Cell(text, isCode: true) }
  }

  public var caption: String
  public var columns: [Column]
  /// Cells by row; missing ones at the end of a row stay empty.
  ///
  /// - Precondition: no row has more cells than there are columns; checked when the table is rendered.
  public var rows: [[Cell]]

  public init(caption: String = "", columns: [Column], rows: [[Cell]]) {
    self.caption = caption
    self.columns = columns
    self.rows = rows
  }

  func cell(_ row: Int, _ column: Int) -> Cell {
    precondition(rows[row].count <= columns.count, "row \(row) has more cells than the table has columns")
    return column < rows[row].count ? rows[row][column] : Cell("")
  }
}
