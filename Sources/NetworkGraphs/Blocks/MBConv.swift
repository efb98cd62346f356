import SearchSpaces

extension GraphBuilder {
  /// Inverted bottleneck: 1x1 expansion, depthwise k x k, optional SE, linear 1x1; shortcut.
  mutating func mbconv(_ type: BlockType, _ input: Value, _ choice: BlockChoice, stride: Int) -> Value {
    let hidden = roundedToMultipleOf8(Double(input.shape.channels) * (choice.expansion ?? 1))
    var x = input
    if hidden != input.shape.channels { x = convolution("expand", x, width: hidden, activation: type.activation) }
    x = depthwise(type, x, kernel: choice.kernel, stride: stride)
    // A quarter of the expanded width, as in MobileNetV3.
    if type.hasSqueezeExcitation { x = squeezeExcitation("se", x, hidden: roundedToMultipleOf8(Double(hidden / 4))) }
    x = convolution("project", x, width: choice.width)
    guard let shortcut = shortcut(input, width: choice.width, stride: stride, projects: type.projectsShortcut) else {
      return x
    }
    return add("add", x, shortcut)
  }

  /// One depthwise k x k, or the stack of 3x3 that covers the same field: the first carries the stride, the last the
  /// batch norm and the activation.
  private mutating func depthwise(_ type: BlockType, _ input: Value, kernel: Int, stride: Int) -> Value {
    let width = input.shape.channels
    guard type.stacksDepthwise else {
      return convolution(
        "depthwise", input, width: width, kernel: kernel, stride: stride, isDepthwise: true,
        activation: type.activation)
    }
    let count = (kernel - 1) / 2
    var x = input
    for index in 0..<count {
      let isLast = index == count - 1
      // Stacks of different heights share the last 3x3, with its batch norm, and the ones before it by position.
      x = convolution(
        isLast ? "depthwise" : "depthwise_before\(index)", x, width: width, kernel: 3, stride: index == 0 ? stride : 1,
        isDepthwise: true,
        hasBatchNorm: isLast, activation: isLast ? type.activation : nil)
    }
    return x
  }
}
