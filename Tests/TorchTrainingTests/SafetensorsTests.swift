import Foundation
import Testing
import TorchTraining

@Suite struct SafetensorsTests {
  private func example() throws -> Safetensors {
    Safetensors(
      tensors: [
        "w": try StoredTensor(
          shape: [2, 3], elements: .float32([1, -2, 0.5, .infinity, -0.0, .leastNonzeroMagnitude])),
        "labels": try StoredTensor(shape: [2], elements: .int64([.min, 7])),
        "bias": try StoredTensor(shape: [1], elements: .int32([-5])),
        "integers": try StoredTensor(shape: [3], elements: .int8([-127, 0, 127])),
        "pixels": try StoredTensor(shape: [1, 1], elements: .uint8([255])),
        "nothing": try StoredTensor(shape: [0, 4], elements: .float32([])),
        "scalar": try StoredTensor(shape: [], elements: .float32([3])),
      ], metadata: ["space": "onnxw-151122-023231", "step": "4"])
  }

  private func bytes(header: String, data: [UInt8]) -> Data {
    var bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) }
    bytes.append(contentsOf: header.utf8)
    bytes.append(contentsOf: data)
    return bytes
  }

  @Test("A file that was written is read back equal, and writing it again gives the same bytes")
  func roundTrip() throws {
    let file = try example()
    let folder = FileManager.default.temporaryDirectory.appending(path: "safetensors-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let url = folder.appending(path: "a.safetensors")
    try file.write(to: url)
    try file.write(to: url)
    let again = try Safetensors(contentsOf: url)
    #expect(again == file)
    #expect(try Data(contentsOf: url) == again.encoded())
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["a.safetensors"])
  }

  @Test("The bytes are those of the format: length, JSON, elements")
  func format() throws {
    let file = Safetensors(tensors: ["a": try StoredTensor(shape: [2], elements: .float32([1, 2]))])
    let header = #"{"a":{"data_offsets":[0,8],"dtype":"F32","shape":[2]}}"#
    let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    #expect(try file.encoded() == bytes(header: padded, data: [0, 0, 128, 63, 0, 0, 0, 64]))
  }

  @Test("Every truncation of a file is refused as one")
  func truncation() throws {
    let data = try example().encoded()
    for count in 0..<data.count {
      let refusal = #expect(throws: SafetensorsError.self) { try Safetensors(data.prefix(count)) }
      #expect(refusal?.message.contains("truncated") == true, "cut after \(count) bytes")
    }
  }

  @Test(
    "What is no safetensors file is refused for what is wrong with it",
    arguments: [
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 8, "does not fill"),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "no tensor owns"),
      (
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#,
        6, "overlap"
      ),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 9, "after its last"),
      (#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"#, 4, "F16"),
      (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "does not fill"),
      (#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#, 4, "does not fill"),
      (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, "no range"),
      (#"{"a":{"dtype":"F32","shape":[1]}}"#, 4, "header"),
      (#"[1, 2]"#, 0, "header"),
    ])
  func refusals(header: String, count: Int, message: String) throws {
    let refusal = #expect(throws: SafetensorsError.self) {
      try Safetensors(bytes(header: header, data: [UInt8](repeating: 0, count: count)))
    }
    #expect(refusal?.message.contains(message) == true, "\(String(describing: refusal))")
  }

  @Test("A missing file, and a length of header that no file has, are named")
  func files() throws {
    let missing = URL(fileURLWithPath: "/nowhere/at/all.safetensors")
    let refusal = #expect(throws: SafetensorsError.self) { try Safetensors(contentsOf: missing) }
    #expect(refusal?.description.contains("/nowhere/at/all.safetensors") == true)
    #expect(throws: SafetensorsError.self) { try Safetensors(Data(repeating: 255, count: 64)) }
    #expect(throws: SafetensorsError.self) { try Safetensors().write(to: missing) }
    #expect(throws: SafetensorsError.self) { try StoredTensor(shape: [2], elements: .int8([1])) }
  }
}
