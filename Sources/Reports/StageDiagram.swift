/// Search spaces one below the other, stage by stage: which block type each has, and which window of the stage's widths.
///
/// Under them stands what they have in common: how many chose each block type, and how many windows hold each width. That is
/// what the device prefers.
public struct StageDiagram: Chart, Hashable {
  public struct Stage: Hashable, Sendable {
    public var name: String
    /// All the widths that a window can be chosen from, ascending, in channels.
    public var widths: [Int]

    public init(_ name: String, widths: [Int]) {
      self.name = name
      self.widths = widths
    }
  }

  public struct BlockType: Hashable, Sendable {
    /// One or two characters that stand for the type, as in an encoding.
    public var key: String
    public var name: String

    public init(key: String, name: String) {
      self.key = key
      self.name = name
    }
  }

  public struct Choice: Hashable, Sendable {
    /// An index into the diagram's block types.
    public var blockType: Int
    /// Indices into the stage's widths.
    public var window: Range<Int>

    public init(blockType: Int, window: Range<Int>) {
      self.blockType = blockType
      self.window = window
    }
  }

  public struct Space: Hashable, Sendable {
    /// “onnxw-151122-023231”.
    public var name: String
    /// The figure at the right end, already text: “0.4403”.
    public var figure: String
    /// One choice a stage.
    public var choices: [Choice]

    public init(_ name: String, figure: String = "", choices: [Choice]) {
      self.name = name
      self.figure = figure
      self.choices = choices
    }
  }

  public var title: String
  public var stages: [Stage]
  public var blockTypes: [BlockType]
  public var spaces: [Space]
  /// What the figures are: “Q-T score”.
  public var figureHeading: String

  public init(
    _ title: String, stages: [Stage], blockTypes: [BlockType], spaces: [Space], figureHeading: String = ""
  ) {
    self.title = title
    self.stages = stages
    self.blockTypes = blockTypes
    self.spaces = spaces
    self.figureHeading = figureHeading
  }

  public var minimumWidth: Double { max(340, nameWidth + figureWidth + Double(stages.count) * 72) }

  private var nameWidth: Double { (spaces.map { Self.codeWidth($0.name) }.max() ?? 0).clamped(to: 60...190) + 14 }

  private var figureWidth: Double {
    let widest = (spaces.map(\.figure) + [figureHeading]).map { TextMetrics.width($0, size: 12) }.max() ?? 0
    return widest > 0 ? min(widest, 110) + 10 : 0
  }

  private static func codeWidth(_ text: String) -> Double { Double(text.count) * 6.75 }

  private static let rowHeight = 25.0
  private static let head = 46.0

  /// The stretch of a stage's column that its widths are laid on, after the badge.
  private struct Column {
    var x: Double
    var width: Double
    var widths: [Int]

    var ladder: Double { x + 23 }
    var slot: Double { (width - 23 - 13) / Double(max(widths.count, 1)) }
  }

  public func drawing(width: Double) -> Drawing {
    let width = max(width, minimumWidth)
    let columnWidth = (width - nameWidth - figureWidth) / Double(max(stages.count, 1))
    let columns = stages.enumerated().map { index, stage in
      Column(x: nameWidth + Double(index) * columnWidth, width: columnWidth, widths: stage.widths)
    }
    var content: [Markup] = header(columns, width: width)
    for (row, space) in spaces.enumerated() {
      let y = Self.head + Double(row) * Self.rowHeight
      let name = fittedName(space.name)
      content.append(Shape.text(name, x: 0, y: y + 16, class: "code", full: space.name))
      for (column, choice) in zip(columns.indices, space.choices) {
        content += cell(columns[column], stages[column], choice, y: y)
      }
      content.append(Shape.text(space.figure, x: width, y: y + 16, anchor: .end))
    }
    var y = Self.head + Double(spaces.count) * Self.rowHeight
    if spaces.isEmpty {
      content.append(Shape.text("no spaces", x: width / 2, y: y + 14, anchor: .middle, class: "note"))
      y += Self.rowHeight
    } else {
      content += preferences(columns, y: y + 8, width: width)
      y += 76
    }
    let (key, height) = self.key(y: y + 8, width: width)
    content += key
    return Drawing(width: width, height: y + height + 8, title: title, summary: summary(), content: content)
  }

  private func fittedName(_ name: String) -> String {
    let most = Int((nameWidth - 14) / 6.75)
    return name.count > most ? String(name.prefix(max(most - 1, 1))) + "…" : name
  }

  private func header(_ columns: [Column], width: Double) -> [Markup] {
    var content: [Markup] = [
      Shape.text("Search space", x: 0, y: 14, class: "axis-title"),
      Shape.text("widths (channels)", x: 0, y: 33, class: "note"),
    ]
    if !figureHeading.isEmpty {
      let text = TextMetrics.shortened(figureHeading, size: 12, limit: figureWidth)
      content.append(Shape.text(text, x: width, y: 14, anchor: .end, class: "axis-title", full: figureHeading))
    }
    for (column, stage) in zip(columns, stages) {
      let name = TextMetrics.shortened(stage.name, size: 12, limit: column.width - 6)
      content.append(Shape.text(name, x: column.x, y: 14, class: "strong", full: stage.name))
      guard let first = stage.widths.first, let last = stage.widths.last else { continue }
      let end = column.ladder + column.slot * Double(stage.widths.count)
      let range = stage.widths.count > 1 ? "\(first)–\(last)" : String(first)
      content.append(Shape.text(range, x: end, y: 33, anchor: .end, class: "tick"))
    }
    content.append(Shape.line(0, Self.head - 5, width, Self.head - 5, class: "axis"))
    return content
  }

  private func cell(_ column: Column, _ stage: Stage, _ choice: Choice, y: Double) -> [Markup] {
    var content: [Markup] = []
    for slot in stage.widths.indices {
      content.append(
        Shape.rectangle(
          x: column.ladder + Double(slot) * column.slot, y: y + 4, width: column.slot, height: 16, class: "slot"))
    }
    guard blockTypes.indices.contains(choice.blockType) else { return content }
    let type = blockTypes[choice.blockType]
    let window = choice.window.clamped(to: stage.widths.indices)
    let range =
      window.isEmpty ? "no widths" : "\(stage.widths[window.lowerBound])–\(stage.widths[window.upperBound - 1])"
    var own = badge(type.key, x: column.x, y: y + 3)
    own.append(
      Shape.rectangle(
        x: column.ladder + Double(window.lowerBound) * column.slot, y: y + 4,
        width: Double(window.count) * column.slot, height: 16, class: "window",
        tip: "\(stage.name): \(type.key) \(type.name), widths \(range)"))
    content.append(Shape.group(ChartStyle.seriesClass(choice.blockType), own))
    return content
  }

  private func badge(_ key: String, x: Double, y: Double) -> [Markup] {
    [
      Shape.rectangle(x: x, y: y, width: 18, height: 18, radius: 4, class: "badge"),
      Shape.text(String(key.prefix(2)), x: x + 9, y: y + 13.2, anchor: .middle, class: "badge-text"),
    ]
  }

  /// How often each block type was chosen in a stage, and how often each of its widths lies in a window.
  private func preferences(_ columns: [Column], y: Double, width: Double) -> [Markup] {
    var content = [
      Shape.line(0, y - 5, width, y - 5, class: "axis"),
      Shape.text("Block types chosen", x: 0, y: y + 14, class: "axis-title"),
      Shape.text("Use of each width", x: 0, y: y + 46, class: "axis-title"),
    ]
    for (index, column) in columns.enumerated() {
      let choices = spaces.compactMap { index < $0.choices.count ? $0.choices[index] : nil }
      guard !choices.isEmpty else { continue }
      var x = column.x
      let whole = column.width - 13
      for (type, block) in blockTypes.enumerated() {
        let count = choices.count { $0.blockType == type }
        guard count > 0 else { continue }
        let part = whole * Double(count) / Double(choices.count)
        var own = [
          Shape.rectangle(
            x: x, y: y + 2, width: part, height: 17, class: "window",
            tip: "\(stages[index].name): \(block.name), \(count) of \(choices.count)")
        ]
        if part >= 12 {
          own.append(Shape.text(block.key, x: x + part / 2, y: y + 14.7, anchor: .middle, class: "badge-text"))
        }
        content.append(Shape.group(ChartStyle.seriesClass(type), own))
        x += part
      }
      let tallest = 30.0
      let base = y + 58
      for (slot, channels) in column.widths.enumerated() {
        let count = choices.count { $0.window.contains(slot) }
        let height = tallest * Double(count) / Double(choices.count)
        content.append(
          Shape.rectangle(
            x: column.ladder + Double(slot) * column.slot + 0.5, y: base - height, width: column.slot - 1,
            height: height, class: "bar weak", tip: "\(channels) channels: in \(count) of \(choices.count) windows"))
      }
      content.append(
        Shape.line(
          column.ladder, base, column.ladder + column.slot * Double(column.widths.count), base, class: "axis"))
    }
    return content
  }

  private func key(y: Double, width: Double) -> ([Markup], height: Double) {
    var content: [Markup] = []
    var x = 0.0
    var top = y
    for (index, type) in blockTypes.enumerated() {
      let name = TextMetrics.shortened(type.name, size: 12, limit: width - 30)
      let needed = 24 + TextMetrics.width(name, size: 12) + 16
      if x > 0 && x + needed - 16 > width {
        x = 0
        top += 24
      }
      content.append(
        Shape.group(
          ChartStyle.seriesClass(index),
          badge(type.key, x: x + 1, y: top) + [Shape.text(name, x: x + 25, y: top + 13, full: type.name)]))
      x += needed
    }
    return (content, top - y + 24)
  }

  private func summary() -> String {
    var text = "\(Quantity.of(spaces.count, "search space")) over \(Quantity.of(stages.count, "stage"))."
    for (index, stage) in stages.enumerated() {
      let choices = spaces.compactMap { index < $0.choices.count ? $0.choices[index] : nil }
      let counts = blockTypes.enumerated().map { type, block in
        (block.name, choices.count { $0.blockType == type })
      }
      // The first of the most chosen, so that the text is the same each time.
      if let most = counts.max(by: { $0.1 < $1.1 }), most.1 > 0 {
        text += " \(stage.name): most often \(most.0), \(most.1) of \(choices.count)."
      }
    }
    return text
  }
}

extension Double {
  fileprivate func clamped(to range: ClosedRange<Double>) -> Double {
    min(max(self, range.lowerBound), range.upperBound)
  }
}
