public import SearchSpaces

extension GraphBuilder {
  /// Lowers one block of a stage.
  ///
  /// - Parameters:
  ///   - type: The block type; its family decides the structure.
  ///   - input: `C x H x W`.
  ///   - choice: Kernel, output width and expansion.
  ///   - stride: 1, or the stage's stride for its first block.
  /// - Returns: `choice.width x ceil(H / stride) x ceil(W / stride)`.
  public mutating func block(_ type: BlockType, _ input: Value, _ choice: BlockChoice, stride: Int) -> Value {
    switch type.family {
    case .dualDepthwise: dualDepthwise(type, input, choice, stride: stride)
    case .mbconv: mbconv(type, input, choice, stride: stride)
    case .fusedMBConv: fusedMBConv(type, input, choice, stride: stride)
    case .residualBottleneck: residualBottleneck(type, input, choice, stride: stride)
    }
  }
}
