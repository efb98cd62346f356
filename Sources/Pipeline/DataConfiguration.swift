import Datasets
import Foundation
import StrictYAML

extension RunConfiguration {
  /// Which images, and how they are used.
  public struct Data: Hashable, Sendable {
    /// Names of the data sets that can be read; `folder` is `ImageFolder`.
    public static let names = ["fashion-mnist", "cifar10", "cifar100", "folder"]

    public var name: String
    /// `nil` for where set-up put it.
    public var folder: String?
    public var validationImages: Int
    /// 1 or 3: makes all images grey or colour; `nil` leaves them as they are.
    public var channels: Int?
    /// Whether files of a folder that cannot be read are skipped, and not refused.
    public var skipsBrokenFiles: Bool
    /// In pixels.
    public var shift: Int
    public var flip: Bool
    /// The least share of the area that a random crop takes; 1 for no crop.
    public var crop: Double
    /// RandAugment's number of operations and their strength, 0 to 10.
    public var operations: Int
    public var magnitude: Double

    /// - Throws: `YAMLError` with the line of what is wrong.
    init(_ value: YAMLValue) throws(YAMLError) {
      let data = try value.mapping(
        keys: ["name", "folder", "validation-images", "channels", "broken-files", "augmentation"])
      name = try data.required("name").choice(Self.names)
      let place = try data.required("folder")
      let path = try place.string()
      folder = path == "default" ? nil : path
      guard name != "folder" || folder != nil else {
        throw place.error("a data set of the name folder has no default place; write the path of the folder")
      }
      validationImages = try data.required("validation-images").int(in: 10...1_000_000)
      channels = try data.optional("channels").map { value throws(YAMLError) in
        guard try [1, 3].contains(value.int(in: 1...3)) else { throw value.error("is 1 (grey) or 3 (colour)") }
        return try value.int(in: 1...3)
      }
      skipsBrokenFiles = try data.optional("broken-files")?.choice(["refuse", "skip"]) == "skip"
      let augmentation = try data.required("augmentation").mapping(
        keys: ["shift", "flip", "crop", "operations", "magnitude"])
      shift = try augmentation.required("shift").int(in: 0...16)
      flip = try augmentation.required("flip").bool()
      crop = try augmentation.optional("crop")?.double(in: 0.05...1) ?? 1
      operations = try augmentation.optional("operations")?.int(in: 0...14) ?? 0
      magnitude = try augmentation.optional("magnitude")?.double(in: 0...10) ?? 9
    }

    /// For a reader: a folder of images goes by its own name.
    var title: String { name == "folder" ? folder.map { URL(filePath: $0).lastPathComponent } ?? name : name }

    /// What is done to training images.
    var augmentation: Augmentation {
      if crop < 1 || operations > 0 {
        .photographic(
          PhotographicAugmentation(
            leastArea: crop, shift: shift, flips: flip, operations: operations, magnitude: magnitude))
      } else if shift > 0 || flip {
        .shift(by: shift, flips: flip)
      } else {
        .none
      }
    }
  }
}
