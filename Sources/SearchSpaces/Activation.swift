/// The non-linear functions of the hyperspaces, by the names used in their files.
public enum Activation: String, CaseIterable, Codable, Hashable, Sendable {
  case relu
  case relu6
  case hardSwish = "hard-swish"
  case swish
  case hardSigmoid = "hard-sigmoid"

  /// ReLU and ReLU6 are nothing but a quantised range; the others are operations of their own on quantised tensors.
  public var isRange: Bool { self == .relu || self == .relu6 }
}
