import SearchSpaces

extension GraphBuilder {
  /// 1x1, k x k, optional SE, linear 1x1; shortcut; the activation comes after the addition.
  mutating func residualBottleneck(_ type: BlockType, _ input: Value, _ choice: BlockChoice, stride: Int) -> Value {
    let hidden = roundedToMultipleOf8(Double(choice.width) * (choice.expansion ?? 1))
    var x = convolution("reduce", input, width: hidden, activation: type.activation)
    x = convolution(
      "spatial", x, width: hidden, kernel: choice.kernel, stride: stride, activation: type.activation)
    if type.hasSqueezeExcitation {
      x = squeezeExcitation("se", x, hidden: roundedToMultipleOf8(Double(input.shape.channels / 4)))
    }
    guard let shortcut = shortcut(input, width: choice.width, stride: stride, projects: type.projectsShortcut) else {
      return convolution("restore", x, width: choice.width, activation: type.activation)
    }
    x = convolution("restore", x, width: choice.width)
    return add("add", x, shortcut, activation: type.activation)
  }
}
