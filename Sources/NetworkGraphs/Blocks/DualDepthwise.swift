import SearchSpaces

extension GraphBuilder {
  /// Two depthwise-separable convolutions and a shortcut around both; nothing after the addition.
  mutating func dualDepthwise(_ type: BlockType, _ input: Value, _ choice: BlockChoice, stride: Int) -> Value {
    let act = type.activation
    var x = convolution(
      "depthwise1", input, width: input.shape.channels, kernel: choice.kernel, stride: stride, isDepthwise: true,
      activation: act)
    x = convolution("pointwise1", x, width: choice.width, activation: act)
    x = convolution(
      "depthwise2", x, width: choice.width, kernel: choice.kernel, isDepthwise: true, activation: act)
    x = convolution("pointwise2", x, width: choice.width, activation: act)
    guard let shortcut = shortcut(input, width: choice.width, stride: stride, projects: type.projectsShortcut) else {
      return x
    }
    return add("add", x, shortcut)
  }
}
