import Foundation
import RunFolders
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Each of these ends a process of its own, by a signal that no code of it can answer.
@Suite struct CrashTests {
  @Test("Killed before, in or after a write, a log keeps the whole records and loses none that was acknowledged")
  func faultPoints() async throws {
    for (fault, kept) in [("before-write:3", 2), ("write:3", 2), ("after-write:3", 3), ("write:1", 0)] {
      let folder = try TemporaryFolder()
      let path = folder.url.appending(path: "samples.jsonl").path
      await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, fault = fault as String] in
        setenv("SPACEEVO_FAULT", fault, 1)
        let log = try RecordLog<Sample>(at: URL(filePath: path))
        for index in 0..<5 { try log.append(.numbered(index)) }
      }
      var found: [Sample] = []
      let log = try RecordLog<Sample>(at: URL(filePath: path)) { found.append($0) }
      #expect(found == (0..<kept).map(Sample.numbered), "\(fault)")
      #expect((log.repair != nil) == fault.hasPrefix("write:"), "\(fault)")
      try log.append(.numbered(kept))
      #expect(try samples(in: URL(filePath: path)) == (0...kept).map(Sample.numbered), "\(fault)")
    }
  }

  @Test("Killed at any moment, a log opens with the first records, whole, and no acknowledged one is lost")
  func randomMoments() async throws {
    let folder = try TemporaryFolder()
    let path = folder.url.appending(path: "samples.jsonl").path
    let acknowledged = folder.url.appending(path: "acknowledged").path
    for round in 0..<6 {
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [path = path as String, acknowledged = acknowledged as String] in
        let log = try RecordLog<Sample>(at: URL(filePath: path))
        let told = open(acknowledged, O_WRONLY | O_CREAT, 0o644)
        Thread.detachNewThread {
          usleep(UInt32.random(in: 1_000...60_000))
          kill(getpid(), SIGKILL)
        }
        while true {
          try log.append(.numbered(log.count))
          var count = log.count
          pwrite(told, &count, MemoryLayout<Int>.size, 0)
        }
      }
      let found = try samples(in: URL(filePath: path))
      let told = try Data(contentsOf: URL(filePath: acknowledged)).withUnsafeBytes { $0.loadUnaligned(as: Int.self) }
      #expect(found == (0..<found.count).map(Sample.numbered), "round \(round)")
      #expect(found.count >= told, "round \(round)")
    }
  }

  @Test("A write that reaches the file size limit leaves the log as it was, and says what helps")
  func fullDisk() async throws {
    let folder = try TemporaryFolder()
    let path = folder.url.path
    let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
      [path = path as String] in
      Interruption.install()
      let file = URL(filePath: path).appending(path: "samples.jsonl")
      let log = try RecordLog<Sample>(at: file)
      for index in 0..<3 { try log.append(.numbered(index)) }
      let before = try Data(contentsOf: file)
      var limit = rlimit()
      getrlimit(fileSizeLimit, &limit)
      let old = limit.rlim_cur
      limit.rlim_cur = rlim_t(before.count + 10)
      setrlimit(fileSizeLimit, &limit)
      let appending = refusal { try log.append(.numbered(3)) }
      let replacing = refusal { try AtomicFile.write(Data(repeating: 1, count: 10_000), to: file) }
      let after = try Data(contentsOf: file)
      limit.rlim_cur = old
      setrlimit(fileSizeLimit, &limit)
      try log.append(.numbered(3))
      print("\(after == before)|\(appending?.description ?? "")|\(replacing?.description ?? "")")
    }
    let output = String(decoding: try #require(result).standardOutputContent, as: UTF8.self)
    let parts = output.split(separator: "|", omittingEmptySubsequences: false)
    try #require(parts.count == 3)
    #expect(parts[0].hasSuffix("true"))
    #expect(parts[1].contains("samples.jsonl: cannot append a record: File too large."))
    #expect(parts[1].contains("the 3 records before it are whole"))
    #expect(parts[2].contains("cannot write the file: File too large. Nothing was changed"))
    #expect(try samples(in: folder.url.appending(path: "samples.jsonl")) == (0..<4).map(Sample.numbered))
    #expect(try folder.names() == ["samples.jsonl"])
  }

  @Test("A file is the old one or the new one, whatever moment of writing the process is killed at")
  func atomicFile() async throws {
    for fault in ["before-write:1", "write:1", "after-write:1"] {
      let folder = try TemporaryFolder()
      let file = folder.url.appending(path: "supernet.safetensors")
      try AtomicFile.write(Data("old".utf8), to: file)
      let path = file.path
      await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, fault = fault as String] in
        setenv("SPACEEVO_FAULT", fault, 1)
        try AtomicFile.write(Data(repeating: 7, count: 100_000), to: URL(filePath: path))
      }
      #expect(try Data(contentsOf: file) == Data("old".utf8), "\(fault)")
      #expect(try AtomicFile.removeLeftovers(in: folder.url).count == 1, "\(fault)")
      #expect(try folder.names() == ["supernet.safetensors"])
    }
  }

  @Test("A second process is refused with the number of the one that holds the folder, and the lock ends with it")
  func secondProcess() async throws {
    let folder = try TemporaryFolder()
    let path = folder.url.appending(path: "run").path
    var held: RunFolder? = try RunFolder(at: URL(filePath: path), configuration: "seed: 1\n", program: "test 1")
    #expect(held?.isNew == true)
    let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
      [path = path as String] in
      let error = refusal {
        _ = try RunFolder(at: URL(filePath: path), configuration: "seed: 1\n", program: "test 1")
      }
      print("\(error?.code == .inUse) \(error?.description ?? "")")
    }
    let output = String(decoding: try #require(result).standardOutputContent, as: UTF8.self)
    #expect(output.contains("true"))
    #expect(output.contains("another process (pid \(getpid())) works in this run folder"))
    held = nil
    // The holder of the lock is killed; the folder is free at once.
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
      let folder = try RunFolder(at: URL(filePath: path), configuration: "seed: 1\n", program: "test 1")
      withExtendedLifetime(folder) { _ = kill(getpid(), SIGKILL) }
    }
    let again = try RunFolder(at: URL(filePath: path), configuration: "seed: 1\n", program: "test 1")
    #expect(!again.isNew)
  }

  @Test("Killed at any write of its beginning, a run folder is begun again by the same command")
  func beginningCutShort() async throws {
    for number in 1...2 {
      for moment in ["before-write", "write", "after-write"] {
        let folder = try TemporaryFolder()
        let path = folder.url.appending(path: "run").path
        await #expect(processExitsWith: .signal(SIGKILL)) {
          [path = path as String, moment = moment as String, number = number as Int] in
          setenv("SPACEEVO_FAULT", "\(moment):\(number)", 1)
          _ = try RunFolder(at: URL(filePath: path), configuration: "seed: 1\n", program: "test 1")
        }
        let opened = try RunFolder(at: URL(filePath: path), configuration: "seed: 1\n", program: "test 1")
        #expect(opened.isNew)
        #expect(opened.notices.count == 1)
        #expect(try String(contentsOf: opened.paths.configuration, encoding: .utf8) == "seed: 1\n")
      }
    }
  }
}

#if canImport(Glibc)
  private let fileSizeLimit = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
#else
  private let fileSizeLimit = RLIMIT_FSIZE
#endif
