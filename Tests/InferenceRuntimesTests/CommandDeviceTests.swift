import DeviceLatency
import Foundation
import InferenceRuntimes
import NetworkGraphs
import SearchSpaces
import StrictYAML
import Testing

/// Devices of the user's own: real commands in processes of their own.
@Suite("Command devices", .serialized)
final class CommandDeviceTests {
  let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "command-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func path(_ name: String) -> String { folder.appending(path: name).path(percentEncoded: false) }

  /// An executable script.
  func script(_ name: String, _ text: String) throws -> String {
    try Data("#!/bin/sh\n\(text)\n".utf8).write(to: folder.appending(path: name))
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path(name))
    return path(name)
  }

  func device(_ time: String, _ more: String = "") throws -> CommandDevice {
    try CommandDevice(
      yaml: "name: mine\nversion: tool 1\ntime: \(time)\ntimeout: 5\nretries: 1\n\(more)", file: "mine.yaml")
  }

  /// Requests for kernels of growing width.
  func requests(_ count: Int) -> [LatencyRequest] {
    (1...count).map { index in
      LatencyRequest(
        KernelSignature(
          kind: .convolution(kernel: 1, stride: 1, outputChannels: 8 * index),
          input: TensorShape(channels: 8, height: 4, width: 4), range: .relu))
    }
  }

  func measure(_ device: CommandDevice, _ count: Int) throws -> (found: [LatencyMeasurement], error: CommandError?) {
    let meter = try CommandMeter(device, threads: 1)
    var found: [LatencyMeasurement] = []
    do {
      try meter.measure(requests(count), effort: .kernel, until: .now + .seconds(100)) { found.append($0) }
    } catch let error as CommandError {
      return (found, error)
    }
    return (found, nil)
  }

  @Test("A batch is sent in one command, and what it prints are the times")
  func batch() throws {
    let tool = try script("tool", #"for file in "$@"; do echo "$(basename "$file") $(stat -c %s "$file")"; done"#)
    let (found, error) = try measure(device("[\(tool), \"{files}\"]", "batch: 4\nunit: us"), 6)
    #expect(error == nil)
    #expect(found.map(\.subject) == requests(6).map(\.subject))
    // The tool's time is the file's size, which grows with the width.
    #expect(zip(found, found.dropFirst()).allSatisfy { $0.nanoseconds < $1.nanoseconds })
    for measurement in found {
      #expect(measurement.isGated)
      #expect(measurement.rounds == 3)
      #expect(measurement.device.name == "mine")
    }
  }

  @Test("Words reach the command as they are, with no shell between")
  func words() throws {
    let tool = try script("tool", #"echo "$@" > "\#(path("seen"))"; for f in $3; do echo 2.5; done"#)
    let (found, error) = try measure(
      device("[\(tool), \"a b; $HOME\", \"*\", \"{names}\", \"{threads}\"]", "rounds: 1"), 1)
    #expect(error == nil)
    #expect(found.map(\.nanoseconds) == [2.5e6])
    let seen = try String(contentsOfFile: path("seen"), encoding: .utf8)
    #expect(seen == "a b; $HOME * m1-0.onnx 1\n")
  }

  @Test("With a shell, one model at a time, and a pattern that finds the number among other words")
  func pattern() throws {
    let (found, error) = try measure(
      device(
        #"'echo "[ INFO ] Median: $(( $(stat -c %s {file}) )).5 ms"; echo noise 7'"#,
        #"pattern: "Median: +([0-9.]+) ms""# + "\nshell: true\nrounds: 2"), 3)
    #expect(error == nil)
    #expect(found.count == 3)
    #expect(found.allSatisfy { $0.rounds == 2 && $0.milliseconds > 100 })
  }

  @Test("A pattern that is not in what was printed is named beside it")
  func otherPattern() throws {
    let (found, error) = try measure(
      device("[echo, \"[ INFO ] Median: 2.5 ms\", \"{file}\"]", #"pattern: "Mean: +([0-9.]+) ms""#), 1)
    #expect(found.isEmpty)
    let words = try #require(error).description
    #expect(words.contains("the pattern \"Mean: +([0-9.]+) ms\" is nowhere in \"[ INFO ] Median: 2.5 ms"))
  }

  @Test("Files are brought there before, and removed after")
  func prepare() throws {
    let there = path("there")
    try FileManager.default.createDirectory(atPath: there, withIntermediateDirectories: true)
    let (found, error) = try measure(
      device(
        "[sh, -c, 'cd \(there) && for f in {names}; do test -s $f && echo 1; done']",
        "prepare: [cp, \"{files}\", \(there)]\nclean: [sh, -c, 'cd \(there) && rm {names}']"), 5)
    #expect(error == nil)
    #expect(found.count == 5)
    #expect(try FileManager.default.contentsOfDirectory(atPath: there).isEmpty)
  }

  @Test(
    "A command that fails, hangs, prints rubbish or is not there is named, with what it said",
    arguments: [
      ("[sh, -c, 'echo no such model >&2; exit 3', \"{files}\"]", "no such model"),
      ("[sh, -c, 'sleep 60', \"{files}\"]", "did not end within"),
      ("[sh, -c, 'echo Segmentation fault', \"{files}\"]", "Segmentation fault"),
      ("[sh, -c, 'echo -3', \"{files}\"]", "positive number"),
      ("[sh, -c, 'echo nan', \"{files}\"]", "positive number"),
      ("[sh, -c, 'true', \"{files}\"]", "no time of"),
      ("[sh, -c, 'echo other.onnx 1', \"{files}\"]", "none of the models"),
      ("[sh, -c, 'echo 1; echo 2; echo 3', \"{files}\"]", "more numbers"),
      ("[sh, -c, 'kill -9 $$', \"{files}\"]", "signal 9"),
      ("[/nowhere/tool, \"{files}\"]", "cannot be started"),
    ])
  func failures(command: String, words: String) throws {
    var device = try device(command, "rounds: 1")
    device.timeout = 0.7
    let (found, error) = try measure(device, 2)
    let message = try #require(error).description
    #expect(message.contains(words), "\(message)")
    #expect(message.contains("mine"))
    #expect(found.count <= 2)
  }

  @Test("What a command timed before it died is kept, and only the rest is run again")
  func halfWay() throws {
    // The first call dies after two models.
    let tool = try script(
      "tool",
      """
      echo $# >> "\(path("calls"))"
      count=0
      for file in "$@"; do
        count=$((count + 1))
        if [ ! -e "\(path("died"))" ] && [ $count = 3 ]; then touch "\(path("died"))"; kill -9 $$; fi
        echo "$(basename "$file") 2"
      done
      """)
    let (found, error) = try measure(device("[\(tool), \"{files}\"]", "rounds: 1"), 5)
    #expect(error == nil)
    #expect(found.count == 5)
    #expect(try String(contentsOfFile: path("calls"), encoding: .utf8) == "5\n3\n")
  }

  @Test("A device that is gone for good loses nothing that was measured before")
  func gone() throws {
    let tool = try script(
      "tool",
      """
      for file in "$@"; do
        case "$file" in *m2-*) sleep 60;; esac
        echo 4
      done
      """)
    let started = try device("[\(tool), \"{files}\"]", "batch: 3\nrounds: 2")
    var short = started
    short.timeout = 0.4
    let (found, error) = try measure(short, 8)
    #expect(try #require(error).message.contains("did not end within"))
    #expect(found.map(\.subject) == requests(8).prefix(3).map(\.subject))
  }

  @Test("Whatever a hanging command has started ends with it")
  func group() throws {
    let tool = try script("tool", "sleep 61.7 & echo $! > \"\(path("child"))\"; sleep 61.7")
    var hanging = try device("[\(tool), \"{files}\"]")
    (hanging.timeout, hanging.retries) = (0.4, 0)
    _ = try measure(hanging, 1)
    let child = try #require(
      pid_t(String(contentsOfFile: path("child"), encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)))
    var isGone = false
    for _ in 0..<100 where !isGone {
      isGone = kill(child, 0) != 0
      usleep(20_000)
    }
    #expect(isGone)
  }

  @Test("Models are written to a folder that goes with its meter; what a killed process left goes with the next meter")
  func temporaryFolders() throws {
    let abandoned = FileManager.default.temporaryDirectory.appending(path: "spaceevo-scratch-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: abandoned, withIntermediateDirectories: true)
    try Data("model".utf8).write(to: abandoned.appending(path: "m1-0.onnx"))
    let tool = try script("tool", #"dirname "$1" > "$(dirname "$0")/where"; echo 1"#)
    let device = try device("[\(tool), \"{file}\"]", "rounds: 1")
    var meter: CommandMeter? = try CommandMeter(device, threads: 1)
    #expect(!FileManager.default.fileExists(atPath: abandoned.path(percentEncoded: false)))
    try meter?.measure(requests(1), effort: .kernel, until: .now + .seconds(100)) { _ in }
    let written = try String(contentsOf: folder.appending(path: "where"), encoding: .utf8)
    let used = written.trimmingCharacters(in: .newlines)
    _ = try CommandMeter(device, threads: 1)
    #expect(FileManager.default.fileExists(atPath: used), "another meter's folder is left alone")
    meter = nil
    #expect(!FileManager.default.fileExists(atPath: used))
  }

  @Test(
    "A device file that is wrong is refused by line, with what would be right",
    arguments: [
      ("name: a\nversion: b\ntime: [tool, \"{files}\"]\ntimout: 3", "timeout"),
      ("name: a\ntime: [tool, \"{files}\"]", "version"), ("name: a\nversion: b", "time"),
      ("name: a\nversion: b\ntime: tool {files}", "shell: true"), ("name: a\nversion: b\ntime: [tool]", "{files}"),
      ("name: a\nversion: b\ntime: [tool, \"{model}\"]", "{model}"),
      ("name: a\nversion: b\ntime: [tool, \"{file}\"]\nshell: true", "one text"),
      ("name: a\nversion: b\ntime: [tool, \"{file}\"]\npattern: \"([0-9]+\"", "regular expression"),
      ("name: a\nversion: b\ntime: [tool, \"{file}\"]\npattern: \"[0-9]+\"", "one group"),
      ("name: a\nversion: b\ntime: [tool, \"{file}\"]\nunit: hours", "ms"),
      ("name: a\nversion: b\ntime: [tool, \"{file}\"]\nretries: -1", "0"),
      ("name: a\nversion: b\ntime: [tool, \"{file}\"]\ntimeout: 0", "0.1"),
    ])
  func badFiles(yaml: String, words: String) {
    let error = #expect(throws: YAMLError.self) { try CommandDevice(yaml: yaml, file: "mine.yaml") }
    #expect(error?.description.contains(words) == true, "\(error.map { "\($0)" } ?? "")")
    #expect(error?.description.hasPrefix("mine.yaml:") == true)
  }

  @Test("A name that is neither a runtime nor a file is refused with the names")
  func names() {
    let error = #expect(throws: InferenceError.self) { try Device("tensorrt") }
    #expect(error?.message.contains("onnxruntime, openvino") == true)
  }
}
