import Foundation
import TorchTraining

extension Parser {
  /// Files of tensors.
  static var weightParsers: [Parser] {
    [
      Parser(name: "torch", seeds: { torchFiles }) { bytes in
        for tensor in try LegacyTorchFile(Data(bytes)).tensors.values { try check(tensor) }
      },
      Parser(name: "safetensors", seeds: { try safetensors() }) { bytes in
        let file = try Safetensors(Data(bytes))
        for tensor in file.tensors.values { try check(tensor) }
        // Written again and read again it is the same, bit for bit: what is no number is not equal to itself.
        let written = try file.encoded()
        guard try Safetensors(written).encoded() == written else {
          throw UnfaithfulParser(description: "written and read again it is another file")
        }
      },
    ]
  }

  private static func check(_ tensor: StoredTensor) throws {
    guard tensor.shape.reduce(1, *) == tensor.elements.count else {
      throw UnfaithfulParser(description: "\(tensor.shape) has \(tensor.elements.count) elements")
    }
  }

  private static func safetensors() throws -> [[UInt8]] {
    let small = Safetensors(
      tensors: [
        "a.weight": try StoredTensor(shape: [2, 3], elements: .float32([1, 2, 3, 4, 5, 6])),
        "b": try StoredTensor(shape: [], elements: .int64([-1])),
        "c": try StoredTensor(shape: [3], elements: .int8([1, -2, 3])),
        "d": try StoredTensor(shape: [0, 4], elements: .uint8([])),
        "e": try StoredTensor(shape: [1, 1], elements: .int32([7])),
      ], metadata: ["record": "{\"step\":3}", "steps": "10"])
    return [[UInt8](try small.encoded()), [UInt8](try Safetensors().encoded())]
  }

  // MARK: - What torch.save wrote before version 1.6

  private static var torchFiles: [[UInt8]] {
    let plain = tensor("7", offset: 0, shape: [3, 4], strides: [4, 1])
    let turned = tensor("7", offset: 1, shape: [3, 2], strides: [1, 3])
    let counts = tensor("8", type: "LongStorage", offset: 0, shape: [], strides: [])
    return [
      torchFile([("weight", plain)], keys: [("7", 12, 4)]), torchFile([("weight", turned)], keys: [("7", 12, 4)]),
      torchFile([("weight", plain), ("again", turned), ("count", counts)], keys: [("7", 12, 4), ("8", 1, 8)]),
    ]
  }

  private static func text(_ text: String) -> [UInt8] {
    [UInt8(ascii: "X")] + word(text.utf8.count, 4) + Array(text.utf8)
  }
  private static func word(_ value: Int, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
  private static func number(_ value: Int) -> [UInt8] { [UInt8(ascii: "J")] + word(value, 4) }
  private static func named(_ module: String, _ name: String) -> [UInt8] { Array("c\(module)\n\(name)\n".utf8) }
  private static func tuple(_ items: [UInt8]) -> [UInt8] { [UInt8(ascii: "(")] + items + [UInt8(ascii: "t")] }

  private static func tensor(
    _ key: String, type: String = "FloatStorage", offset: Int, shape: [Int], strides: [Int]
  ) -> [UInt8] {
    let storage =
      tuple(text("storage") + named("torch", type) + text(key) + text("cpu") + number(4) + Array("N".utf8))
      + Array("Q".utf8)
    return named("torch._utils", "_rebuild_tensor_v2")
      + tuple(
        storage + number(offset) + tuple(shape.flatMap(number)) + tuple(strides.flatMap(number)) + [0x89]
          + named("collections", "OrderedDict") + Array(")R".utf8)) + Array("R".utf8)
  }

  /// - Parameter keys: Each storage's key, its number of elements, and bytes an element.
  private static func torchFile(_ tensors: [(String, [UInt8])], keys: [(String, Int, Int)]) -> [UInt8] {
    var bytes: [UInt8] = [
      0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, UInt8(ascii: "."), 0x80, 2,
      UInt8(ascii: "M"), 0xe9, 3, UInt8(ascii: "."), 0x80, 2,
    ]
    bytes += Array("}q\0(".utf8) + text("little_endian") + [0x88] + Array("u.".utf8)
    bytes += [0x80, 2] + named("collections", "OrderedDict") + Array(")Rq\u{1}(".utf8)
    bytes += tensors.flatMap { text($0) + $1 } + Array("u".utf8)
    // The note of module versions that torch puts behind a state.
    bytes += Array("}".utf8) + text("_metadata") + named("collections", "OrderedDict") + Array(")Rsb.".utf8)
    bytes += [0x80, 2] + Array("](".utf8) + keys.flatMap { text($0.0) } + Array("e.".utf8)
    for (_, count, size) in keys {
      bytes += word(count, 8) + (0..<count * size).map { UInt8(truncatingIfNeeded: $0 * 5) }
    }
    return bytes
  }
}
