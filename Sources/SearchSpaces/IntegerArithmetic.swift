/// How a runtime computes an integer network between its integers: two runtimes round some values to neighbouring bytes,
/// and a byte is carried far by the layers behind it. Trainer, exported file and integer network follow the device's.
///
/// No property of a hyperspace's file: the device has it. The formulas are in `IntegerNetwork`.
public enum IntegerArithmetic: String, CaseIterable, Hashable, Sendable {
  /// Every node's output is rounded to bytes, those that are added to something too.
  case onnxRuntime = "onnxruntime"
  /// What a convolution has computed is added to its shortcut in real numbers, and rounded once.
  case openVINO = "openvino"

  /// Whether what a block adds to its shortcut is rounded to bytes before the addition.
  public var roundsAddends: Bool { self == .onnxRuntime }
}
