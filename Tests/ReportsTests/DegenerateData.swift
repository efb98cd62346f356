import Reports

/// Charts over data of every kind that a run may hand over: none, one, many, equal, huge, tiny, not finite, oddly named.
enum DegenerateData {
  static func number(_ numbers: inout SeededNumbers) -> Double {
    switch Int.random(in: 0..<14, using: &numbers) {
    case 0: .nan
    case 1: .infinity
    case 2: -.infinity
    case 3: 0
    case 4: 1e308
    case 5: -1e300
    case 6: .leastNonzeroMagnitude
    case 7: 1e17 * numbers.fraction()
    case 8: -numbers.fraction()
    default: 10 * numbers.fraction()
    }
  }

  static func calmNumber(_ numbers: inout SeededNumbers) -> Double { 0.05 + 3 * numbers.fraction() }

  static func values(_ numbers: inout SeededNumbers, most: Int) -> [Double] {
    let count = [0, 1, 2, 7, most].randomElement(using: &numbers) ?? 0
    switch Int.random(in: 0..<3, using: &numbers) {
    case 0:
      let value = number(&numbers)
      return Array(repeating: value, count: count)
    case 1: return (0..<count).map { _ in number(&numbers) }
    default: return (0..<count).map { _ in calmNumber(&numbers) }
    }
  }

  static func name(_ numbers: inout SeededNumbers) -> String {
    [
      "a", "", "<b>&\"'", "a name that goes on for much longer than any plot of ours has room to show beside a point",
      "日本語のラベル", "residual bottleneck + SE", "]]>", "line\nbreak", "\u{1}",
    ].randomElement(using: &numbers) ?? ""
  }

  static func scale(_ numbers: inout SeededNumbers) -> Axis.Scale {
    Bool.random(using: &numbers) ? .linear : .logarithmic
  }

  static func charts(seed: Int) -> [any Chart] {
    var numbers = SeededNumbers(seed: seed)
    return [
      xy(&numbers), agreement(&numbers), histogram(&numbers), bars(&numbers), heatMap(&numbers), spaces(&numbers),
    ]
  }

  static func xy(_ numbers: inout SeededNumbers) -> XYChart {
    let styles: [XYChart.Style] = [.points, .line, .lineAndPoints, .front]
    return XYChart(
      name(&numbers), x: Axis(name(&numbers), unit: "ms", scale: scale(&numbers)),
      y: Axis(name(&numbers), scale: scale(&numbers)),
      series: (0..<Int.random(in: 0...9, using: &numbers)).map { _ in
        let xs = values(&numbers, most: 120)
        return XYChart.Series(
          name(&numbers), style: styles.randomElement(using: &numbers) ?? .line,
          points: xs.map { x in
            XYChart.Point(
              x: x, y: number(&numbers), label: Bool.random(using: &numbers) ? name(&numbers) : nil)
          })
      },
      rules: (0..<Int.random(in: 0...3, using: &numbers)).map { index in
        .init(index.isMultiple(of: 2) ? .vertical : .horizontal, at: number(&numbers), label: name(&numbers))
      })
  }

  static func agreement(_ numbers: inout SeededNumbers) -> AgreementChart {
    AgreementChart(
      name(&numbers), quantity: "latency", unit: "ms", scale: scale(&numbers),
      groups: (0..<Int.random(in: 0...3, using: &numbers)).map { _ in
        let measured = values(&numbers, most: 40)
        return (name(&numbers), measured.map { .init(measured: $0, predicted: number(&numbers), label: nil) })
      })
  }

  static func histogram(_ numbers: inout SeededNumbers) -> HistogramChart {
    HistogramChart(
      name(&numbers), x: Axis(name(&numbers), unit: "ms", scale: scale(&numbers)),
      series: (0..<Int.random(in: 0...4, using: &numbers)).map { _ in
        let name = name(&numbers)
        return .init(name, values: values(&numbers, most: 500))
      },
      constraints: (0..<Int.random(in: 0...2, using: &numbers)).map { _ in
        .init(number(&numbers), label: name(&numbers))
      })
  }

  static func bars(_ numbers: inout SeededNumbers) -> BarChart {
    BarChart(
      name(&numbers), categories: (0..<Int.random(in: 0...8, using: &numbers)).map { _ in name(&numbers) },
      value: Axis(name(&numbers), unit: "×"),
      series: (0..<Int.random(in: 0...3, using: &numbers)).map { _ in
        let name = name(&numbers)
        return .init(name, values: values(&numbers, most: 9))
      }, reference: Bool.random(using: &numbers) ? number(&numbers) : nil)
  }

  static func heatMap(_ numbers: inout SeededNumbers) -> HeatMap {
    let rows = Int.random(in: 0...6, using: &numbers)
    return HeatMap(
      name(&numbers), quantity: "speed-up", rowHeading: name(&numbers), columnHeading: name(&numbers),
      rows: (0..<rows).map { _ in name(&numbers) },
      columns: (0..<Int.random(in: 0...9, using: &numbers)).map { _ in name(&numbers) },
      values: (0..<rows).map { _ in values(&numbers, most: 9) })
  }

  static func spaces(_ numbers: inout SeededNumbers) -> StageDiagram {
    let stages = (0..<Int.random(in: 0...8, using: &numbers)).map { _ in
      StageDiagram.Stage(
        name(&numbers), widths: (0..<Int.random(in: 0...12, using: &numbers)).map { 16 * ($0 + 1) })
    }
    let types = (0..<Int.random(in: 0...9, using: &numbers)).map {
      StageDiagram.BlockType(key: String($0), name: name(&numbers))
    }
    let spaces = (0..<Int.random(in: 0...12, using: &numbers)).map { _ in
      let choices = stages.map { _ in
        let start = Int.random(in: 0...10, using: &numbers)
        return StageDiagram.Choice(
          blockType: Int.random(in: 0...9, using: &numbers),
          window: start..<(start + Int.random(in: 0...6, using: &numbers)))
      }
      return StageDiagram.Space(
        name(&numbers), figure: "0.4", choices: Array(choices.prefix(Int.random(in: 0...8, using: &numbers))))
    }
    return StageDiagram(
      name(&numbers), stages: stages, blockTypes: types, spaces: spaces, figureHeading: name(&numbers))
  }
}
