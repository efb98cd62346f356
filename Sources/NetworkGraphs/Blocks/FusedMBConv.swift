import SearchSpaces

extension GraphBuilder {
  /// Dense k x k expansion, optional SE, linear 1x1; shortcut.
  mutating func fusedMBConv(_ type: BlockType, _ input: Value, _ choice: BlockChoice, stride: Int) -> Value {
    let hidden = roundedToMultipleOf8(Double(input.shape.channels) * (choice.expansion ?? 1))
    var x = convolution(
      "expand", input, width: hidden, kernel: choice.kernel, stride: stride, activation: type.activation)
    if type.hasSqueezeExcitation {
      x = squeezeExcitation("se", x, hidden: roundedToMultipleOf8(Double(input.shape.channels / 4)))
    }
    x = convolution("project", x, width: choice.width)
    guard let shortcut = shortcut(input, width: choice.width, stride: stride, projects: type.projectsShortcut) else {
      return x
    }
    return add("add", x, shortcut)
  }
}
