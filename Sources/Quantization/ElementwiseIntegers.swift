import NetworkGraphs
public import SearchSpaces

/// What the operations other than convolutions make of bytes. Each is a function of one or two bytes, so a table of all
/// arguments says everything, and every evaluation of an integer network uses the same.
///
/// Values are real numbers in between, in single precision. The order of the operations is the one of the runtime's
/// kernels for x86 (`NetworkGraph.arithmetic`), so that even ties are rounded alike.
extension IntegerNetwork {
  /// The byte that an activation makes of each of the 256 bytes.
  ///
  /// - Precondition: the node is an activation.
  public func elementTable(of node: Int) -> [UInt8] {
    guard case .activation(let activation) = graph.nodes[node].operation else {
      preconditionFailure("\(graph.nodes[node].name) is no activation")
    }
    return activation.table(
      from: quantizers[graph.nodes[node].inputs[0]], to: quantizers[node], arithmetic: graph.arithmetic)
  }

  /// The byte that an addition or a multiplication makes of each of the 65,536 pairs; that of `(a, b)` is at
  /// `256 * a + b`.
  ///
  /// - Precondition: the node is an addition or a multiplication.
  public func pairTable(of node: Int) -> [UInt8] {
    let function: (UInt8, UInt8) -> UInt8
    switch graph.nodes[node].operation {
    case .add: function = addition(at: node)
    case .multiply: function = multiplication(at: node)
    default: preconditionFailure("\(graph.nodes[node].name) takes no pairs")
    }
    return (0..<65_536).map { function(UInt8($0 >> 8), UInt8($0 & 255)) }
  }

  /// The byte that a global average pool makes of the sum of a channel's bytes.
  ///
  /// - Precondition: the node is a global average pool.
  public func pooled(sum: Int, area: Int, at node: Int) -> UInt8 {
    let (input, output) = (quantizers[graph.nodes[node].inputs[0]], quantizers[node])
    switch graph.arithmetic {
    // One factor for the sum, as of a convolution whose weights are all 1.
    case .onnxRuntime:
      let factor = input.scale / (output.scale * Float(area))
      let steps = (Float(sum - area * Int(input.zeroPoint)) * factor).rounded(.toNearestOrEven)
      return UInt8(max(0, min(255, steps + Float(output.zeroPoint))))
    // Scale and zero point of the input move into the quantiser.
    case .openVINO:
      return IntervalQuantizer(output, unit: input.scale).average(zeroPoint: Float(input.zeroPoint))(
        Float(sum) / Float(area))
    }
  }

  func addition(at node: Int) -> (UInt8, UInt8) -> UInt8 {
    let inputs = graph.nodes[node].inputs
    let addition = IntegerAddition(quantizers[inputs[0]], quantizers[inputs[1]], to: quantizers[node])
    return { addition($0, $1) }
  }

  func multiplication(at node: Int) -> (UInt8, UInt8) -> UInt8 {
    let (a, b) = (quantizers[graph.nodes[node].inputs[0]], quantizers[graph.nodes[node].inputs[1]])
    let multiplication = IntegerMultiplication(a, b, to: quantizers[node], arithmetic: graph.arithmetic)
    return { x, y in
      let product = multiplication(steps: Int(x) - Int(a.zeroPoint), Int(y) - Int(b.zeroPoint))
      return UInt8(max(0, min(255, product.rounded(.toNearestOrEven))))
    }
  }
}

/// `a + b` in units of the output, zero points gathered in one constant.
public struct IntegerAddition: Hashable, Sendable {
  /// Steps of the output in a step of `a`, and of `b`.
  public let first: Float, second: Float
  /// The output's zero point less those of the addends.
  public let constant: Float

  public init(_ a: AffineQuantizer, _ b: AffineQuantizer, to output: AffineQuantizer) {
    (first, second) = (a.scale / output.scale, b.scale / output.scale)
    let zeroPoints = (second * Float(b.zeroPoint)).addingProduct(first, Float(a.zeroPoint))
    constant = Float(output.zeroPoint) - zeroPoints
  }

  public func callAsFunction(_ x: UInt8, _ y: UInt8) -> UInt8 {
    let sum = constant.addingProduct(second, Float(y)).addingProduct(first, Float(x))
    return UInt8(max(0, min(255, sum.rounded(.toNearestOrEven))))
  }
}

/// `(a * first) * (b * second) * factor + offset` of steps from the zero points: a product in steps of the output, zero
/// point included, before it is rounded.
public struct IntegerMultiplication: Hashable, Sendable {
  /// 1 where whole numbers are multiplied, as in ONNX Runtime.
  public let first: Float, second: Float
  public let factor: Float, offset: Float

  public init(_ a: AffineQuantizer, _ b: AffineQuantizer, to output: AffineQuantizer, arithmetic: IntegerArithmetic) {
    switch arithmetic {
    case .onnxRuntime:
      (first, second) = (1, 1)
      (factor, offset) = (a.scale * b.scale / output.scale, Float(output.zeroPoint))
    case .openVINO:
      // A scale without a zero point moves into the gate's.
      (first, second) = a.zeroPoint == 0 ? (1, b.scale * a.scale) : (a.scale, b.scale)
      let line = IntervalQuantizer(output).elementwise
      (factor, offset) = (line.factor, line.offset)
    }
  }

  public func callAsFunction(steps a: Int, _ b: Int) -> Float {
    (Float(a) * first) * (Float(b) * second) * factor + offset
  }
}

extension Activation {
  /// The byte that the activation makes of each of the 256 bytes.
  public func table(
    from input: AffineQuantizer, to output: AffineQuantizer, arithmetic: IntegerArithmetic
  ) -> [UInt8] {
    let values = (0...255).map { self(input.dequantize(UInt8($0)), arithmetic) }
    return switch arithmetic {
    case .onnxRuntime: values.map { output.quantize($0) }
    case .openVINO: values.map { IntervalQuantizer(output).elementwise($0) }
    }
  }

  /// The function's derivative; where it has a corner, that of one side.
  public func derivative(at x: Float) -> Float {
    switch self {
    case .relu: return x > 0 ? 1 : 0
    case .relu6: return x > 0 && x < 6 ? 1 : 0
    case .hardSwish: return x < -3 ? 0 : x > 3 ? 1 : x / 3 + 0.5
    case .hardSigmoid: return x > -3 && x < 3 ? 1 / 6 : 0
    case .swish:
      let gate = 1 / (1 + exp(-x))
      return gate * (1 + x * (1 - gate))
    }
  }

  /// The function's value, as a runtime computes it.
  public func callAsFunction(_ x: Float, _ arithmetic: IntegerArithmetic = .onnxRuntime) -> Float {
    switch self {
    case .relu: max(0, x)
    case .relu6: min(6, max(0, x))
    case .hardSwish: x * Activation.hardSigmoid(x)
    // ONNX and torch agree on x / 6 + 1 / 2 with the slope as given here.
    case .hardSigmoid: max(0, min(1, x * (1 / 6) + 0.5))
    case .swish:
      switch arithmetic {
      case .onnxRuntime: x * Activation.logistic(x)
      case .openVINO: x * Float(1 / (1 + exp(-Double(x))))
      }
    }
  }

  /// `1 / (1 + exp(-x))` as ONNX Runtime computes it: one half and a quotient of two polynomials, odd over even, whose
  /// coefficients are those of Eigen. It is off by up to 6e-8, which decides a byte where the exact value lies as near to
  /// a tie; about one subnet in two hundred has such a byte.
  static func logistic(_ x: Float) -> Float {
    let v = max(-18, min(18, x))
    let square = v * v
    func polynomial(_ coefficients: [Float]) -> Float {
      coefficients.dropFirst().reduce(coefficients[0]) { $1.addingProduct($0, square) }
    }
    let odd: [Float] = [
      4.37031012579801e-11, 1.15627324459942e-07, 6.08574864600143e-05, 8.51377133304701e-03, 2.48287947061529e-01,
    ]
    let even: [Float] = [
      6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06, 1.70198817374094e-03, 1.16817656904453e-01,
      9.93151921023180e-01,
    ]
    return polynomial(odd) * v / polynomial(even) + 0.5
  }
}

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Darwin)
  private import Darwin
#elseif canImport(Musl)
  private import Musl
#endif
