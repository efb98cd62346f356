import Foundation
import Reports

/// A page with every kind of block and chart, over made-up data of realistic size: for looking at, and for tests of form.
enum SampleReport {
  static let stages = [
    StageDiagram.Stage("stage 1", widths: [32, 48, 64]),
    StageDiagram.Stage("stage 2", widths: [32, 48, 64, 80, 96]),
    StageDiagram.Stage("stage 3", widths: [64, 80, 96, 112, 128, 144]),
    StageDiagram.Stage("stage 4", widths: [112, 128, 144, 160, 176, 192]),
    StageDiagram.Stage("stage 5", widths: [192, 208, 224, 240, 256, 272, 288, 304]),
    StageDiagram.Stage("stage 6", widths: Array(stride(from: 304, through: 448, by: 16))),
  ]

  static let blockTypes = [
    ("0", "dual depthwise-separable"), ("1", "MBConv"), ("2", "MBConv + SE"), ("3", "residual bottleneck"),
    ("4", "residual bottleneck + SE"), ("5", "fused MBConv"),
  ].map { StageDiagram.BlockType(key: $0.0, name: $0.1) }

  static func space(_ encoding: String, score: String) -> StageDiagram.Space {
    let parts = encoding.split(separator: "-")
    let sizes = [2, 2, 3, 3, 5, 7]
    let choices = zip(zip(parts[1], parts[2]), sizes).map { digits, size in
      let start = digits.1.wholeNumberValue ?? 0
      return StageDiagram.Choice(blockType: digits.0.wholeNumberValue ?? 0, window: start..<(start + size))
    }
    return StageDiagram.Space(encoding, figure: score, choices: choices)
  }

  static let spaces = StageDiagram(
    "The ten best search spaces, stage by stage", stages: stages, blockTypes: blockTypes,
    spaces: [
      ("onnxw-151122-023231", "0.4403"), ("onnxw-121122-123231", "0.4401"), ("onnxw-131121-022230", "0.4398"),
      ("onnxw-151122-023230", "0.4397"), ("onnxw-151112-013231", "0.4391"), ("onnxw-531122-123231", "0.4388"),
      ("onnxw-151322-022231", "0.4386"), ("onnxw-131122-023131", "0.4380"), ("onnxw-551122-123330", "0.4377"),
      ("onnxw-151124-023233", "0.4371"),
    ].map { space($0.0, score: $0.1) }, figureHeading: "Q-T score")

  static let front: XYChart = {
    var numbers = SeededNumbers(seed: 7)
    func front(_ name: String, ceiling: Double, start: Double, labels: Int) -> XYChart.Series {
      var accuracy = 0.0
      let points = (0..<20).map { index in
        let latency = start * (1 + 0.23 * Double(index)) + 0.01 * numbers.fraction()
        accuracy = max(accuracy, ceiling - 7 / (1 + 0.55 * Double(index)) + 0.25 * numbers.fraction())
        return XYChart.Point(
          x: latency, y: accuracy, label: labels > 0 && index % (20 / labels) == 1 ? "\(name.prefix(1))\(index)" : nil)
      }
      return XYChart.Series(name, style: .front, points: points)
    }
    return XYChart(
      "Accuracy against latency", x: Axis("INT8 latency, one thread", unit: "ms"), y: Axis("Top-1 accuracy", unit: "%"),
      series: [
        front("discovered space", ceiling: 91.4, start: 0.083, labels: 5),
        front("MobileNetV2-like", ceiling: 90.1, start: 0.11, labels: 2),
        front("hand-made bottleneck", ceiling: 89.9, start: 0.095, labels: 2),
      ], rules: [.init(.vertical, at: 0.25, label: "constraint 0.25 ms")])
  }()

  static let training: XYChart = {
    var numbers = SeededNumbers(seed: 3)
    let names = ["largest", "random 1", "random 2", "smallest"]
    return XYChart(
      "Validation accuracy during training", x: Axis("Epoch", including: [0]), y: Axis("Top-1 accuracy", unit: "%"),
      series: names.enumerated().map { index, name in
        XYChart.Series(
          name, style: .line,
          points: (0...40).map { epoch in
            let ceiling = 89.5 - 1.6 * Double(index)
            return XYChart.Point(
              x: Double(epoch), y: ceiling - 38 / (1 + 0.7 * Double(epoch)) + 0.25 * numbers.normal())
          })
      }, rules: [.init(.vertical, at: 28, label: "INT8 phase begins")])
  }()

  static let evolution: XYChart = {
    var numbers = SeededNumbers(seed: 5)
    var best = 0.0
    var all: [XYChart.Point] = []
    var bests: [XYChart.Point] = []
    for generation in 0..<60 {
      for _ in 0..<4 {
        let score = 0.44 - 0.06 / (1 + 0.12 * Double(generation)) - 0.012 * abs(numbers.normal())
        all.append(.init(x: Double(generation), y: score))
        if score > best {
          best = score
          bests.append(.init(x: Double(generation), y: best))
        }
      }
    }
    return XYChart(
      "Score of search spaces by generation", x: Axis("Generation"), y: Axis("Q-T score at 10 ms"),
      series: [.init("scored space", style: .points, points: all), .init("best so far", style: .front, points: bests)])
  }()

  static func agreement(_ scale: Axis.Scale) -> AgreementChart {
    var numbers = SeededNumbers(seed: 11)
    func pairs(_ count: Int, error: Double) -> [AgreementChart.Pair] {
      (0..<count).map { _ in
        let measured = 0.083 * pow(6, numbers.fraction())
        return .init(measured: measured, predicted: measured * (1 + error * numbers.normal()))
      }
    }
    return AgreementChart(
      "Predicted against measured latency", quantity: "latency", unit: "ms", scale: scale,
      groups: [("fitted", pairs(24, error: 0.012)), ("held out", pairs(16, error: 0.03))])
  }

  static let distribution: HistogramChart = {
    var numbers = SeededNumbers(seed: 13)
    return HistogramChart(
      "Latency of random subnets", x: Axis("Predicted INT8 latency", unit: "ms"),
      series: [.init("onnxw-151122-023231", values: (0..<4000).map { _ in 14 + 3.4 * numbers.normal() })],
      constraints: [.init(10, label: "10 ms"), .init(15, label: "15 ms")])
  }()

  static let distributions: HistogramChart = {
    var numbers = SeededNumbers(seed: 17)
    return HistogramChart(
      "Loss of random subnets", x: Axis("Sum of stage losses", unit: "NSR"),
      series: [
        .init("discovered", values: (0..<3000).map { _ in 2.5 + 0.16 * numbers.normal() }),
        .init("random space", values: (0..<3000).map { _ in 2.75 + 0.22 * numbers.normal() }),
        .init("hand-made", values: (0..<3000).map { _ in 2.9 + 0.12 * numbers.normal() }),
      ], constraints: [.init(2.6, label: "2.6")])
  }()

  static let speedUp = HeatMap(
    "INT8 speed-up by operator and width", quantity: "INT8 speed-up", rowHeading: "Operator",
    columnHeading: "Channels",
    rows: ["conv 3×3", "conv 1×1", "depthwise 3×3", "depthwise 5×5", "SE", "hard-swish", "add"],
    columns: ["16", "24", "32", "48", "64", "96", "128", "192", "256"],
    values: [
      [1.62, 2.21, 2.74, 3.02, 3.41, 3.55, 3.84, 3.91, 4.02], [1.05, 1.31, 1.72, 2.03, 2.61, 2.94, 3.22, 3.55, 3.81],
      [0.66, 0.48, 0.74, 0.81, 0.89, 0.91, 0.93, 0.95, 0.97], [0.61, 0.50, 0.70, 0.79, 0.84, 0.88, 0.90, 0.93, 0.94],
      [0.52, 0.55, 0.57, 0.61, 0.64, 0.69, 0.73, 0.78, 0.80], [1.0, 1.1, 1.32, 1.51, 1.78, 2.03, 2.31, 2.62, nil],
      [0.95, 1.02, 1.11, 1.23, 1.38, 1.52, 1.67, 1.81, 1.90],
    ], below: "INT8 slower", above: "INT8 faster")

  static let bars = BarChart(
    "Whole networks, INT8 against float32",
    categories: ["MobileNetV2", "MobileNetV3-L", "EfficientNet-B0", "ResNet-50", "SEQnet-vnni-A1"],
    value: Axis("Speed-up of INT8 over float32", unit: "×"),
    series: [
      .init("ONNX Runtime", values: [2.1, 1.3, 1.4, 3.4, 2.5]), .init("OpenVINO", values: [2.6, 1.5, 0.93, 3.6, nil]),
    ], reference: 1)

  /// Twelve points close together with long names: the hardest that labels must cope with.
  static let crowded: XYChart = {
    var numbers = SeededNumbers(seed: 23)
    return XYChart(
      "Twelve close points with long labels", x: Axis("INT8 latency", unit: "ms"), y: Axis("Top-1 accuracy", unit: "%"),
      series: [
        .init(
          "networks", style: .points,
          points: (0..<12).map { index in
            .init(
              x: index == 0 ? 1 : 3 + 0.3 * numbers.normal(), y: index == 0 ? 80 : 88 + 0.4 * numbers.normal(),
              label: "onnxw-151122-02323\(index) network")
          })
      ])
  }()

  static let charts: [(name: String, chart: any Chart)] = [
    ("front", front), ("training", training), ("evolution", evolution), ("agreement", agreement(.linear)),
    ("agreement-logarithmic", agreement(.logarithmic)), ("distribution", distribution),
    ("distributions", distributions), ("spaces", spaces), ("speed-up", speedUp), ("bars", bars),
  ]

  static let results = Table(
    caption:
      "The exported files. Accuracy is that of the file itself, over 10 000 test images that nothing else has seen.",
    columns: [
      .init("Model"), .number("Predicted", unit: "ms"), .number("Measured", unit: "ms"),
      .number("Accuracy", unit: "%"), .number("MACs", unit: "M"), .number("Parameters", unit: "k"),
    ],
    rows: [
      [.code("small.onnx"), "0.083", "0.084", "84.12", "1.84", "96.3"],
      [.code("medium.onnx"), "0.152", "0.149", "87.90", "5.12", "214"],
      [.code("large.onnx"), "0.348", "0.352", Table.Cell("90.81", isEmphasised: true), "14.4", "655"],
    ])

  static let page = ReportPage(
    title: "INT8 networks for this processor",
    subtitle: """
      Three networks between 0.084 and 0.352 ms; the most accurate reads 90.8 % of the Fashion-MNIST test images \
      correctly, as the exported file, in the device’s own runtime.
      """,
    opening: [
      .highlights([
        .init("90.8", unit: "%", meaning: "accuracy of the largest exported file"),
        .init("0.352", unit: "ms", meaning: "its latency, one thread"),
        .init("2.1", unit: "%", meaning: "mean error of the latency predictor"),
        .init("11", unit: "min", meaning: "from first measurement to this page"),
      ]),
      .table(results),
      .figure(
        front,
        caption:
          "The accuracy-latency front of three spaces, trained alike. A step is the best that its space reaches at that latency."
      ),
    ],
    sections: [
      .init(
        "What the device prefers",
        [
          .paragraph(
            "Each operator was measured alone, in INT8 and in float32, as the difference between a chain of five and a chain of one. Depthwise convolutions gain nothing from INT8 here; dense ones gain most from 48 channels up."
          ),
          .figure(speedUp, caption: "Speed-up of INT8 over float32 by operator and width."),
          .figure(bars, caption: "Whole networks in two runtimes."),
          .note("Absolute times on this machine drift by 20 % over an hour; ratios from one session are good to 2 %."),
        ]),
      .init(
        "The latency predictor",
        [
          .paragraph("Fitted on blocks in context; checked on networks that it has not seen."),
          .figure(agreement(.linear), caption: "Forty networks, predicted and measured."),
          .figure(agreement(.logarithmic), caption: "The same on logarithmic axes."),
        ]),
      .init(
        "Search spaces",
        [
          .paragraph(
            "The winner is `onnxw-151122-023231`: fused MBConv in stage 2, MBConv after it, and squeeze-and-excite only late."
          ),
          .figure(
            spaces,
            caption:
              "The ten best spaces. The number in a box is the block type; the shaded stretch is the window of widths."),
          .figure(evolution, caption: "Scores of all spaces that were scored, and the best so far."),
          .figure(distribution, caption: "Predicted latency of 4 000 random subnets of the winner."),
          .figure(distributions, caption: "Losses of random subnets of three spaces."),
        ]),
      .init(
        "Training",
        [
          .figure(
            training,
            caption: "Validation accuracy of four subnets of the supernet, during the float and the INT8 phase."),
          .list(["largest, smallest in every fourth step, two random", "in-place distillation from the largest"]),
          .details(
            "Settings of the run",
            [.facts([.init("seed", "20240607"), .init("batch", "128"), .init("optimiser", "SGD, momentum 0.9")])]),
        ]),
      .init(
        "Do it again",
        [
          .paragraph("The same seed, thread count and machine give the same result."),
          .code(
            "make demo\n./spaceevo run --run runs/demo\n./spaceevo evaluate --model runs/demo/models/large.onnx --data fashion-mnist"
          ),
          .facts([
            .init("processor", "AMD Zen 4, AVX-512 VNNI, 2 cores"), .init("runtime", "ONNX Runtime 1.32.0"),
            .init("configuration", "runs/demo/configuration.yaml", isCode: true),
          ]),
        ]),
    ],
    footer: [
      .init("spaceevo", "0.1.0"), .init("libtorch", "2.13.0+cpu"), .init("ONNX Runtime", "1.32.0"),
      .init("written", "2025-11-23 21:40 UTC"),
    ])
}
