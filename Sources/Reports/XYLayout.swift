/// Lays out and draws an ``XYChart`` for one width.
struct XYLayout {
  private let chart: XYChart
  private let width: Double
  private let xScale: AxisScale
  private let yScale: AxisScale
  private let plot: Box
  private let height: Double
  private let legend: Legend
  /// Series named at the right end of their lines, rather than in the legend.
  private let namedAtEnd: [Int]
  private let gutter: Double
  private let hasSidePanel: Bool
  private var obstacles: [Box] = []
  private var markBoxes: [Box] = []
  /// Points that the chart shows, with their places, by series.
  private let places: [[(point: XYChart.Point, x: Double, y: Double)]]

  private static let widthForSidePanel = 640.0
  private static let headHeight = 24.0
  private static let footHeight = 42.0
  /// Beyond this many points, none of them answers the pointer: the drawing would be large and no point could be hit.
  private static let mostTips = 250

  init(_ chart: XYChart, width: Double) {
    self.chart = chart
    self.width = width
    let points = chart.series.flatMap { $0.points.filter(chart.shows) }
    let isSquare = chart.diagonalTolerance != nil
    var xs = points.map(\.x) + chart.rules.filter { $0.direction == .vertical }.map(\.value)
    var ys = points.map(\.y) + chart.rules.filter { $0.direction == .horizontal }.map(\.value)
    if isSquare {
      let both = xs + ys
      (xs, ys) = (both, both)
    }

    // A line's end says whose it is, if the names fit beside the plot.
    let lines = chart.series.indices.filter {
      chart.series[$0].style != .points && chart.series[$0].points.contains(where: chart.shows)
    }
    let widest = lines.map { TextMetrics.width(chart.series[$0].name, size: 12, isBold: true) }.max() ?? 0
    let fits =
      chart.series.count > 1 && lines.count == chart.series.count && lines.count <= 6 && widest + 22 <= width * 0.3
    namedAtEnd = fits ? lines : []
    gutter = fits ? widest + 22 : 0
    hasSidePanel = isSquare && width >= Self.widthForSidePanel
    let hasLegend = chart.series.count > 1 && !fits && !hasSidePanel
    legend = Legend(hasLegend ? chart.series.indices.map { Self.entry(chart, $0) } : [], width: width)

    let plotHeight = isSquare ? min(width * 0.62, 430) : min(max(width * 0.46, 210), 380)
    var yScale = AxisScale(chart.y, values: ys, tickGoal: Int(plotHeight / 44))
    let left = (yScale.ticks.map { TextMetrics.width($0.label, size: 12) }.max() ?? 0) + 12
    var plotWidth = width - left - max(gutter, 16)
    if isSquare { plotWidth = min(plotWidth, plotHeight * 1.12) }
    var xScale = AxisScale(chart.x, values: xs, tickGoal: max(2, Int(plotWidth / (isSquare ? 56 : 72))))
    // Long numbers need more room than that: fewer of them, then.
    for goal in [6, 4, 3, 2] {
      let widestTick = xScale.ticks.map { TextMetrics.width($0.label, size: 12) }.max() ?? 0
      if Double(xScale.ticks.count) * (widestTick + 14) <= plotWidth { break }
      xScale = AxisScale(chart.x, values: xs, tickGoal: goal)
    }
    if isSquare, yScale.ticks.count > xScale.ticks.count {
      // The same division of both axes; the coarser one fits both.
      yScale = AxisScale(chart.y, values: ys, tickGoal: xScale.ticks.count)
    }
    plot = Box(x: left, y: legend.height + Self.headHeight, width: plotWidth, height: plotHeight)
    height = plot.y + plot.height + Self.footHeight
    xScale.start = plot.x
    xScale.end = plot.x + plot.width
    self.xScale = xScale
    yScale.start = plot.y + plot.height
    yScale.end = plot.y
    self.yScale = yScale
    let scales = (xScale, yScale)
    places = chart.series.map { series in
      series.points.filter(chart.shows).map { ($0, scales.0.position($0.x), scales.1.position($0.y)) }
    }
  }

  private static func entry(_ chart: XYChart, _ index: Int) -> Legend.Entry {
    .init(name: chart.series[index].name, seriesIndex: index, style: chart.series[index].style)
  }

  /// A cloud of points is drawn small and see-through; the marks of a line stay what they are.
  private func isCloud(_ index: Int) -> Bool { chart.series[index].style == .points && places[index].count > 60 }

  mutating func draw() -> Drawing {
    var content = legend.content
    content.append(PlotFrame(plot: plot, x: xScale, y: yScale).content)
    content += diagonal()
    content += chart.rules.compactMap { ruleLine($0) }
    for index in chart.series.indices { content += line(of: index) + marks(of: index) }
    content += endNames()
    content += ruleLabels()
    if hasSidePanel { content += sidePanel() }
    let (labels, unlabelled) = pointLabels()
    content += labels
    if places.allSatisfy(\.isEmpty) {
      content.append(
        Shape.text(
          "no values", x: plot.x + plot.width / 2, y: plot.y + plot.height / 2, anchor: .middle, class: "note"))
    }
    return Drawing(
      width: width, height: height, title: chart.title, summary: chart.summary(unlabelled: unlabelled),
      content: content)
  }

  // MARK: - Lines and marks

  private mutating func line(of index: Int) -> [Markup] {
    let style = chart.series[index].style
    guard style != .points, !places[index].isEmpty else { return [] }
    var path: [(x: Double, y: Double)] = []
    if style == .front {
      for place in places[index].sorted(by: { ($0.x, $0.point.x) < ($1.x, $1.point.x) }) {
        if let last = path.last { path.append((place.x, last.y)) }
        path.append((place.x, place.y))
      }
    } else {
      path = Self.thinned(places[index].map { ($0.x, $0.y) })
    }
    cover(path)
    let name = ChartStyle.seriesClass(index)
    var content = [
      Shape.path(
        Shape.polyline(path), class: "line \(name)", dashes: ChartStyle.dashes(index), tip: chart.series[index].name)
    ]
    if style == .front, let last = path.last, last.x < plot.x + plot.width {
      let onward = [last, (plot.x + plot.width, last.y)]
      cover(onward)
      content.append(Shape.path(Shape.polyline(onward), class: "line faint \(name)", dashes: ChartStyle.dashes(index)))
    }
    return content
  }

  /// Of a line with more points than pixels, the first, least, greatest and last of each pixel column.
  static func thinned(_ path: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
    guard path.count > 1500 else { return path }
    var kept: [(x: Double, y: Double)] = []
    var start = 0
    while start < path.count {
      let column = path[start].x.rounded(.down)
      var end = start
      while end < path.count && path[end].x.rounded(.down) == column { end += 1 }
      let run = start..<end
      let least = run.min { path[$0].y < path[$1].y } ?? start
      let greatest = run.max { path[$0].y < path[$1].y } ?? start
      for index in Set([start, least, greatest, end - 1]).sorted() { kept.append(path[index]) }
      start = end
    }
    return kept
  }

  private mutating func marks(of index: Int) -> [Markup] {
    let series = chart.series[index]
    guard series.style != .line || places[index].count == 1 else { return [] }
    let count = places.reduce(0) { $0 + $1.count }
    let isCloud = isCloud(index)
    let radius = isCloud ? 2.6 : 4
    var marks: [Markup] = []
    for (point, x, y) in places[index] {
      markBoxes.append(Box(x: x - radius - 1, y: y - radius - 1, width: 2 * radius + 2, height: 2 * radius + 2))
      let tip = count <= Self.mostTips ? self.tip(point, of: series) : nil
      marks.append(Shape.marker(index, x: x, y: y, radius: radius, isOneOfMany: isCloud, tip: tip))
    }
    return marks.isEmpty ? [] : [Shape.group(ChartStyle.seriesClass(index), marks)]
  }

  private func tip(_ point: XYChart.Point, of series: XYChart.Series) -> String {
    let unit = { (axis: Axis) in axis.unit.isEmpty ? "" : " \(axis.unit)" }
    let values =
      "\(chart.x.title) \(NumberText.significant(point.x, digits: 4))\(unit(chart.x)), "
      + "\(chart.y.title) \(NumberText.significant(point.y, digits: 4))\(unit(chart.y))"
    return [point.label, series.name, values].compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: "\n")
  }

  /// Notes where a line runs, so that labels can keep off it.
  private mutating func cover(_ path: [(x: Double, y: Double)]) {
    for (from, to) in zip(path, path.dropFirst()) {
      let pieces = max(1, Int(max(abs(to.x - from.x), abs(to.y - from.y)) / 8))
      for piece in 0..<min(pieces, 200) {
        let t = (Double(piece) + 0.5) / Double(pieces)
        obstacles.append(
          Box(x: from.x + (to.x - from.x) * t - 2, y: from.y + (to.y - from.y) * t - 2, width: 4, height: 4))
      }
    }
  }

  // MARK: - Names and labels

  /// Names in the right margin, each at its line's height or as near to it as the others allow.
  private func endNames() -> [Markup] {
    var ends: [(index: Int, y: Double)] = []
    for index in namedAtEnd {
      guard let last = places[index].max(by: { $0.x < $1.x }) else { continue }
      ends.append((index, last.y))
    }
    ends.sort { ($0.y, $0.index) < ($1.y, $1.index) }
    let spread = Self.spread(
      ends.map(\.y), apart: ChartStyle.lineHeight, from: plot.y + 4, to: plot.y + plot.height - 4)
    var content: [Markup] = []
    for ((index, y), place) in zip(ends, spread) {
      let edge = plot.x + plot.width
      let from = chart.series[index].style == .front ? edge : places[index].map(\.x).max() ?? edge
      content.append(
        Shape.path(
          Shape.polyline([(from + 3, y), (max(from + 3, edge + 4), y), (edge + 13, place)]), class: "leader"))
      content.append(
        Shape.group(
          ChartStyle.seriesClass(index),
          [Shape.text(chart.series[index].name, x: edge + 16, y: place + 4, class: "series-name")]))
    }
    return content
  }

  /// Moves values apart as little as need be, keeping their order.
  static func spread(_ values: [Double], apart gap: Double, from lower: Double, to upper: Double) -> [Double] {
    var places = values
    for index in places.indices.dropFirst() { places[index] = max(places[index], places[index - 1] + gap) }
    if let last = places.indices.last, places[last] > upper {
      places[last] = upper
      for index in places.indices.dropLast().reversed() { places[index] = min(places[index], places[index + 1] - gap) }
    }
    if let first = places.first, first < lower { places = places.map { $0 + (lower - first) } }
    return places
  }

  private func pointLabels() -> ([Markup], unlabelled: Int) {
    var requests: [LabelPlacement.Request] = []
    var full: [String] = []
    for series in places {
      for (point, x, y) in series {
        guard let label = point.label, !label.isEmpty else { continue }
        let text = TextMetrics.shortened(label, size: ChartStyle.pointLabelSize, limit: plot.width * 0.42)
        full.append(label)
        requests.append(
          .init(
            text: text, x: x, y: y, width: TextMetrics.width(text, size: ChartStyle.pointLabelSize) + 4, clearance: 7))
      }
    }
    let bounds = Box(x: plot.x + 2, y: plot.y + 1, width: plot.width - 4, height: plot.height - 2)
    let boxes = LabelPlacement(bounds: bounds, marks: markBoxes, obstacles: obstacles).place(requests)
    // Leaders run under the labels, never through one.
    var leaders: [Markup] = []
    var labels: [Markup] = []
    for ((request, box), full) in zip(zip(requests, boxes), full) {
      guard let box else { continue }
      if box.distance(x: request.x, y: request.y) > request.clearance + 6 {
        let end = box.nearest(x: request.x, y: request.y)
        leaders.append(Shape.line(request.x, request.y, end.x, end.y, class: "leader"))
      }
      labels.append(Shape.text(request.text, x: box.x, y: box.y + 10, class: "halo point-label", full: full))
    }
    return (leaders + labels, boxes.count { $0 == nil })
  }

  // MARK: - Rules and the diagonal

  private func isShown(_ rule: XYChart.Rule) -> Bool {
    let scale = rule.direction == .vertical ? xScale : yScale
    return scale.axis.canShow(rule.value) && scale.shows(rule.value)
  }

  private mutating func ruleLine(_ rule: XYChart.Rule) -> Markup? {
    guard isShown(rule) else { return nil }
    let ends: [(x: Double, y: Double)]
    switch rule.direction {
    case .vertical:
      let x = xScale.position(rule.value)
      ends = [(x, plot.y), (x, plot.y + plot.height)]
    case .horizontal:
      let y = yScale.position(rule.value)
      ends = [(plot.x, y), (plot.x + plot.width, y)]
    }
    cover(ends)
    return Shape.line(ends[0].x, ends[0].y, ends[1].x, ends[1].y, class: "rule")
  }

  /// Each label on its line's side, as near to the top (or to the left) as it stands free.
  private mutating func ruleLabels() -> [Markup] {
    var content: [Markup] = []
    var taken: [Box] = []
    for rule in chart.rules where isShown(rule) {
      let text = TextMetrics.shortened(rule.label, size: 12, limit: plot.width * 0.45)
      let candidates = ruleLabelPlaces(rule, width: TextMetrics.width(text, size: 12))
      let best = candidates.enumerated().min { first, second in
        cost(first.element, taken) + Double(first.offset) < cost(second.element, taken) + Double(second.offset)
      }
      guard let box = best?.element else { continue }
      taken.append(box)
      obstacles.append(box)
      content.append(Shape.text(text, x: box.x, y: box.y + 11, class: "halo", full: rule.label))
    }
    return content
  }

  private func cost(_ box: Box, _ taken: [Box]) -> Double {
    Double((obstacles + markBoxes).count(where: box.overlaps)) * 6 + (taken.contains(where: box.overlaps) ? 1000 : 0)
  }

  private func ruleLabelPlaces(_ rule: XYChart.Rule, width: Double) -> [Box] {
    var places: [Box] = []
    if rule.direction == .vertical {
      let line = xScale.position(rule.value)
      var y = plot.y + 2
      while y + 14 <= plot.y + plot.height {
        for x in [line + 5, line - 5 - width] where x >= plot.x && x + width <= plot.x + plot.width {
          places.append(Box(x: x, y: y, width: width, height: 14))
        }
        y += ChartStyle.lineHeight
      }
    } else {
      let line = yScale.position(rule.value)
      var x = plot.x + 5
      while x + width <= plot.x + plot.width {
        for y in [line - 17, line + 4] where y >= plot.y && y + 14 <= plot.y + plot.height {
          places.append(Box(x: x, y: y, width: width, height: 14))
        }
        x += 24
      }
    }
    return places
  }

  /// Beside a square plot: what the marks mean, and figures on each group.
  private func sidePanel() -> [Markup] {
    let x = plot.x + plot.width + 24
    let entries = chart.series.indices.map { index in
      (Self.entry(chart, index), index < chart.notes.count ? chart.notes[index] : [])
    }
    return Legend.column(entries, x: x, y: plot.y + 6, width: width - x)
  }

  private mutating func diagonal() -> [Markup] {
    guard let tolerance = chart.diagonalTolerance else { return [] }
    func place(_ x: Double, _ factor: Double) -> (x: Double, y: Double) {
      (xScale.position(x), min(max(yScale.position(x * factor), plot.y), plot.y + plot.height))
    }
    // Both edges are straight on linear and on logarithmic axes alike; where they leave the plot they are bent, so they
    // take many short steps.
    let steps = 64
    let values = (0...steps).map { step in
      let t = Double(step) / Double(steps)
      return xScale.axis.scale == .linear
        ? xScale.lower + (xScale.upper - xScale.lower) * t
        : powerOf10(logarithm10(xScale.lower) * (1 - t) + logarithm10(xScale.upper) * t)
    }
    let band =
      values.map { place($0, 1 + tolerance) } + values.reversed().map { place($0, 1 - tolerance) }
    let line = [place(xScale.lower, 1), place(xScale.upper, 1)]
    cover(line)
    return [
      Shape.path(Shape.polyline(band) + "Z", class: "band"),
      Shape.path(Shape.polyline(line), class: "diagonal"),
    ]
  }
}
