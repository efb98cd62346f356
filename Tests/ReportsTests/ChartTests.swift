import Reports
import Testing

@Suite("Charts")
struct ChartTests {
  @Test("Every chart of any data is well-formed, named, and drawn inside its frame", arguments: 150..<250)
  func anyDataDraws(seed: Int) throws {
    for chart in DegenerateData.charts(seed: seed) {
      for width in [360.0, 720.0] {
        let tree = try MarkupTree(parsing: chart.svg(width: width))
        let svg = try #require(tree.elements.first)
        #expect(svg.name == "svg" && svg.attributes["role"] == "img")
        let ids = Set(tree.elements.compactMap { $0.attributes["id"] })
        let names = (svg.attributes["aria-labelledby"] ?? "").split(separator: " ").map(String.init)
        #expect(names.count == 2 && names.allSatisfy(ids.contains))
        #expect(tree.all("desc").first?.text.isEmpty == false)
        try checkPlaces(tree, svg, of: chart)
      }
    }
  }

  /// Every place is a number inside the drawing.
  private func checkPlaces(_ tree: MarkupTree, _ svg: MarkupTree.Element, of chart: any Chart) throws {
    let viewBox = (svg.attributes["viewBox"] ?? "").split(separator: " ").compactMap { Double($0) }
    try #require(viewBox.count == 4)
    let (left, top) = (viewBox[0] - 0.5, viewBox[1] - 0.5)
    let (right, bottom) = (viewBox[0] + viewBox[2] + 0.5, viewBox[1] + viewBox[3] + 0.5)
    for element in tree.elements {
      for name in ["x", "x1", "x2", "cx"] {
        guard let text = element.attributes[name] else { continue }
        let place = try #require(Double(text))
        #expect(place >= left && place <= right, "\(type(of: chart)): \(element.name) \(name)=\(text)")
      }
      for name in ["y", "y1", "y2", "cy"] {
        guard let text = element.attributes[name] else { continue }
        let place = try #require(Double(text))
        #expect(place >= top && place <= bottom, "\(type(of: chart)): \(element.name) \(name)=\(text)")
      }
      if let path = element.attributes["d"] {
        let places = path.split { "MLZ ".contains($0) }.map { Double($0) }
        #expect(places.allSatisfy { $0?.isFinite == true }, "\(path.prefix(80))")
        for (index, place) in places.enumerated() {
          let inside = index.isMultiple(of: 2) ? left...right : top...bottom
          #expect(inside.contains(place ?? .nan), "\(type(of: chart)): path at \(place ?? .nan)")
        }
      }
    }
  }

  @Test("The same chart gives the same text")
  func deterministic() {
    for (_, chart) in SampleReport.charts { #expect(chart.svg() == chart.svg()) }
  }

  @Test("What cannot be drawn is left out, and the description says so")
  func leftOutIsSaid() throws {
    let chart = XYChart(
      "Left out", x: Axis("Latency", unit: "ms", scale: .logarithmic), y: Axis("Accuracy", unit: "%"),
      series: [
        .init(
          "all", style: .points,
          points: [
            .init(x: 1, y: 2), .init(x: 0, y: 3), .init(x: 3, y: .nan), .init(x: .infinity, y: 3), .init(x: 10, y: 4),
          ])
      ])
    let tree = try MarkupTree(parsing: chart.svg())
    #expect(tree.all("circle").count == 2)
    #expect(tree.all("desc")[0].text.contains("3 points left out"))
  }

  @Test("Axis titles carry their units, also where the title is cut")
  func unitsInTitles() throws {
    let long = String(repeating: "a very long title ", count: 12)
    let chart = XYChart(
      "Units", x: Axis(long, unit: "ms"), y: Axis("Accuracy", unit: "%"),
      series: [.init("a", style: .line, points: [.init(x: 1, y: 1), .init(x: 2, y: 3)])])
    let titles = try MarkupTree(parsing: chart.svg(width: 360)).all("text", class: "axis-title").map(\.text)
    #expect(titles.contains { $0.hasSuffix("… (ms)") })
    #expect(titles.contains { $0 == "Accuracy (%)" })
  }

  @Test("Series differ by marker and by dash, and each is named in the drawing")
  func seriesWithoutColour() throws {
    let names = ["first", "second", "third", "fourth"]
    let chart = XYChart(
      "Four", x: Axis("x"), y: Axis("y"),
      series: names.enumerated().map { index, name in
        .init(
          name, style: .lineAndPoints,
          points: (0..<5).map { .init(x: Double($0), y: Double($0 * (index + 1))) })
      })
    for width in [360.0, 720.0] {
      let tree = try MarkupTree(parsing: chart.svg(width: width))
      let lines = tree.all("path", class: "line").compactMap { $0.attributes["stroke-dasharray"] }
      #expect(Set(lines).count == 3)
      #expect(tree.all("circle", class: "mark").count >= 5)
      #expect(tree.all("path", class: "mark").count >= 15)
      for name in names { #expect(tree.all("text").contains { $0.text == name }) }
    }
  }

  @Test("A front is level up to each next point, and goes on to the right edge")
  func frontIsAStaircase() throws {
    let chart = XYChart(
      "Front", x: Axis("x"), y: Axis("y"),
      series: [.init("f", style: .front, points: [.init(x: 3, y: 5), .init(x: 1, y: 2), .init(x: 2, y: 4)])])
    let path = try #require(MarkupTree(parsing: chart.svg()).all("path", class: "line").first?.attributes["d"])
    let numbers = path.split { "ML ".contains($0) }.compactMap { Double($0) }
    #expect(numbers.count == 10)
    for index in stride(from: 2, to: 10, by: 2) {
      let isLevel = numbers[index + 1] == numbers[index - 1]
      let isUpright = numbers[index] == numbers[index - 2]
      #expect(isLevel != isUpright)
    }
  }

  @Test("A curve of a hundred thousand points stays a small drawing, and keeps its peak")
  func longCurves() throws {
    var points = (0..<100_000).map { XYChart.Point(x: Double($0), y: 1) }
    points[54_321].y = 9
    let chart = XYChart("Long", x: Axis("step"), y: Axis("loss"), series: [.init("a", style: .line, points: points)])
    let text = chart.svg()
    #expect(text.utf8.count < 100_000)
    let path = try #require(MarkupTree(parsing: text).all("path", class: "line").first?.attributes["d"])
    let heights = path.split { "ML".contains($0) }.compactMap { $0.split(separator: " ").last }.map(String.init)
    #expect(Set(heights).count == 2)
  }

  @Test("Agreement counts the pairs within the band")
  func agreement() throws {
    let pairs: [AgreementChart.Pair] = [
      .init(measured: 1, predicted: 1.05), .init(measured: 2, predicted: 2.2), .init(measured: 4, predicted: 3.9),
      .init(measured: 0, predicted: 1), .init(measured: .nan, predicted: 1),
    ]
    let chart = AgreementChart("Agreement", quantity: "latency", unit: "ms", groups: [("all", pairs)])
    let share = try #require(chart.shareWithinTolerance)
    let error = try #require(chart.meanRelativeError)
    #expect(abs(share - 0.666_666_666_667) < 1e-9)
    #expect(abs(error - 0.058_333_333_333) < 1e-9)
    #expect(AgreementChart("None", quantity: "latency", unit: "ms", groups: []).shareWithinTolerance == nil)
  }

  @Test("Bins hold every value once, and cover them all", arguments: 0..<200)
  func bins(seed: Int) {
    let axis = Axis("Value", scale: seed.isMultiple(of: 2) ? .linear : .logarithmic)
    let values = AxisTests.values(seed: seed).map { axis.scale == .linear ? $0 : abs($0) + 1e-290 }
    let bins = HistogramBins([values], axis: axis)
    for (edge, next) in zip(bins.edges, bins.edges.dropFirst()) { #expect(edge < next) }
    for value in values { #expect(value >= bins.edges[0] && value <= bins.edges[bins.edges.count - 1]) }
    #expect(abs(bins.shares(of: values).reduce(0, +) - 100) < 1e-9)
  }

  @Test("The share under a constraint counts values at the constraint, and is written on the chart")
  func shareUnderConstraint() throws {
    let chart = HistogramChart(
      "Share", x: Axis("Latency", unit: "ms"), series: [.init("a", values: [1, 2, 3, 4, .nan])],
      constraints: [.init(2, label: "2 ms")])
    #expect(chart.share(of: chart.series[0], under: chart.constraints[0]) == 0.5)
    let texts = try MarkupTree(parsing: chart.svg()).all("text").map(\.text)
    #expect(texts.contains("≤ 2 ms: 50.0\u{A0}%"))
  }

  @Test("A heat map prints every figure, and shades twice as fast like half as fast")
  func heatMap() throws {
    let chart = HeatMap(
      "Map", quantity: "speed-up", rowHeading: "operator", columnHeading: "width", rows: ["a"],
      columns: ["1", "2", "3", "4"], values: [[0.5, 2, 1, nil]])
    let tree = try MarkupTree(parsing: chart.svg())
    let texts = tree.all("text").map(\.text)
    for figure in ["0.5", "2.0", "1.0", "–"] { #expect(texts.contains(figure)) }
    let below = try #require(tree.all("rect", class: "cell-below").first)
    let above = try #require(tree.all("rect", class: "cell-above").first)
    #expect(below.attributes["fill-opacity"] == above.attributes["fill-opacity"])
  }

  @Test("A stage diagram draws each choice over its window of widths")
  func stageDiagram() throws {
    let tree = try MarkupTree(parsing: SampleReport.spaces.svg())
    let tips = tree.elements.filter { $0.name == "title" && $0.path.last == "rect" }.map(\.text)
    #expect(tips.contains("stage 2: 5 fused MBConv, widths 64–80"))
    #expect(tips.contains("stage 5: MBConv + SE, 9 of 10"))
    #expect(tree.all("rect", class: "badge").count == 60 + 6)
  }
}
