import Datasets
import Foundation
import Testing

@Suite struct CIFARTests {
  let folder: DatasetFolder

  init() throws { folder = try DatasetFolder() }

  private func image(_ seed: Int) -> [UInt8] { (0..<3072).map { UInt8(($0 * 13 + seed * 31) % 256) } }

  private func writeTen() throws {
    for batch in 1...5 {
      try folder.write([UInt8(batch)] + image(batch) + [9] + image(batch + 10), "data_batch_\(batch).bin")
    }
    try folder.write([4] + image(99), "test_batch.bin")
  }

  @Test("CIFAR-10's five training files are read in order, planes of red, green and blue")
  func ten() throws {
    try writeTen()
    let train = try CIFAR10.load(folder: folder.url, part: .train)
    #expect(train.labels == [1, 9, 2, 9, 3, 9, 4, 9, 5, 9])
    #expect(train.shape == [3, 32, 32])
    #expect(Array(train.image(3)) == image(12))
    let test = try CIFAR10.load(folder: folder.url, part: .test)
    #expect(test.labels == [4])
    #expect(test.pixels == image(99))
    #expect(test.classNames[4] == "deer")
  }

  @Test("CIFAR-100's fine labels are the classes")
  func hundred() throws {
    try folder.write([19, 99] + image(1) + [0, 0] + image(2), "train.bin")
    let train = try CIFAR100.load(folder: folder.url, part: .train)
    #expect(train.labels == [99, 0])
    #expect(Array(train.image(1)) == image(2))
    #expect(Set(train.classNames).count == 100)
    #expect(train.classNames == train.classNames.sorted())
  }

  @Test("A missing file is named, with all that are expected")
  func missing() throws {
    try writeTen()
    try FileManager.default.removeItem(at: folder.url.appending(path: "data_batch_4.bin"))
    let error = try #require(refusal { _ = try CIFAR10.load(folder: folder.url, part: .train) })
    #expect(error.code == .missing)
    #expect(error.description.contains("data_batch_4.bin: this file is not there"))
    #expect(error.description.contains("data_batch_5.bin of the binary version of CIFAR-10"))
    #expect(
      refusal { _ = try CIFAR100.load(folder: folder.url, part: .test) }?.description.contains("test.bin") == true)
  }

  @Test("A file of any other length is refused", arguments: [0, 1, 3072, 3074, 6145])
  func length(length: Int) throws {
    try folder.write([UInt8](repeating: 1, count: length), "test_batch.bin")
    let error = try #require(refusal { _ = try CIFAR10.load(folder: folder.url, part: .test) })
    #expect(error.code == .damaged)
    #expect(error.description.contains("its length is \(length) bytes, and a multiple of 3073"))
  }

  @Test("A label beyond the classes is refused with its image")
  func label() throws {
    try folder.write([4] + image(1) + [10] + image(2), "test_batch.bin")
    #expect(
      refusal { _ = try CIFAR10.load(folder: folder.url, part: .test) }?.description.contains(
        "image 1 has label 10, and labels are 0 to 9") == true)
  }
}
