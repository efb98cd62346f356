import Foundation
import RunFolders
import Testing

@Suite struct RunFolderTests {
  let parent: TemporaryFolder
  let url: URL
  let configuration = """
    data:
      name: fashion-mnist
      # pixels
      padTo: 32
    train:
      epochs: 4
      rates:
        - first: 1
        - second: 2

    """

  init() throws {
    parent = try TemporaryFolder()
    url = parent.url.appending(path: "runs/a")
  }

  private func open(
    _ configuration: String? = nil, seeds: [String: UInt64] = ["main": 7], program: String = "spaceevo 0.1.0",
    libraries: [String: String] = ["libtorch": "2.13.0"]
  ) throws -> RunFolder {
    try RunFolder(
      at: url, configuration: configuration ?? self.configuration, seeds: seeds, program: program, libraries: libraries)
  }

  @Test("A new folder has its whole layout, and says what it is made of")
  func newFolder() throws {
    let run = try open()
    #expect(run.isNew)
    #expect(run.notices.isEmpty)
    #expect(
      try parent.names("runs/a")
        == ["checkpoints", "configuration.yaml", "lock", "manifest.json", "models", "records", "tables"])
    #expect(try String(contentsOf: run.paths.configuration, encoding: .utf8) == configuration)
    let manifest = try RunFolder.manifest(of: url)
    #expect(manifest == run.manifest)
    #expect(manifest.formatVersion == 1)
    #expect(manifest.program == "spaceevo 0.1.0")
    #expect(manifest.seeds == ["main": 7])
    #expect(manifest.libraries == ["libtorch": "2.13.0"])
    #expect(manifest.machine.cores >= 1)
    #expect(manifest.machine.memoryBytes > 1 << 26)
    #expect(!manifest.machine.processor.isEmpty)
    #expect(!manifest.machine.operatingSystem.isEmpty)
  }

  @Test("The same run goes on: records and files are there, and the manifest is the first one")
  func reopened() throws {
    let first: Manifest
    do {
      let run = try open()
      first = run.manifest
      try run.records("samples", of: Sample.self).append(.numbered(4))
      try AtomicFile.write(Data("weights".utf8), to: run.paths.checkpoints.appending(path: "teacher.safetensors"))
    }
    do {
      let run = try open()
      #expect(!run.isNew)
      #expect(run.manifest == first)
      var found: [Sample] = []
      _ = try run.records("samples") { found.append($0) }
      #expect(found == [.numbered(4)])
      #expect(try parent.names("runs/a/checkpoints") == ["teacher.safetensors"])
    }
    let run = try RunFolder(existing: url, program: "spaceevo 0.1.0", libraries: ["libtorch": "2.13.0"])
    #expect(run.manifest == first)
    #expect(run.notices.isEmpty)
  }

  @Test(
    "Another configuration is refused with the first key that differs, and changes nothing",
    arguments: [
      ("  epochs: 4", "  epochs: 5", "train.epochs (line 6): \"epochs: 4\" then, \"epochs: 5\" now"),
      ("    - second: 2\n", "", "train.rates.second (line 9): \"- second: 2\" then, \"\" now"),
      ("padTo: 32", "padTo: 28", "data.padTo (line 4)"), ("data:", "source:", "data (line 1)"),
      ("# pixels", "# points", "(line 3)"),
    ])
  func otherConfiguration(change: (old: String, new: String, shown: String)) throws {
    do { _ = try open() }
    let before = try contents()
    let error = try #require(
      refusal { _ = try open(configuration.replacingOccurrences(of: change.old, with: change.new)) })
    #expect(error.code == .differentRun)
    #expect(error.description.contains(change.shown), "\(error)")
    #expect(error.description.contains("start another folder with --run"))
    #expect(try contents() == before)
  }

  @Test("Another seed is refused by its name")
  func otherSeed() throws {
    do { _ = try open() }
    let error = try #require(refusal { _ = try open(seeds: ["main": 8]) })
    #expect(error.code == .differentRun)
    #expect(error.description.contains("another seed \"main\": 7 then, 8 now"))
    #expect(refusal { _ = try open(seeds: [:]) }?.description.contains("7 then, none now") == true)
  }

  @Test("Another format version is refused before anything else of the manifest is read")
  func otherFormat() throws {
    do { _ = try open() }
    let manifest = url.appending(path: "manifest.json")
    try Data("{\"formatVersion\": 9, \"shape\": \"unknown\"}".utf8).write(to: manifest)
    let before = try contents()
    for error in [refusal { _ = try open() }, refusal { _ = try RunFolder(existing: url, program: "p") }] {
      #expect(error?.code == .differentRun)
      #expect(error?.description.contains("format version 9, and this program reads and writes version 1") == true)
    }
    #expect(try contents() == before)
  }

  @Test(
    "A damaged manifest is named", arguments: ["", "{", "[]", "{\"formatVersion\": 1}", "{\"formatVersion\": \"1\"}"])
  func damagedManifest(text: String) throws {
    do { _ = try open() }
    try Data(text.utf8).write(to: url.appending(path: "manifest.json"))
    let error = refusal { _ = try open() }
    #expect(error?.code == .damaged)
    #expect(error?.description.contains("manifest.json: ") == true)
  }

  @Test("An edited configuration.yaml is refused with the line; a missing one is written again")
  func editedConfiguration() throws {
    do { _ = try open() }
    let file = url.appending(path: "configuration.yaml")
    try Data(configuration.replacingOccurrences(of: "epochs: 4", with: "epochs: 40").utf8).write(to: file)
    let error = try #require(refusal { _ = try open() })
    #expect(error.code == .differentRun)
    #expect(error.description.contains("configuration.yaml, line 6: changed since the run was begun"))
    try FileManager.default.removeItem(at: file)
    _ = try open()
    #expect(try String(contentsOf: file, encoding: .utf8) == configuration)
  }

  @Test("Another program, machine or library is told, and the run goes on")
  func changesAreTold() throws {
    do { _ = try open() }
    let notices = try open(program: "spaceevo 0.2.0", libraries: ["onnxruntime": "1.32"]).notices
    #expect(notices.count == 3)
    #expect(notices.contains("the run was begun by spaceevo 0.1.0, this is spaceevo 0.2.0"))
    #expect(notices.contains("the run was begun with libtorch 2.13.0, this is none"))
    #expect(notices.contains("the run was begun with onnxruntime none, this is 1.32"))
    var machine = Machine.current()
    machine.processor = "abacus"
    let moved = try RunFolder(
      existing: url, program: "spaceevo 0.1.0", libraries: ["libtorch": "2.13.0"], machine: machine)
    #expect(moved.notices.count == 1)
    #expect(moved.notices.first?.contains("abacus") == true)
  }

  @Test("Leftovers of a crash are removed and told")
  func leftovers() throws {
    do { _ = try open() }
    for path in [".partial-manifest.json-1", "checkpoints/.partial-teacher.safetensors-77", "models/.partial-a.onnx-2"]
    {
      try Data("half".utf8).write(to: url.appending(path: path))
    }
    let run = try open()
    #expect(run.notices.count == 3)
    #expect(run.notices.contains { $0.contains("runs/a/checkpoints/.partial-teacher.safetensors-77") })
    #expect(try parent.names("runs/a/checkpoints").isEmpty)
    #expect(try isHeld())
    withExtendedLifetime(run) {}
  }

  @Test("A folder with something else in it is refused, and untouched", arguments: ["thesis.txt", "records/old.csv"])
  func foreignFolder(path: String) throws {
    let file = url.appending(path: path)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data("text".utf8).write(to: file)
    let before = try contents()
    let error = try #require(refusal { _ = try open() })
    #expect(error.code == .notARunFolder)
    #expect(error.description.contains("holds \"\(path.split(separator: "/")[0])\""))
    #expect(try contents() == before)
  }

  @Test("A path that cannot be a folder is refused with the reason")
  func impossiblePaths() throws {
    let file = parent.url.appending(path: "file")
    try Data("text".utf8).write(to: file)
    let isFile = try #require(refusal { _ = try RunFolder(at: file, configuration: "", program: "p") })
    #expect(isFile.description.contains("file: this is a file, not a folder"))
    let below = try #require(
      refusal { _ = try RunFolder(at: file.appending(path: "run"), configuration: "", program: "p") })
    #expect(below.code == .inputOutput)
    #expect(below.description.contains("cannot make the run folder: Not a directory"))
    // No folder can be made in /proc, not even by root.
    let unwritable = refusal { _ = try RunFolder(at: URL(filePath: "/proc/none/run"), configuration: "", program: "p") }
    #expect(unwritable?.description.contains("/proc/none/run: cannot make the run folder: ") == true)
    let none = try #require(refusal { _ = try RunFolder(existing: url, program: "p") })
    #expect(none.code == .notARunFolder)
    #expect(!FileManager.default.fileExists(atPath: url.path))
  }

  @Test("A file that another library writes is put in place whole, or not at all if that fails")
  func producedFile() throws {
    struct Failure: Error {}
    let file = parent.url.appending(path: "net.onnx")
    try AtomicFile.write(to: file) { try Data("one".utf8).write(to: $0) }
    #expect(throws: Failure.self) {
      try AtomicFile.write(to: file) {
        try Data("half".utf8).write(to: $0)
        throw Failure()
      }
    }
    #expect(try Data(contentsOf: file) == Data("one".utf8))
    #expect(try parent.names() == ["net.onnx"])
    #expect(throws: RunFolderError.self) { try AtomicFile.write(to: file) { _ in } }
    #expect(refusal { try AtomicFile.write(Data(), to: parent.url.appending(path: "none/a")) }?.code == .inputOutput)
  }

  private func isHeld() throws -> Bool { refusal { _ = try open() }?.code == .inUse }

  /// Every file of the run folder with its bytes, but for the lock.
  private func contents() throws -> [String: Data] {
    var contents: [String: Data] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: url.path) where path != "lock" {
      contents[path] = FileManager.default.contents(atPath: url.appending(path: path).path) ?? Data()
    }
    return contents
  }
}
