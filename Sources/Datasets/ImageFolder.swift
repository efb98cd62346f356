internal import Dispatch
public import Foundation
internal import InputFiles
internal import Synchronization

/// A folder of photographs with one folder a class: JPEG and PNG files of any size.
///
/// ```
/// FOLDER/train/cats/001.jpg        or, without parts,     FOLDER/cats/001.jpg
/// FOLDER/train/dogs/002.png                               FOLDER/dogs/002.png
/// FOLDER/test/cats/003.jpg
/// ```
///
/// Classes are the folders' names in the order of their characters. `test` may also be called `val` or `validation`.
/// Without parts, every fifth image of each class, drawn by the seed, is a test image. Hidden files are left alone.
public struct ImageFolder: Hashable, Sendable {
  /// What is done with files that cannot be used.
  public enum BrokenFiles: String, Hashable, Sendable, CaseIterable {
    /// The first is an error that names it and counts the others.
    case refuse
    /// They are left out, and reported.
    case skip
  }

  public struct Options: Hashable, Sendable {
    /// Images come out `size` x `size` pixels: the middle square of each, resized.
    public var size: Int
    /// 1 or 3; `nil` for what the files have, which then must agree.
    public var channels: Int?
    public var brokenFiles: BrokenFiles
    /// Draws the test images where the folder has no parts.
    public var seed: UInt64

    public init(size: Int, channels: Int? = nil, brokenFiles: BrokenFiles = .refuse, seed: UInt64 = 1) {
      self.size = size
      self.channels = channels
      self.brokenFiles = brokenFiles
      self.seed = seed
    }
  }

  /// A file that cannot be used, and why.
  public struct BrokenFile: Hashable, Sendable, CustomStringConvertible {
    public let path: String
    public let reason: String
    public var description: String { "\(path): \(reason)" }
  }

  public let url: URL
  public let options: Options
  /// In the order of the labels.
  public let classNames: [String]
  /// The folder that holds the classes of each part; the same one where the folder has no parts.
  private let parts: [PublishedPart: URL]

  /// Whether the folder itself tells which images are for testing.
  public var hasParts: Bool { parts[.train] != parts[.test] }

  /// - Throws: `DatasetError` (`missing`) where there is no such folder, or none of two or more classes in it;
  ///   `inconsistent` where the parts have different classes.
  public init(_ url: URL, options: Options) throws(DatasetError) {
    guard let names = Self.folders(in: url) else {
      throw DatasetError(.missing, "\(url.relativePath): there is no such folder that can be read.")
    }
    let test = ["test", "val", "validation"].first { names.contains($0) }
    if names.contains("train"), let test {
      parts = [.train: url.appending(path: "train"), .test: url.appending(path: test)]
    } else if names == ["train"] || names.count == 1 && test != nil {
      throw DatasetError(
        .missing,
        "\(url.relativePath): it has a folder \(names[0]) and none for \(names == ["train"] ? "test" : "train"); "
          + "right are both, or one folder a class and no parts.")
    } else {
      parts = [.train: url, .test: url]
    }
    classNames = Self.folders(in: parts[.train]!) ?? []
    guard classNames.count >= 2 else {
      throw DatasetError(
        .missing,
        "\(parts[.train]!.relativePath): a folder for each of two or more classes is right, with its JPEG and PNG files; "
          + "there is \(classNames.isEmpty ? "none" : "\(classNames[0]) only").")
    }
    if let other = Self.folders(in: parts[.test]!), other != classNames {
      let difference = Set(other).symmetricDifference(classNames).sorted()
      throw DatasetError(
        .inconsistent,
        "\(url.relativePath): its two parts must have the same classes; \(difference.joined(separator: ", ")) "
          + "is in one of them only.")
    }
    self.url = url
    self.options = options
  }

  /// Names of the folders in a folder, sorted; `nil` where it cannot be read.
  private static func folders(in url: URL) -> [String]? {
    guard
      let items = try? FileManager.default.contentsOfDirectory(
        at: url, includingPropertiesForKeys: [.isDirectoryKey], options: .skipsHiddenFiles)
    else { return nil }
    return items.filter { (try? $0.resourceValues(forKeys: [.isDirectoryKey]))?.isDirectory == true }
      .map(\.lastPathComponent).sorted()
  }
}

// MARK: - Loading

extension ImageFolder {
  /// Reads one part.
  ///
  /// - Parameters:
  ///   - whole: Takes all images of a folder without parts, in place of the drawn share.
  ///   - progress: Called with the number of files read so far, on several threads.
  /// - Returns: The images, and the files that were left out, sorted by path.
  /// - Throws: `DatasetError`: `damaged` with the first broken file and how many there are, where they are refused;
  ///   `inconsistent` with two files whose channels differ, or where a class has no image left.
  public func load(
    _ part: PublishedPart, whole: Bool = false, progress: @Sendable (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) throws(DatasetError) -> (images: ImageDataset, broken: [BrokenFile]) {
    let (files, stray) = try listing(part)
    let read = decode(files, progress)
    var broken =
      stray
      + files.indices.compactMap { index in
        if case .failure(let error) = read[index].result {
          BrokenFile(path: path(files[index].url), reason: error.description)
        } else {
          nil
        }
      }
    let contradicted = contradictions(files, read)
    broken += contradicted.values
    broken.sort { $0.path < $1.path }
    if options.brokenFiles == .refuse, let first = broken.first {
      let others = broken.count == 1 ? "" : " \(broken.count - 1) more of \(files.count) files cannot be used either."
      throw DatasetError(
        .damaged,
        "\(first.path): \(first.reason).\(others) Remove them, or let them be skipped (broken-files: skip, --skip-broken-files)."
      )
    }
    let usable = files.indices.filter { index in
      if case .success = read[index].result { contradicted[index] == nil } else { false }
    }
    return (try dataset(part, whole: whole, usable.map { (files[$0], try! read[$0].result.get()) }), broken)
  }

  private struct File {
    let url: URL
    let label: Int
  }

  /// What a name in a folder stands for, where links lead.
  private enum Kind {
    case file, folder, nothing, other

    init(_ url: URL) {
      let target = url.resolvingSymlinksInPath()
      let values = try? target.resourceValues(forKeys: [.isRegularFileKey, .isDirectoryKey])
      self =
        if values?.isRegularFile == true {
          .file
        } else if values?.isDirectory == true {
          .folder
        } else if FileManager.default.fileExists(atPath: target.path(percentEncoded: false)) {
          .other
        } else {
          .nothing
        }
    }
  }

  private struct Decoded {
    let result: Result<Picture, DatasetError>
    let digest: UInt64
  }

  private func path(_ file: URL) -> String {
    let (root, path) = (url.path(percentEncoded: false), file.path(percentEncoded: false))
    let prefix = root.hasSuffix("/") ? root : root + "/"
    return path.hasPrefix(prefix) ? url.relativePath + "/" + path.dropFirst(prefix.count) : path
  }

  /// The files of a part by class and name, and files that are in no class.
  private func listing(_ part: PublishedPart) throws(DatasetError) -> (files: [File], stray: [BrokenFile]) {
    func items(_ folder: URL) throws(DatasetError) -> [(url: URL, kind: Kind)] {
      do {
        // By path, since the listing by URL leaves out what is neither file nor folder.
        return try FileManager.default.contentsOfDirectory(atPath: folder.path(percentEncoded: false))
          .filter { !$0.hasPrefix(".") }.sorted()
          .map { folder.appending(path: $0, directoryHint: .notDirectory) }.map { ($0, Kind($0)) }
      } catch {
        throw DatasetError(.missing, "\(folder.relativePath): cannot read the folder: \(error.localizedDescription)")
      }
    }
    let root = parts[part]!
    // The folders here are the classes.
    var stray = try items(root).filter { $0.kind != .folder }.map { item in
      BrokenFile(path: path(item.url), reason: "it is in the folder of no class")
    }
    var files: [File] = []
    for (label, name) in classNames.enumerated() {
      for (url, kind) in try items(root.appending(path: name)) {
        switch kind {
        case .file: files.append(File(url: url, label: label))
        case .folder: stray.append(BrokenFile(path: path(url), reason: "it is a folder inside that of a class"))
        case .nothing: stray.append(BrokenFile(path: path(url), reason: "it is a link to nothing that is there"))
        case .other: stray.append(BrokenFile(path: path(url), reason: "it is no file"))
        }
      }
    }
    return (files, stray)
  }

  /// Reads and decodes all files, several at once.
  private func decode(_ files: [File], _ progress: @Sendable (Int, Int) -> Void) -> [Decoded] {
    let size = options.size
    let channels = options.channels
    let done = Atomic(0)
    return [Decoded](unsafeUninitializedCapacity: files.count) { buffer, count in
      // Each index is written once, by whoever takes it, and all are read after the last.
      nonisolated(unsafe) let slots = buffer
      DispatchQueue.concurrentPerform(iterations: files.count) { index in
        slots.baseAddress!.advanced(by: index).initialize(
          to: Self.decode(files[index].url, size: size, channels: channels))
        progress(done.wrappingAdd(1, ordering: .relaxed).newValue, files.count)
      }
      count = files.count
    }
  }

  /// Photographs are some megabytes.
  private static let mostFileBytes = 256 << 20

  private static func decode(_ url: URL, size: Int, channels: Int?) -> Decoded {
    let bytes: [UInt8]
    do { bytes = [UInt8](try InputFile.bytes(of: url, atMost: mostFileBytes)) } catch {
      return Decoded(result: .failure(DatasetError(.missing, "cannot read the file: \(error)")), digest: 0)
    }
    // FNV-1a: only to find files of the same content, which are compared byte for byte then.
    var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01b3 }
    do throws(DatasetError) {
      var picture = try Picture(decoding: bytes, leastSide: 2 * size).square(side: size)
      if let channels { picture = picture.with(channels: channels) }
      return Decoded(result: .success(picture), digest: digest)
    } catch {
      return Decoded(result: .failure(error), digest: digest)
    }
  }

  /// Files whose very content is in two classes: at least one of the labels is wrong. By index.
  private func contradictions(_ files: [File], _ read: [Decoded]) -> [Int: BrokenFile] {
    var result: [Int: BrokenFile] = [:]
    for group in Dictionary(grouping: files.indices, by: { read[$0].digest }).values where group.count > 1 {
      for index in group {
        guard case .success = read[index].result,
          let other = group.first(where: {
            files[$0].label != files[index].label
              && FileManager.default.contentsEqual(
                atPath: files[$0].url.path(percentEncoded: false),
                andPath: files[index].url.path(percentEncoded: false))
          })
        else { continue }
        result[index] = BrokenFile(
          path: path(files[index].url), reason: "it is labelled twice: \(path(files[other].url)) is the same file")
      }
    }
    return result
  }

  private func dataset(
    _ part: PublishedPart, whole: Bool, _ images: [(file: File, picture: Picture)]
  ) throws(DatasetError) -> ImageDataset {
    var counts = [Int](repeating: 0, count: classNames.count)
    for image in images { counts[image.file.label] += 1 }
    if let empty = counts.firstIndex(of: 0) {
      throw DatasetError(
        .inconsistent,
        "\(parts[part]!.relativePath): class \(classNames[empty]) has no image that can be read; each needs one.")
    }
    let first = images[0]
    if let other = images.first(where: { $0.picture.channels != first.picture.channels }) {
      let names = [first, other].map { "\(path($0.file.url)) has \($0.picture.channels)" }
      throw DatasetError(
        .inconsistent,
        "images of two channel counts: \(names.joined(separator: ", ")). Say which is wanted (channels: 1 or 3).")
    }
    var pixels: [UInt8] = []
    pixels.reserveCapacity(images.count * first.picture.pixels.count)
    for image in images { pixels += image.picture.pixels }
    let all = try ImageDataset(
      name: "\(url.lastPathComponent), \(part.rawValue)", classNames: classNames, channels: first.picture.channels,
      height: options.size, width: options.size, pixels: pixels, labels: images.map { Int32($0.file.label) })
    if hasParts || whole { return all }
    guard counts.allSatisfy({ $0 >= 2 }) else {
      throw DatasetError(
        .inconsistent,
        "\(url.relativePath): a folder without a test part needs two images or more of each class, to share them out.")
    }
    let members = Dictionary(grouping: 0..<all.count, by: { all.labels[$0] })
    var test: [Int] = []
    for label in members.keys.sorted() {
      let indices = members[label]!
      test += all.stratifiedSample(
        of: indices, count: max(1, indices.count / 5), seed: options.seed, stream: "test images")
    }
    let chosen = Set(test)
    return try all.subset(
      (0..<all.count).filter { chosen.contains($0) == (part == .test) }, name: all.name)
  }
}
