/// How values are spread, and which share of them lies under a constraint.
///
/// One series is drawn as bars, dark up to the first constraint and light beyond; several as outlines.
public struct HistogramChart: Chart, Hashable {
  public struct Series: Hashable, Sendable {
    public var name: String
    public var values: [Double]

    public init(_ name: String, values: [Double]) {
      self.name = name
      self.values = values
    }
  }

  public struct Constraint: Hashable, Sendable {
    public var value: Double
    /// “10 ms”.
    public var label: String

    public init(_ value: Double, label: String) {
      self.value = value
      self.label = label
    }
  }

  public var title: String
  public var x: Axis
  public var series: [Series]
  public var constraints: [Constraint]

  public init(_ title: String, x: Axis, series: [Series], constraints: [Constraint] = []) {
    self.title = title
    self.x = x
    self.series = series
    self.constraints = constraints
  }

  /// The share of a series' finite values that are at most the constraint's value; `nil` where there are none.
  public func share(of series: Series, under constraint: Constraint) -> Double? {
    let finite = series.values.filter(\.isFinite)
    return finite.isEmpty ? nil : Double(finite.count { $0 <= constraint.value }) / Double(finite.count)
  }

  public func drawing(width: Double) -> Drawing {
    let width = max(width, minimumWidth)
    let shown = series.map { $0.values.filter(x.canShow) }
    let limits = constraints.filter { x.canShow($0.value) }
    let bins = HistogramBins(shown, axis: x)
    let shares = shown.map { bins.shares(of: $0) }

    let legend = Legend(
      series.count > 1
        ? series.indices.map { .init(name: legendName($0, limits), seriesIndex: $0, style: .line) } : [], width: width)
    let yAxis = Axis("Share of values in each bin", unit: "%", including: [0])
    // The labels of constraints stand over the bars.
    let headroom = limits.isEmpty ? 1 : 1.1
    var yScale = AxisScale(yAxis, values: shares.joined().map { $0 * headroom }, tickGoal: 5)
    let left = (yScale.ticks.map { TextMetrics.width($0.label, size: 12) }.max() ?? 0) + 12
    let plot = Box(
      x: left, y: legend.height + 24, width: width - left - 16, height: min(max(width * 0.36, 180), 270))
    yScale.start = plot.y + plot.height
    yScale.end = plot.y
    var xScale = AxisScale(
      x, values: bins.edges + limits.map(\.value), tickGoal: max(2, Int(plot.width / 76)), padded: false)
    xScale.start = plot.x
    xScale.end = plot.x + plot.width

    var content = legend.content
    content.append(PlotFrame(plot: plot, x: xScale, y: yScale, hasXGrid: false).content)
    if shown.allSatisfy(\.isEmpty) {
      content.append(
        Shape.text(
          "no values", x: plot.x + plot.width / 2, y: plot.y + plot.height / 2, anchor: .middle, class: "note"))
    } else if series.count == 1 {
      content.append(bars(bins, shares[0], limits.first?.value, xScale, yScale))
    } else {
      for index in series.indices where !shown[index].isEmpty {
        content.append(outline(bins, shares[index], index, xScale, yScale))
      }
    }
    content += labels(limits, plot, xScale)
    return Drawing(
      width: width, height: plot.y + plot.height + 42, title: title, summary: summary(shown, limits), content: content)
  }

  private func bars(
    _ bins: HistogramBins, _ shares: [Double], _ limit: Double?, _ x: AxisScale, _ y: AxisScale
  ) -> Markup {
    var parts: [Markup] = []
    for (bin, share) in shares.enumerated() where share > 0 {
      let from = x.position(bins.edges[bin])
      let to = x.position(bins.edges[bin + 1])
      let top = y.position(share)
      let tip =
        "\(NumberText.significant(bins.edges[bin])) to \(NumberText.significant(bins.edges[bin + 1])) \(x.axis.unit): "
        + "\(NumberText.significant(share)) %"
      // The bin that the constraint falls into is dark on one side and light on the other.
      let split = limit.map { min(max(x.position($0), from), to) } ?? to
      for (a, b, weak) in [(from, split, false), (split, to, true)] where b > a {
        parts.append(
          Shape.rectangle(
            x: a + 0.5, y: top, width: max(b - a - 1, 0.6), height: y.start - top, class: weak ? "bar weak" : "bar",
            tip: tip))
      }
    }
    return Shape.group(ChartStyle.seriesClass(0), parts)
  }

  private func outline(
    _ bins: HistogramBins, _ shares: [Double], _ index: Int, _ x: AxisScale, _ y: AxisScale
  ) -> Markup {
    var path: [(x: Double, y: Double)] = [(x.position(bins.edges[0]), y.start)]
    for (bin, share) in shares.enumerated() {
      path.append((x.position(bins.edges[bin]), y.position(share)))
      path.append((x.position(bins.edges[bin + 1]), y.position(share)))
    }
    path.append((x.position(bins.edges[bins.edges.count - 1]), y.start))
    return Shape.path(
      Shape.polyline(path), class: "line \(ChartStyle.seriesClass(index))", dashes: ChartStyle.dashes(index),
      tip: series[index].name)
  }

  private func labels(_ limits: [Constraint], _ plot: Box, _ x: AxisScale) -> [Markup] {
    var content: [Markup] = []
    var taken: [Box] = []
    for limit in limits {
      let place = x.position(limit.value)
      content.append(Shape.line(place, plot.y, place, plot.y + plot.height, class: "rule"))
    }
    for limit in limits {
      let place = x.position(limit.value)
      var text = "≤ \(limit.label)"
      if series.count == 1, let share = share(of: series[0], under: limit) {
        text += ": \(NumberText.percentage(of: share))"
      }
      text = TextMetrics.shortened(text, size: 12, limit: plot.width * 0.48)
      let width = TextMetrics.width(text, size: 12)
      let isRight = place + width + 8 < plot.x + plot.width
      var box = Box(x: isRight ? place + 5 : place - 5 - width, y: plot.y + 2, width: width, height: 14)
      while taken.contains(where: box.overlaps) { box.y += ChartStyle.lineHeight }
      taken.append(box)
      content.append(Shape.text(text, x: box.x, y: box.y + 11, class: "halo strong"))
    }
    return content
  }

  private func legendName(_ index: Int, _ limits: [Constraint]) -> String {
    let shares = limits.compactMap { limit in
      share(of: series[index], under: limit).map { "\(NumberText.percentage(of: $0)) ≤ \(limit.label)" }
    }
    return shares.isEmpty ? series[index].name : "\(series[index].name): \(shares.joined(separator: ", "))"
  }

  private func summary(_ shown: [[Double]], _ limits: [Constraint]) -> String {
    var sentences = ["Distribution of \(x.heading)."]
    for (index, values) in shown.enumerated() {
      var sentence = "\(series[index].name): \(Quantity.of(values.count, "value"))"
      if let least = values.min(), let greatest = values.max() {
        sentence += " from \(NumberText.significant(least)) to \(NumberText.significant(greatest))"
      }
      for limit in limits {
        if let share = share(of: series[index], under: limit) {
          sentence += ", \(NumberText.percentage(of: share)) at most \(limit.label)"
        }
      }
      sentences.append(sentence + ".")
    }
    let leftOut = series.reduce(0) { $0 + $1.values.count } - shown.reduce(0) { $0 + $1.count }
    if leftOut > 0 {
      sentences.append("\(Quantity.of(leftOut, "value")) left out: not finite, or with no place on the axis.")
    }
    return sentences.joined(separator: " ")
  }
}

/// Bins of equal width (of equal ratio on a logarithmic axis) over all series together.
package struct HistogramBins {
  /// One more than there are bins, ascending.
  package let edges: [Double]

  package init(_ series: [[Double]], axis: Axis) {
    let all = series.joined().sorted()
    guard let first = all.first, let last = all.last else {
      edges = axis.scale == .linear ? [0, 1] : [1, 10]
      return
    }
    let isLog = axis.scale == .logarithmic
    let lower = isLog ? logarithm10(first) : first
    let upper = isLog ? logarithm10(last) : last
    let size = max(lower.magnitude, upper.magnitude)
    guard upper - lower > size * 1e-9, upper - lower > 1e-290 else {
      let half = isLog ? 0.15 : (size < 1e-280 ? 0.5 : size * 0.05)
      edges = Self.showable([lower - half, lower + half].map { isLog ? powerOf10($0) : $0 }, isLog: isLog)
      return
    }
    // Freedman and Diaconis' width, within what the eye can tell apart.
    let quartile = { (part: Double) in
      let value = all[min(Int(part * Double(all.count)), all.count - 1)]
      return isLog ? logarithm10(value) : value
    }
    let wanted = 2 * (quartile(0.75) - quartile(0.25)) / powerOf10(logarithm10(Double(all.count)) / 3)
    let count = wanted > 0 ? (upper - lower) / wanted : Double(all.count).squareRoot()
    let bins = Int(min(max(count, 6), 48).rounded(.up))
    var edges: [Double] = []
    if !isLog, let step = Self.roundStep((upper - lower) / Double(bins)) {
      let start = (lower / step).rounded(.down)
      let end = max((upper / step).rounded(.up), start + 1)
      if start.magnitude < 1e15, end.magnitude < 1e15, end - start < 200 {
        edges = (0...Int(end - start)).map { (start + Double($0)) * step }
      }
    }
    if edges.isEmpty {
      edges = (0...bins).map { bin in
        let value = lower + (upper - lower) * Double(bin) / Double(bins)
        return isLog ? powerOf10(value) : value
      }
      // Powers of ten need not come back exactly.
      edges[0] = min(edges[0], first)
      edges[edges.count - 1] = max(edges[edges.count - 1], last)
    }
    self.edges = Self.showable(edges, isLog: isLog)
  }

  /// No edge lies where an axis cannot show it.
  private static func showable(_ edges: [Double], isLog: Bool) -> [Double] {
    edges.map { min(max($0, isLog ? 1e-300 : -1e300), 1e300) }
  }

  private static func roundStep(_ rough: Double) -> Double? {
    TickValues.linear(0, rough * 10, goal: 10).dropFirst().first
  }

  /// The share of values in each bin in percent; the last bin has its upper edge too.
  package func shares(of values: [Double]) -> [Double] {
    var counts = [Int](repeating: 0, count: edges.count - 1)
    for value in values {
      var low = 0
      var high = counts.count - 1
      while low < high {
        let middle = (low + high + 1) / 2
        if value >= edges[middle] { low = middle } else { high = middle - 1 }
      }
      counts[low] += 1
    }
    return counts.map { values.isEmpty ? 0 : Double($0) * 100 / Double(values.count) }
  }
}
