/// A value for each of some named things, as level bars with the figures at their ends.
///
/// Several series stand below one another within each category, in the order of the legend.
public struct BarChart: Chart, Hashable {
  public struct Series: Hashable, Sendable {
    public var name: String
    /// One value a category, in their order; `nil` where there is none.
    public var values: [Double?]

    public init(_ name: String, values: [Double?]) {
      self.name = name
      self.values = values
    }
  }

  public var title: String
  public var categories: [String]
  public var value: Axis
  public var series: [Series]
  /// A line to compare with, such as a speed-up of 1.
  public var reference: Double?

  /// - Parameter value: what the bars show; they start at 0.
  public init(
    _ title: String, categories: [String], value: Axis, series: [Series], reference: Double? = nil
  ) {
    self.title = title
    self.categories = categories
    self.value = value
    self.value.scale = .linear
    self.series = series
    self.reference = reference
  }

  public func drawing(width: Double) -> Drawing {
    let width = max(width, minimumWidth)
    let legend = Legend(
      series.count > 1 ? series.indices.map { .init(name: series[$0].name, seriesIndex: $0, style: nil) } : [],
      width: width)
    let nameLimit = width * 0.34
    let left = (categories.map { min(TextMetrics.width($0, size: 12), nameLimit) }.max() ?? 0) + 12
    let shown = series.flatMap { series in shownValues(of: series).compactMap(\.self) }
    let figure = NumberText.aligned(shown)
    let figures = shown.map { TextMetrics.width(figure($0), size: 12) }.max() ?? 0
    var axis = value
    axis.including.append(0)
    if let reference { axis.including.append(reference) }
    let thickness = series.count > 1 ? 12.0 : 15.0
    let rowHeight = Double(max(series.count, 1)) * (thickness + 2) + 10
    let plot = Box(
      x: left, y: legend.height + 6, width: width - left - figures - 18,
      height: max(rowHeight * Double(categories.count), 30))
    var scale = AxisScale(axis, values: shown, tickGoal: max(2, Int(plot.width / 80)), padded: false)
    // Room for figures to the left of bars that point there.
    scale.start = plot.x + (scale.lower < 0 ? figures + 6 : 0)
    scale.end = plot.x + plot.width

    var content = legend.content
    let bottom = plot.y + plot.height
    for tick in scale.ticks {
      let place = scale.position(tick.value)
      content.append(Shape.line(place, plot.y, place, bottom, class: "grid"))
      content.append(Shape.text(tick.label, x: place, y: bottom + 17, anchor: .middle, class: "tick"))
    }
    var bars: [Markup] = []
    var ends: [Markup] = []
    for (row, category) in categories.enumerated() {
      let top = plot.y + Double(row) * rowHeight
      let name = TextMetrics.shortened(category, size: 12, limit: nameLimit)
      content.append(Shape.text(name, x: left - 8, y: top + rowHeight / 2 + 4, anchor: .end, full: category))
      for index in series.indices {
        let y = top + 5 + Double(index) * (thickness + 2)
        let (bar, end) = self.bar(index, row, y: y, thickness: thickness, scale, figure)
        bars.append(bar)
        ends.append(end)
      }
    }
    content += bars
    let zero = scale.position(0)
    content.append(Shape.line(zero, plot.y, zero, bottom, class: "axis"))
    if let reference, reference != 0, axis.canShow(reference) {
      let place = scale.position(reference)
      content.append(Shape.line(place, plot.y, place, bottom, class: "rule"))
    }
    content += ends
    content.append(
      Shape.text(value.heading, x: plot.x + plot.width / 2, y: bottom + 36, anchor: .middle, class: "axis-title"))
    return Drawing(
      width: width, height: bottom + 42, title: title, summary: summary(count: shown.count), content: content)
  }

  private func shownValues(of series: Series) -> [Double?] {
    categories.indices.map { row in
      guard row < series.values.count, let number = series.values[row], value.canShow(number) else { return nil }
      return number
    }
  }

  private func bar(
    _ index: Int, _ row: Int, y: Double, thickness: Double, _ scale: AxisScale, _ text: (Double) -> String
  )
    -> (bar: Markup, end: Markup)
  {
    guard let number = shownValues(of: series[index])[row] else {
      return (
        .empty, Shape.text("no value", x: scale.position(0) + 6, y: y + thickness / 2 + 4, class: "note")
      )
    }
    let zero = scale.position(0)
    let end = scale.position(number)
    let figure = text(number)
    let tip = "\(categories[row])\n\(series[index].name): \(figure) \(value.unit)"
    return (
      Shape.group(
        ChartStyle.seriesClass(index),
        [
          Shape.rectangle(
            x: min(zero, end), y: y, width: abs(end - zero), height: thickness, class: "bar", tip: tip)
        ]),
      Shape.text(
        figure, x: number < 0 ? end - 5 : end + 5, y: y + thickness / 2 + 4, anchor: number < 0 ? .end : .start,
        class: "halo")
    )
  }

  private func summary(count: Int) -> String {
    var text = "\(value.heading) of \(Quantity.of(categories.count, "item"))."
    for series in series {
      let values = shownValues(of: series)
      let pairs = zip(categories, values).compactMap { name, number in
        number.map { "\(name) \(NumberText.significant($0))" }
      }
      if !pairs.isEmpty { text += " \(series.name): \(pairs.prefix(20).joined(separator: ", "))." }
    }
    let missing = series.count * categories.count - count
    if missing > 0 { text += " \(Quantity.of(missing, "value")) missing or not finite." }
    return text
  }
}
