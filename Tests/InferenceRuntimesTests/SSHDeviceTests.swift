import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import SearchSpaces
import Testing

/// A device reached over ssh: a server of the test's own on this machine, with its own keys, on a high port.
@Suite("Devices over ssh", .serialized, .enabled(if: SSHServer.isInstalled, "needs Debian's openssh-server"))
struct SSHDeviceTests {
  func requests(_ count: Int) -> [LatencyRequest] {
    (1...count).map { index in
      LatencyRequest(
        KernelSignature(
          kind: .convolution(kernel: 3, stride: 1, outputChannels: 8 * index),
          input: TensorShape(channels: 8, height: 8, width: 8), range: .relu))
    }
  }

  /// A device that copies files to a folder behind the server and runs `tool` on them there.
  func device(_ server: SSHServer, tool: String, _ more: String = "") throws -> CommandDevice {
    let there = server.folder.appending(path: "there").path(percentEncoded: false)
    try FileManager.default.createDirectory(atPath: there, withIntermediateDirectories: true)
    let copy = (["scp", "-q", "-P", "\(server.port)"] + server.options + ["{files}", "127.0.0.1:\(there)/"])
    let run = (["ssh", "-p", "\(server.port)"] + server.options + ["127.0.0.1", "cd \(there) && \(tool)"])
    func yaml(_ words: [String]) -> String { "[" + words.map { "'\($0)'" }.joined(separator: ", ") + "]" }
    return try CommandDevice(
      yaml: "name: loopback\nversion: python\nprepare: \(yaml(copy))\ntime: \(yaml(run))\nretries: 0\n\(more)",
      file: "loopback.yaml")
  }

  @Test("Models are sent, timed by the project's own tool, and come back as measurements")
  func measures() throws {
    let server = try SSHServer()
    defer { server.stop() }
    let root = ProcessInfo.processInfo.environment["SPACEEVO_ROOT"] ?? FileManager.default.currentDirectoryPath
    let tool =
      "\(root)/.deps/python/bin/python \(root)/scripts/time_models.py --seconds 0.02 --threads {threads} {names}"
    let meter = try CommandMeter(device(server, tool: tool, "batch: 3\nrounds: 2\ntimeout: 60"), threads: 1)
    var found: [LatencyMeasurement] = []
    let wanted = requests(4) + [.emptyCall]
    try meter.measure(wanted, effort: .kernel, until: .now + .seconds(100)) { found.append($0) }
    #expect(found.map(\.subject) == wanted.map(\.subject))
    #expect(found.allSatisfy { $0.milliseconds > 0 && $0.milliseconds < 1_000 && $0.rounds == 2 })
    #expect(meter.device.name == "loopback")
  }

  @Test("A host that hangs, or whose connection breaks half-way, loses nothing that was measured")
  func breaks() throws {
    let server = try SSHServer()
    defer { server.stop() }
    // What was printed has a second to arrive before the connection breaks.
    for end in ["sleep 60", "sleep 1; kill -9 $PPID"] {
      let tool = "for f in {names}; do case $f in *-2.onnx) \(end);; esac; echo $f 3; done"
      let meter = try CommandMeter(device(server, tool: tool, "rounds: 1\ntimeout: 3"), threads: 1)
      var found: [LatencyMeasurement] = []
      let error = #expect(throws: CommandError.self) {
        try meter.measure(requests(5), effort: .kernel, until: .now + .seconds(100)) { found.append($0) }
      }
      #expect(error?.description.contains("loopback") == true)
      #expect(found.map(\.subject) == requests(5).prefix(2).map(\.subject))
    }
  }

  @Test("A host that is not there is named in ssh's words")
  func unreachable() throws {
    let server = try SSHServer()
    server.stop()
    let meter = try CommandMeter(device(server, tool: "echo 1 {names}"), threads: 1)
    let error = #expect(throws: CommandError.self) {
      try meter.measure(requests(1), effort: .kernel, until: .now + .seconds(100)) { _ in Issue.record("measured") }
    }
    #expect(error?.description.contains("Connection") == true, "\(error.map { "\($0)" } ?? "")")
  }
}

/// An ssh server with keys, port and configuration of its own.
final class SSHServer {
  static let program = "/usr/sbin/sshd"
  static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: program) }

  let folder: URL
  let port: Int
  private var process: pid_t = 0

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "sshd-\(UUID().uuidString)")
    port = 20_000 + Int.random(in: 0..<20_000)
    try FileManager.default.createDirectory(
      at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    // A server that was started by root wants this folder; the package's service would make it.
    if geteuid() == 0 {
      try? FileManager.default.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true)
    }
    for key in ["host", "user"] {
      try SSHServer.run("/usr/bin/ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path(key)])
    }
    try FileManager.default.copyItem(atPath: path("user.pub"), toPath: path("authorized"))
    try Data(
      """
      Port \(port)
      ListenAddress 127.0.0.1
      HostKey \(path("host"))
      AuthorizedKeysFile \(path("authorized"))
      PidFile none
      StrictModes no
      PasswordAuthentication no
      PermitRootLogin prohibit-password
      UsePAM no
      Subsystem sftp internal-sftp
      """.utf8
    ).write(to: folder.appending(path: "config"))
    process = try SSHServer.start(SSHServer.program, ["-D", "-e", "-f", path("config")])
    try waitUntilReady()
  }

  func path(_ name: String) -> String { folder.appending(path: name).path(percentEncoded: false) }

  /// Of ssh and scp alike.
  var options: [String] {
    [
      "-i", path("user"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o",
      "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-F", "/dev/null",
    ]
  }

  func stop() {
    kill(process, SIGTERM)
    var status: Int32 = 0
    waitpid(process, &status, 0)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  private func waitUntilReady() throws {
    for _ in 0..<100 {
      let arguments = ["-p", "\(port)"] + options + ["127.0.0.1", "true"]
      if (try? SSHServer.run("/usr/bin/ssh", arguments)) != nil { return }
      usleep(100_000)
    }
    throw CocoaError(.executableLoad)
  }

  private static func run(_ program: String, _ arguments: [String]) throws {
    let process = try start(program, arguments)
    var status: Int32 = 0
    waitpid(process, &status, 0)
    guard status == 0 else { throw CocoaError(.executableLoad) }
  }

  /// With nothing to read and its words thrown away.
  private static func start(_ program: String, _ arguments: [String]) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    for descriptor in [STDOUT_FILENO, STDERR_FILENO] {
      posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_WRONLY, 0)
    }
    var words = ([program] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var process = pid_t()
    guard posix_spawn(&process, program, &actions, nil, &words, environ) == 0 else {
      throw CocoaError(.executableLoad)
    }
    return process
  }
}
