/// A figure for each pair of a row and a column, shaded by how far it is above or below a neutral value.
///
/// Made for speed-ups (operator by width, neutral value 1): shading goes by ratio, so twice as fast is as dark as half as
/// fast. Every cell has its figure, so nothing rests on colour; the worst and the best stand out by depth.
public struct HeatMap: Chart, Hashable {
  public var title: String
  /// What the figures are: “INT8 speed-up over float32”.
  public var quantity: String
  /// Set behind the figures in the description: “×”.
  public var unit: String
  /// What rows and columns are: “Operator”, “Channels”.
  public var rowHeading: String
  public var columnHeading: String
  public var rows: [String]
  public var columns: [String]
  /// By row, then column; `nil`, and what is not finite, stays blank.
  public var values: [[Double?]]
  /// The value with no shade.
  public var neutral: Double
  /// What values under and over the neutral one mean: “INT8 slower”, “INT8 faster”.
  public var below: String
  public var above: String

  public init(
    _ title: String, quantity: String, unit: String = "×", rowHeading: String, columnHeading: String, rows: [String],
    columns: [String], values: [[Double?]], neutral: Double = 1, below: String = "slower", above: String = "faster"
  ) {
    self.title = title
    self.quantity = quantity
    self.unit = unit
    self.rowHeading = rowHeading
    self.columnHeading = columnHeading
    self.rows = rows
    self.columns = columns
    self.values = values
    self.neutral = neutral
    self.below = below
    self.above = above
  }

  public var minimumWidth: Double { max(340, nameWidth(limit: 170) + Double(columns.count) * 44) }

  private func nameWidth(limit: Double) -> Double {
    ([rowHeading] + rows).map { min(TextMetrics.width($0, size: 12), limit) }.max()! + 12
  }

  private func value(_ row: Int, _ column: Int) -> Double? {
    guard row < values.count, column < values[row].count, let value = values[row][column], value.isFinite,
      value.magnitude <= 1e300
    else { return nil }
    return value
  }

  /// How far from neutral, between -1 and 1: by ratio where all is positive, by difference otherwise.
  private func strengths() -> [[Double?]] {
    let all = rows.indices.flatMap { row in columns.indices.compactMap { value(row, $0) } }
    let isRatio = neutral > 0 && all.allSatisfy { $0 > 0 }
    let distance = { (value: Double) in
      isRatio ? logarithm10(value) - logarithm10(neutral) : value / 2 - neutral / 2
    }
    let most = all.map { abs(distance($0)) }.max() ?? 0
    return rows.indices.map { row in
      columns.indices.map { column in value(row, column).map { most > 0 ? distance($0) / most : 0 } }
    }
  }

  public func drawing(width: Double) -> Drawing {
    let width = max(width, minimumWidth)
    let nameLimit = max(width * 0.3, 110)
    let left = nameWidth(limit: nameLimit)
    let cellWidth = columns.isEmpty ? 0 : min((width - left) / Double(columns.count), 84)
    let cellHeight = 27.0
    let top = 40.0
    var content = [
      Shape.text(rowHeading, x: left - 10, y: top - 8, anchor: .end, class: "axis-title"),
      Shape.text(columnHeading, x: left + 2, y: 12, class: "axis-title"),
    ]
    for (column, name) in columns.enumerated() {
      let text = TextMetrics.shortened(name, size: 12, limit: cellWidth - 2)
      let middle = left + (Double(column) + 0.5) * cellWidth
      content.append(Shape.text(text, x: middle, y: top - 8, anchor: .middle, class: "tick", full: name))
    }
    let strengths = strengths()
    let figure = NumberText.aligned(rows.indices.flatMap { row in columns.indices.compactMap { value(row, $0) } })
    for (row, name) in rows.enumerated() {
      let y = top + Double(row) * cellHeight
      let text = TextMetrics.shortened(name, size: 12, limit: nameLimit)
      content.append(Shape.text(text, x: left - 10, y: y + cellHeight / 2 + 4, anchor: .end, full: name))
      for column in columns.indices {
        content += cell(
          row, column, strengths[row][column], figure,
          Box(x: left + Double(column) * cellWidth, y: y, width: cellWidth, height: cellHeight))
      }
    }
    if rows.isEmpty || columns.isEmpty {
      content.append(Shape.text("no values", x: width / 2, y: top + 14, anchor: .middle, class: "note"))
    }
    let bottom = top + Double(max(rows.count, 1)) * cellHeight
    content.append(key(x: left, y: bottom + 14, width: width - left))
    return Drawing(width: width, height: bottom + 42, title: title, summary: summary(), content: content)
  }

  private func cell(_ row: Int, _ column: Int, _ strength: Double?, _ figure: (Double) -> String, _ box: Box)
    -> [Markup]
  {
    let (x, y, width, height) = (box.x + 1, box.y + 1, box.width - 2, box.height - 2)
    guard let value = value(row, column), let strength else {
      return [
        Shape.rectangle(x: x, y: y, width: width, height: height, radius: 2, class: "cell-none"),
        Shape.text("–", x: x + width / 2, y: y + height / 2 + 4, anchor: .middle, class: "note"),
      ]
    }
    let figure = figure(value)
    let text = TextMetrics.shortened(figure, size: 12, limit: width)
    return [
      Shape.rectangle(
        x: x, y: y, width: width, height: height, radius: 2, class: strength < 0 ? "cell-below" : "cell-above",
        opacity: 0.06 + 0.52 * abs(strength), tip: "\(rows[row]), \(columns[column]): \(figure) \(unit)"),
      Shape.text(text, x: x + width / 2, y: y + height / 2 + 4, anchor: .middle),
    ]
  }

  /// Which colour is which, in words.
  private func key(x: Double, y: Double, width: Double) -> Markup {
    let title = quantity.isEmpty ? "" : "\(quantity): "
    let start = TextMetrics.width(title, size: 12)
    let parts = [(below, "cell-below", [0.58, 0.38, 0.18]), (above, "cell-above", [0.18, 0.38, 0.58])]
    let belowWidth = TextMetrics.width(below, size: 12)
    let aboveWidth = TextMetrics.width(above, size: 12)
    let bar = 6 * 16.0
    let total = start + belowWidth + bar + aboveWidth + 16
    let indent = total > width ? -(x) : 0
    let from = x + indent + start
    var content = [Shape.text(title, x: x + indent, y: y + 10, class: "note")]
    content.append(Shape.text(below, x: from, y: y + 10))
    var place = from + belowWidth + 8
    for (_, name, opacities) in parts {
      for opacity in opacities {
        content.append(Shape.rectangle(x: place, y: y, width: 16, height: 12, class: name, opacity: opacity))
        place += 16
      }
    }
    content.append(Shape.text(above, x: place + 8, y: y + 10))
    return Shape.group("key", content)
  }

  private func summary() -> String {
    var cells: [(String, Double)] = []
    for row in rows.indices {
      for column in columns.indices {
        if let value = value(row, column) { cells.append(("\(rows[row]) at \(columns[column])", value)) }
      }
    }
    var text = "\(quantity) by \(rowHeading) and \(columnHeading): \(Quantity.of(cells.count, "value"))"
    if let least = cells.min(by: { $0.1 < $1.1 }), let most = cells.max(by: { $0.1 < $1.1 }) {
      text += ", from \(NumberText.significant(least.1)) \(unit) (\(least.0)) to "
      text += "\(NumberText.significant(most.1)) \(unit) (\(most.0))"
    }
    let missing = rows.count * columns.count - cells.count
    return text + (missing > 0 ? "; \(Quantity.of(missing, "value")) missing or not finite." : ".")
  }
}
