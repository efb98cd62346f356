import Foundation
import Pipeline
import RunFolders
import Testing
import TorchTraining

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A port of this machine that nobody listens to, and that the system gives to no connection by itself: a process that
/// tries to reach a port of that range before anybody listens may be connected with itself.
private func freePort() throws -> Int {
  for _ in 0..<100 {
    let port = Int.random(in: 20_000..<30_000)
    let descriptor = socket(AF_INET, streamSocket, 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    address.sin_port = in_port_t(port).bigEndian
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if result == 0 { return port }
  }
  throw TrainingError("a hundred ports are all in use")
}

#if canImport(Glibc)
  private let streamSocket = Int32(SOCK_STREAM.rawValue)
#else
  private let streamSocket = SOCK_STREAM
#endif

/// Runs `body` with SIGTERM not blocked: tests run on threads that block signals, and a process inherits that.
private func withSignalsOpen(_ body: () throws -> Void) rethrows {
  var (open, before) = (sigset_t(), sigset_t())
  sigemptyset(&open)
  sigaddset(&open, SIGTERM)
  pthread_sigmask(SIG_UNBLOCK, &open, &before)
  defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
  try body()
}

@Suite struct JobEnvironmentTests {
  private static let right = ["RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "node-1", "MASTER_PORT": "29500"]

  @Test func `the launcher's variables are read, and a job of one process is none`() throws {
    let job = try #require(try JobEnvironment(Self.right))
    #expect(job.rank == 1 && job.size == 2 && job.host == "node-1" && job.port == 29_500 && !job.launcherServes)
    #expect(try JobEnvironment([:]) == nil)
    #expect(try JobEnvironment(["RANK": "0", "WORLD_SIZE": "1"]) == nil)
    var torchrun = Self.right
    torchrun["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    #expect(try JobEnvironment(torchrun)?.launcherServes == true)
  }

  @Test(
    arguments: [
      ("RANK", "2", "RANK=2"), ("RANK", nil, "RANK is not set"), ("RANK", "first", "RANK=first"),
      ("WORLD_SIZE", "0", "WORLD_SIZE=0"), ("WORLD_SIZE", nil, "WORLD_SIZE is not"),
      ("MASTER_ADDR", nil, "MASTER_ADDR is not set"), ("MASTER_PORT", "70000", "MASTER_PORT=70000"),
    ] as [(String, String?, String)])
  func `a variable that is missing or wrong is named`(name: String, value: String?, message: String) throws {
    var environment = Self.right
    environment[name] = value
    let error = #expect(throws: TrainingError.self) { try JobEnvironment(environment) }
    #expect(error?.message.contains(message) == true)
  }
}

@Suite(.serialized) struct ProcessGroupTests {
  @Test func `two processes add up, broadcast, and notice that the other is gone`() async throws {
    let port = try freePort()
    @Sendable func rank(_ rank: Int) async throws -> String {
      let result = await #expect(processExitsWith: .exitCode(7), observing: [\.standardOutputContent]) {
        [rank = rank as Int, port = port as Int] in
        let store = try ProcessStore(host: "127.0.0.1", port: port, serves: rank == 0, timeoutSeconds: 60)
        let group = try ProcessGroup(store, rank: rank, size: 2, address: "127.0.0.1", timeoutSeconds: 60)
        let a = try Tensor.floats([1, 2, 3].map { Float($0 + 10 * rank) }, shape: [3])
        let image = try Tensor.floats((0..<24).map { Float($0 * (rank + 1)) }, shape: [1, 4, 3, 2]).channelsLast()
        try group.sum([a, nil, image])
        let sums = try group.sum([0.1, Double(rank)])
        let parameter = try Tensor.floats([Float(rank) + 0.5], shape: [1])
        try parameter.setRequiresGradient(true)
        try group.broadcast([parameter])
        let text = try group.broadcast("from \(rank)")
        try store.set("mine/\(rank)", "naïve \(rank)")
        while try store.text("mine/\(1 - rank)") == nil { usleep(1_000) }
        print(
          "|\(try a.floats())|\(try image.floats())|\(sums)|\(try parameter.floats())|\(text)|"
            + "\(try store.text("mine/1") ?? "none")|\(try store.text("nobody's") ?? "none")|")
        fflush(nil)
        _ = try group.sum([0])
        // Rank 1 is the first to go; the other's next collective says so.
        if rank == 1 { exit(7) }
        do {
          _ = try group.sum([1])
          exit(1)
        } catch is ProcessGroupError { exit(7) }
      }
      return String(decoding: try #require(result).standardOutputContent, as: UTF8.self)
    }
    async let zero = rank(0)
    async let one = rank(1)
    let images = (0..<24).map { Float(3 * $0) }
    let expected = "|[12.0, 14.0, 16.0]|\(images)|[0.2, 1.0]|[0.5]|from 0|naïve 1|none|"
    let texts = try await [zero, one]
    for text in texts { #expect(text.contains(expected), "\(text)") }
  }
}

@Suite(.serialized) struct JobTests {
  /// A checkpoint, and with it a comparison of the weights of all processes, after every step.
  private static let everyStep = [
    ("epoch: 10, batch: 32", "epoch: 1, batch: 32"),
    ("float-steps: 40, integer-steps: 20", "float-steps: 12, integer-steps: 8"),
    ("steps: 40, batch: 32", "steps: 12, batch: 32"),
  ]

  /// The built program, twice, on one run up to the search: what each said, and how it ended (of a signal, its number).
  ///
  /// - Parameter signal: Sent to rank 1 soon after there is a checkpoint of the supernet.
  private func together(
    _ name: String, in folder: URL, configurations: [String]? = nil, signal: Int32? = nil
  ) throws -> [(said: String, status: Int32)] {
    let port = try freePort()
    let program = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "spaceevo")
    var processes: [Process] = []
    let outputs = [0, 1].map { folder.appending(path: "\(name)-\($0)-\(port).txt") }
    for rank in [0, 1] {
      let process = Process()
      process.executableURL = program
      let configuration = configurations?[rank] ?? "\(name).yaml"
      process.arguments = [
        "search", folder.appending(path: configuration).path(percentEncoded: false), "--quiet", "--run",
        folder.appending(path: name).path(percentEncoded: false),
      ]
      process.environment = ProcessInfo.processInfo.environment.merging([
        "RANK": "\(rank)", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "\(port)",
      ]) { $1 }
      try Data().write(to: outputs[rank])
      process.standardOutput = try FileHandle(forWritingTo: outputs[rank])
      process.standardError = process.standardOutput
      try withSignalsOpen { try process.run() }
      processes.append(process)
    }
    if let signal {
      let file = folder.appending(path: "\(name)/checkpoints/supernet-float.safetensors").path(percentEncoded: false)
      while !FileManager.default.fileExists(atPath: file), processes[1].isRunning { usleep(1_000) }
      kill(processes[1].processIdentifier, signal)
    }
    return try zip(processes, outputs).map { process, output in
      process.waitUntilExit()
      return (try String(contentsOf: output, encoding: .utf8), process.terminationStatus)
    }
  }

  private func checkpoints(_ name: String, in folder: URL) throws -> [String: Data] {
    let files = try TinyRun.names("\(name)/checkpoints", in: folder).filter {
      $0.hasSuffix(".safetensors") && ($0.hasPrefix("supernet") || $0.hasPrefix("teacher-float"))
    }
    return try Dictionary(
      uniqueKeysWithValues: files.map { ($0, try TinyRun.bytes("\(name)/checkpoints/\($0)", in: folder)) })
  }

  @Test func `two processes come to the bits of one with two workers, killed, interrupted or not`() throws {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try TinyRun.open("one", in: folder, replacing: Self.everyStep).through(.search)
    let expected = try checkpoints("one", in: folder)
    #expect(
      expected.keys.sorted() == [
        "supernet-float.safetensors", "supernet-integer.safetensors", "teacher-float.safetensors",
      ])
    let shared = Self.everyStep + [("jobs: 2", "jobs: 1")]

    func begin(_ name: String) throws {
      _ = try TinyRun.open(name, in: folder, profileOf: "one", replacing: shared)
    }
    func compare(_ name: String) throws {
      #expect(try checkpoints(name, in: folder) == expected, "\(name)")
      for records in ["training", "subnets", "blocks"] {
        #expect(
          try TinyRun.text("\(name)/records/\(records).jsonl", in: folder)
            == TinyRun.text("one/records/\(records).jsonl", in: folder), "\(name): \(records)")
      }
    }
    try begin("two")
    func finish(_ name: String) throws {
      for process in try together(name, in: folder) { #expect(process.status == 0, "\(process.said)") }
      try compare(name)
    }
    try finish("two")

    try begin("killed")
    let killed = try together("killed", in: folder, signal: SIGKILL)
    #expect(killed[0].status == 1 && killed[1].status == SIGKILL)
    #expect(killed[0].said.contains("rank 0 of 2: another process of this job has ended"), "\(killed[0].said)")
    #expect(killed[0].said.contains("same command"))
    #expect(try checkpoints("killed", in: folder) != expected)
    try finish("killed")

    try begin("stopped")
    for process in try together("stopped", in: folder, signal: SIGTERM) {
      #expect(process.status == Interrupted.exitStatus, "\(process.said)")
    }
    try finish("stopped")
  }

  @Test func `two processes with different configurations are refused by the lines that differ, and nothing is begun`()
    throws
  {
    let folder = try TinyRun.makeFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let text = try TinyRun.text("run.yaml", in: folder)
    let other = text.replacing("seed: 3", with: "seed: 4").replacing("rows: 6", with: "rows: 7")
    try Data(other.utf8).write(to: folder.appending(path: "other.yaml"))
    for process in try together("mixed", in: folder, configurations: ["run.yaml", "other.yaml"]) {
      let text = process.said
      #expect(process.status == 1)
      #expect(text.contains("rank 1 has another configuration than rank 0"), "\(text)")
      #expect(text.contains("seed (line 1): \"seed: 3\" on rank 0, \"seed: 4\" on rank 1") && text.contains("rows: 7"))
    }
    #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "mixed").path(percentEncoded: false)))
  }
}
