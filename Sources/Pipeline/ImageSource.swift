public import Datasets
public import Foundation
import TorchTraining

/// Where images come from and in which form they are wanted.
public struct ImageSource: Hashable, Sendable {
  /// One of `RunConfiguration.Data.names`.
  public var name: String
  /// `nil` for where set-up put it.
  public var folder: URL?
  /// Height and width in pixels; `nil` for the files' own.
  public var size: Int?
  /// 1 or 3; `nil` for the files' own.
  public var channels: Int?
  public var skipsBrokenFiles: Bool
  /// Draws the test images of a folder that names none.
  public var seed: UInt64

  public init(
    name: String, folder: URL?, size: Int?, channels: Int? = nil, skipsBrokenFiles: Bool = false, seed: UInt64 = 1
  ) {
    self.name = name
    self.folder = folder
    self.size = size
    self.channels = channels
    self.skipsBrokenFiles = skipsBrokenFiles
    self.seed = seed
  }

  init(_ data: RunConfiguration.Data, size: Int, seed: UInt64) {
    self.init(
      name: data.name, folder: data.folder.map { URL(filePath: $0) }, size: size, channels: data.channels,
      skipsBrokenFiles: data.skipsBrokenFiles, seed: seed)
  }

  /// Reads one part.
  ///
  /// Published data sets are padded to the size where they are smaller, and resized where they are larger; a folder's
  /// images are resized.
  ///
  /// - Parameters:
  ///   - whole: Takes all images of a folder that has no parts.
  ///   - note: Told of files that are skipped.
  /// - Throws: `DatasetError` that names the file; `TrainingError` that lists the known data sets.
  public func load(
    _ part: PublishedPart, whole: Bool = false, note: (String) -> Void = { _ in }
  ) throws -> ImageDataset {
    if let channels, channels != 1, channels != 3 {
      throw TrainingError(
        "images of \(channels) channels are asked for; those that are read have 1 (grey) or 3 (red, green and blue)")
    }
    if name == "folder" { return try photographs(part, whole: whole, note: note) }
    let url = folder ?? Program.dataFolder.appending(path: name)
    var images: ImageDataset
    switch name {
    case "fashion-mnist": images = try FashionMNIST.load(folder: url, part: part)
    case "cifar10": images = try CIFAR10.load(folder: url, part: part)
    case "cifar100": images = try CIFAR100.load(folder: url, part: part)
    default:
      throw TrainingError(
        "data set \"\(name)\" is not known; right would be one of "
          + RunConfiguration.Data.names.joined(separator: ", "))
    }
    if let channels { images = try images.resized(to: images.height, channels: channels) }
    guard let size, images.height != size || images.width != size else { return images }
    return images.height < size ? try images.padded(to: size) : try images.resized(to: size)
  }

  private func photographs(_ part: PublishedPart, whole: Bool, note: (String) -> Void) throws -> ImageDataset {
    guard let folder else {
      throw TrainingError("a data set of the name folder needs the path of the folder (data.folder, --folder)")
    }
    guard let size else {
      throw TrainingError(
        "\(folder.relativePath): the images of a folder are resized to what a network takes, and this one does not tell its "
          + "size")
    }
    let images = try ImageFolder(
      folder,
      options: .init(
        size: size, channels: channels, brokenFiles: skipsBrokenFiles ? .skip : .refuse, seed: seed))
    let (dataset, broken) = try images.load(part, whole: whole)
    if !broken.isEmpty {
      note("\(broken.count) files of \(folder.relativePath) were skipped:")
      for file in broken.prefix(20) { note("  \(file)") }
      if broken.count > 20 { note("  and \(broken.count - 20) more") }
    }
    return dataset
  }
}
