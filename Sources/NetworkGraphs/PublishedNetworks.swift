import SearchSpaces

/// Networks that were published elsewhere, to compare a device's times with: their structure, for random weights.
public struct PublishedNetwork: Sendable {
  public var name: String
  public var graph: NetworkGraph

  /// The SEQnets for VNNI CPUs of the paper, and the networks that it compares with, at their own resolutions.
  public static let all: [PublishedNetwork] =
    seqnets + [
      .init(name: "MobileNetV2", graph: mobileNetV2), .init(name: "MobileNetV3-Large", graph: mobileNetV3Large),
      .init(name: "EfficientNet-B0", graph: efficientNetB0), .init(name: "ResNet-18", graph: resNet18),
      .init(name: "ResNet-50", graph: resNet50),
    ]

  /// SEQnets of SpaceEvo (2303.08308) by the encodings of its repository.
  private static var seqnets: [PublishedNetwork] {
    let encodings = [
      (
        "SEQnet@vnni-A0",
        "d1#1#2#2#2#2#2#1_k3#3#3#3#3#3#3#3#3#3#3#3#3_w16#16#32#32#64#64#112#112#144#144#240#240#320_"
          + "e0#0.5#4.0#4.0#1.0#1.0#4.0#4.0#4.0#4.0#4.0#4.0#4.0_r160"
      ),
      (
        "SEQnet@vnni-A1",
        "d1#1#2#2#3#2#3#1_k3#3#3#3#3#3#3#5#3#3#3#3#3#3#5_w16#16#32#32#64#80#128#112#112#144#176#304#304#256#368_"
          + "e0#0.5#4.0#4.0#2.0#1.0#4.0#6.0#4.0#4.0#4.0#4.0#6.0#4.0#4.0_r192"
      ),
      (
        "SEQnet@vnni-A3",
        "d1#1#2#2#3#4#4#1_k3#3#3#3#3#3#5#5#5#3#3#5#3#3#5#3#3#3_"
          + "w16#32#32#48#80#80#144#128#112#144#176#144#144#272#288#272#240#320_"
          + "e0#0.5#4.0#8.0#4.0#2.0#6.0#6.0#6.0#6.0#8.0#4.0#4.0#8.0#6.0#4.0#6.0#6.0_r224"
      ),
    ]
    guard let hyperspace = Hyperspace.builtIn("onnxw"), let space = try? hyperspace.space("onnxw-151122-023231") else {
      return []
    }
    return encodings.compactMap { name, encoding in
      guard let subnet = try? hyperspace.subnet(encoding, in: space),
        let graph = try? NetworkGraph(subnet, of: space, in: hyperspace)
      else { return nil }
      return PublishedNetwork(name: name, graph: graph)
    }
  }

  /// MobileNetV2 1.0 (1801.04381, table 2).
  private static var mobileNetV2: NetworkGraph {
    imageNet { builder, x in
      var x = builder.convolution("stem", x, width: 32, kernel: 3, stride: 2, activation: .relu6)
      let groups = [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
      ]
      for (group, (expansion, width, count, stride)) in groups.enumerated() {
        for index in 0..<count {
          x = builder.invertedResidual(
            "\(group).\(index)", x, hidden: x.shape.channels * expansion, width: width, stride: index == 0 ? stride : 1,
            activation: .relu6)
        }
      }
      x = builder.convolution("last", x, width: 1_280, activation: .relu6)
      builder.classifier(builder.globalAveragePool("pool", x))
    }
  }

  /// MobileNetV3-Large 1.0 (1905.02244, table 1).
  private static var mobileNetV3Large: NetworkGraph {
    imageNet { builder, x in
      var x = builder.convolution("stem", x, width: 16, kernel: 3, stride: 2, activation: .hardSwish)
      let rows: [(kernel: Int, hidden: Int, width: Int, se: Bool, activation: Activation, stride: Int)] = [
        (3, 16, 16, false, .relu, 1), (3, 64, 24, false, .relu, 2), (3, 72, 24, false, .relu, 1),
        (5, 72, 40, true, .relu, 2), (5, 120, 40, true, .relu, 1), (5, 120, 40, true, .relu, 1),
        (3, 240, 80, false, .hardSwish, 2), (3, 200, 80, false, .hardSwish, 1), (3, 184, 80, false, .hardSwish, 1),
        (3, 184, 80, false, .hardSwish, 1), (3, 480, 112, true, .hardSwish, 1), (3, 672, 112, true, .hardSwish, 1),
        (5, 672, 160, true, .hardSwish, 2), (5, 960, 160, true, .hardSwish, 1), (5, 960, 160, true, .hardSwish, 1),
      ]
      for (index, row) in rows.enumerated() {
        x = builder.invertedResidual(
          "\(index)", x, hidden: row.hidden, width: row.width, kernel: row.kernel, stride: row.stride,
          activation: row.activation, squeeze: row.se ? roundedToMultipleOf8(Double(row.hidden / 4)) : nil)
      }
      x = builder.convolution("last", x, width: 960, activation: .hardSwish)
      x = builder.globalAveragePool("pool", x)
      x = builder.convolution(
        "mix", x, width: 1_280, hasBias: true, hasBatchNorm: false, activation: .hardSwish)
      builder.classifier(x)
    }
  }

  /// EfficientNet-B0 (1905.11946, table 1); the gate of its SE is a hard sigmoid here.
  private static var efficientNetB0: NetworkGraph {
    imageNet { builder, x in
      var x = builder.convolution("stem", x, width: 32, kernel: 3, stride: 2, activation: .swish)
      let groups = [
        (1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2), (6, 5, 112, 3, 1), (6, 5, 192, 4, 2),
        (6, 3, 320, 1, 1),
      ]
      for (group, (expansion, kernel, width, count, stride)) in groups.enumerated() {
        for index in 0..<count {
          let channels = x.shape.channels
          x = builder.invertedResidual(
            "\(group).\(index)", x, hidden: channels * expansion, width: width, kernel: kernel,
            stride: index == 0 ? stride : 1, activation: .swish, squeeze: channels / 4)
        }
      }
      x = builder.convolution("last", x, width: 1_280, activation: .swish)
      builder.classifier(builder.globalAveragePool("pool", x))
    }
  }

  /// ResNet-18 (1512.03385, table 1).
  private static var resNet18: NetworkGraph {
    imageNet { builder, x in
      var x = builder.resNetStem(x)
      for (group, width) in [64, 128, 256, 512].enumerated() {
        for index in 0..<2 {
          let stride = index == 0 && group > 0 ? 2 : 1
          x = builder.scoped("\(group).\(index)") { builder in
            var y = builder.convolution("first", x, width: width, kernel: 3, stride: stride, activation: .relu)
            y = builder.convolution("second", y, width: width, kernel: 3)
            let shortcut = builder.shortcut(x, width: width, stride: stride, projects: true)!
            return builder.add("add", y, shortcut, activation: .relu)
          }
        }
      }
      builder.classifier(builder.globalAveragePool("pool", x))
    }
  }

  /// ResNet-50 (1512.03385, table 1), with the stride in the 3x3 convolution as most runtimes' zoos have it.
  private static var resNet50: NetworkGraph {
    imageNet { builder, x in
      var x = builder.resNetStem(x)
      let type = BlockType(
        name: "bottleneck", family: .residualBottleneck, kernels: [3], expansions: [0.25], activation: .relu)
      for (group, (width, count)) in [(256, 3), (512, 4), (1_024, 6), (2_048, 3)].enumerated() {
        for index in 0..<count {
          let choice = BlockChoice(kernel: 3, width: width, expansion: 0.25)
          x = builder.scoped("\(group).\(index)") {
            $0.block(type, x, choice, stride: index == 0 && group > 0 ? 2 : 1)
          }
        }
      }
      builder.classifier(builder.globalAveragePool("pool", x))
    }
  }

  /// 224 x 224 pixels.
  private static func imageNet(_ body: (inout GraphBuilder, GraphBuilder.Value) -> Void) -> NetworkGraph {
    NetworkGraph(input: TensorShape(channels: 3, height: 224, width: 224), body)
  }
}

extension GraphBuilder {
  /// 1x1 (left out where nothing is expanded), depthwise, SE of `squeeze` channels if asked for, linear 1x1; a shortcut
  /// only where the shapes agree.
  fileprivate mutating func invertedResidual(
    _ name: String, _ input: Value, hidden: Int, width: Int, kernel: Int = 3, stride: Int, activation: Activation,
    squeeze: Int? = nil
  ) -> Value {
    scoped(name) { builder in
      var x = input
      if hidden != input.shape.channels {
        x = builder.convolution("expand", x, width: hidden, activation: activation)
      }
      x = builder.convolution(
        "depthwise", x, width: hidden, kernel: kernel, stride: stride, isDepthwise: true, activation: activation)
      if let squeeze { x = builder.squeezeExcitation("se", x, hidden: squeeze) }
      x = builder.convolution("project", x, width: width)
      guard let shortcut = builder.shortcut(input, width: width, stride: stride, projects: false) else { return x }
      return builder.add("add", x, shortcut)
    }
  }

  /// 7x7 stride 2, then a depthwise 3x3 stride 2 in the place of the max pool, which graphs here lack.
  fileprivate mutating func resNetStem(_ input: Value) -> Value {
    let x = convolution("stem", input, width: 64, kernel: 7, stride: 2, activation: .relu)
    return convolution("reduce", x, width: 64, kernel: 3, stride: 2, isDepthwise: true)
  }

  fileprivate mutating func classifier(_ input: Value) {
    _ = convolution("logits", input, width: 1_000, hasBias: true, hasBatchNorm: false)
  }
}
