import Foundation
import Testing
import TorchTraining

/// Writes what `torch.save` wrote before version 1.6.
private struct LegacyFile {
  var bytes: [UInt8] = []

  static let magic: [UInt8] = [
    0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, UInt8(ascii: "."),
  ]
  static let protocolVersion: [UInt8] = [0x80, 2, UInt8(ascii: "M"), 0xe9, 3, UInt8(ascii: ".")]

  static func text(_ text: String) -> [UInt8] {
    [UInt8(ascii: "X")] + word(text.utf8.count, 4) + Array(text.utf8)
  }
  static func word(_ value: Int, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(value >> (8 * $0) & 255) } }
  static func number(_ value: Int) -> [UInt8] { [UInt8(ascii: "J")] + word(value, 4) }
  static func named(_ module: String, _ name: String) -> [UInt8] { Array("c\(module)\n\(name)\n".utf8) }
  static func tuple(_ items: [UInt8]) -> [UInt8] { [UInt8(ascii: "(")] + items + [UInt8(ascii: "t")] }

  static func tensor(_ key: String, type: String = "FloatStorage", offset: Int, shape: [Int], strides: [Int])
    -> [UInt8]
  {
    let storage =
      tuple(text("storage") + named("torch", type) + text(key) + text("cpu") + number(4) + Array("N".utf8))
      + Array("Q".utf8)
    return named("torch._utils", "_rebuild_tensor_v2")
      + tuple(
        storage + number(offset) + tuple(shape.flatMap(number)) + tuple(strides.flatMap(number)) + [0x89]
          + named("collections", "OrderedDict") + Array(")R".utf8)) + Array("R".utf8)
  }

  /// A file of one tensor with a storage of float elements.
  static func file(
    _ tensor: [UInt8], key: String = "7", elements: [Float] = (0..<12).map(Float.init), count: Int? = nil
  ) -> Data {
    var bytes = magic + protocolVersion
    bytes += [0x80, 2] + Array("}(".utf8) + text("little_endian") + [0x88] + Array("u.".utf8)
    bytes +=
      [0x80, 2] + named("collections", "OrderedDict") + Array(")R(".utf8) + text("weight") + tensor
      + Array("u.".utf8)
    bytes += [0x80, 2] + Array("](".utf8) + text(key) + Array("e.".utf8)
    bytes += word(count ?? elements.count, 8)
    for element in elements { bytes += word(Int(element.bitPattern), 4) }
    return Data(bytes)
  }
}

@Suite("Files of old versions of torch")
struct LegacyTorchFileTests {
  @Test("A tensor is read row by row, whatever the order of its storage")
  func strides() throws {
    let plain = LegacyFile.file(LegacyFile.tensor("7", offset: 0, shape: [3, 4], strides: [4, 1]))
    #expect(
      try LegacyTorchFile(plain).tensors["weight"]
        == StoredTensor(shape: [3, 4], elements: .float32((0..<12).map(Float.init))))
    let turned = LegacyFile.file(LegacyFile.tensor("7", offset: 1, shape: [3, 2], strides: [1, 3]))
    #expect(
      try LegacyTorchFile(turned).tensors["weight"]
        == StoredTensor(shape: [3, 2], elements: .float32([1, 4, 2, 5, 3, 6])))
    let scalar = LegacyFile.file(LegacyFile.tensor("7", offset: 5, shape: [], strides: []))
    #expect(try LegacyTorchFile(scalar).tensors["weight"]?.elements == .float32([5]))
  }

  @Test("Whatever would call something is refused by its name, and so is every operation that is not needed")
  func hostile() {
    func message(_ tensor: [UInt8]) -> String {
      do {
        _ = try LegacyTorchFile(LegacyFile.file(tensor))
        return ""
      } catch { return "\(error)" }
    }
    let call = LegacyFile.named("os", "system") + LegacyFile.tuple(LegacyFile.text("true")) + Array("R".utf8)
    #expect(message(call).contains("os.system"))
    #expect(message(LegacyFile.named("builtins", "eval")).contains("builtins.eval"))
    // INST, OBJ, NEWOBJ, EXT1, STACK_GLOBAL, REDUCE of a text, DUP.
    for code: UInt8 in [0x69, 0x6f, 0x81, 0x82, 0x93, 0x32] {
      #expect(message([code, 0, 0]).contains("refused"), "\(code)")
    }
    #expect(message(LegacyFile.text("print") + LegacyFile.tuple([]) + Array("R".utf8)).contains("refused"))
  }

  @Test("Records that do not fit their storage are refused")
  func impossible() {
    func refuses(_ data: Data) -> Bool { (try? LegacyTorchFile(data)) == nil }
    #expect(refuses(LegacyFile.file(LegacyFile.tensor("7", offset: 0, shape: [4, 4], strides: [4, 1]))))
    #expect(refuses(LegacyFile.file(LegacyFile.tensor("7", offset: 1, shape: [12], strides: [1]))))
    #expect(refuses(LegacyFile.file(LegacyFile.tensor("7", offset: -1, shape: [2], strides: [1]))))
    #expect(refuses(LegacyFile.file(LegacyFile.tensor("7", offset: 0, shape: [2, 2], strides: [-1, 1]))))
    #expect(refuses(LegacyFile.file(LegacyFile.tensor("7", offset: 0, shape: [1 << 30], strides: [0]))))
    #expect(refuses(LegacyFile.file(LegacyFile.tensor("8", offset: 0, shape: [2], strides: [1]))))
    #expect(
      refuses(LegacyFile.file(LegacyFile.tensor("7", offset: 0, shape: [2], strides: [1]), count: 1 << 40)))
    #expect(
      refuses(
        LegacyFile.file(
          LegacyFile.tensor("7", type: "DoubleStorage", offset: 0, shape: [2], strides: [1]))))
  }

  @Test("A file that is cut off anywhere, or changed anywhere, is read or refused and never a crash")
  func damaged() {
    let whole = LegacyFile.file(LegacyFile.tensor("7", offset: 0, shape: [3, 4], strides: [4, 1]))
    for end in 0..<whole.count { #expect(throws: TorchError.self) { try LegacyTorchFile(whole.prefix(end)) } }
    for place in 0..<whole.count {
      for change: UInt8 in [0x01, 0x80, 0xff] {
        var copy = whole
        copy[place] ^= change
        _ = try? LegacyTorchFile(copy)
      }
    }
    #expect(throws: TorchError.self) { try LegacyTorchFile(whole + [0]) }
  }
}
