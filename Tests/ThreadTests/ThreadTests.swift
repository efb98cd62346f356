import Foundation
import RunFolders
import Synchronization
import Testing
import TorchTraining

/// What several threads or processes use at once; `make sanitize` runs it under ThreadSanitizer too.
@Suite("Threads")
struct ThreadTests {
  @Test("A pool's workers each get every round, and what they wrote is there when it returns", arguments: 1...4)
  func rounds(workers: Int) throws {
    let pool = WorkerPool(count: workers)
    // Each worker writes to a place of its own, which only the pool's order makes safe.
    var sums = [Int](repeating: 0, count: workers)
    try sums.withUnsafeMutableBufferPointer { slots in
      nonisolated(unsafe) let slots = slots
      for round in 1...200 { try pool.run { slots[$0] += round } }
    }
    #expect(sums == [Int](repeating: 200 * 201 / 2, count: workers))
  }

  private struct Failure: Error, Equatable { var index: Int }

  @Test("Every index is taken once; after an error no more begin, and the pool goes on")
  func indices() throws {
    let pool = WorkerPool(count: 3)
    var results = [Int](repeating: 0, count: 500)
    try results.withUnsafeMutableBufferPointer { slots in
      nonisolated(unsafe) let slots = slots
      try pool.forEach(slots.count) { slots[$0] += $0 }
    }
    #expect(results == Array(0..<500))
    let begun = Atomic(0)
    let failure = #expect(throws: Failure.self) {
      try pool.forEach(1_000_000) { index in
        begun.add(1, ordering: .relaxed)
        if index >= 10 { throw Failure(index: index) }
      }
    }
    #expect((10...12).contains(failure?.index ?? -1) && begun.load(ordering: .relaxed) < 1_000)
    try pool.run { _ in }
  }

  @Test("Pools come and go without a thread left waiting")
  func pools() throws {
    for _ in 0..<50 {
      let count = Atomic(0)
      try WorkerPool(count: 2).run { _ in count.add(1, ordering: .relaxed) }
      #expect(count.load(ordering: .relaxed) == 2)
    }
  }

  private struct Record: Codable, Sendable { var worker: Int, index: Int }

  private func withFolder(_ body: (URL) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "threads-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder)
  }

  @Test("Records that several threads append are all there, each whole, a thread's own in its order")
  func records() throws {
    try withFolder { folder in
      let file = folder.appending(path: "records.jsonl")
      let log = try RecordLog(at: file, of: Record.self)
      try WorkerPool(count: 4).run { worker in
        for index in 0..<50 { try log.append(Record(worker: worker, index: index)) }
      }
      #expect(log.count == 200)
      var found = [[Int]](repeating: [], count: 4)
      try RecordLog<Record>.read(file) { found[$0.worker].append($0.index) }
      #expect(found == [[Int]](repeating: Array(0..<50), count: 4))
    }
  }

  @Test("A unit of work is one thread's at a time")
  func claims() throws {
    try withFolder { folder in
      let file = folder.appending(path: "work.lock")
      // Counted without protection: the claim is what protects it.
      var count = 0
      let taken = Atomic(0)
      try withUnsafeMutablePointer(to: &count) { pointer in
        nonisolated(unsafe) let pointer = pointer
        let order = Mutex(())
        try WorkerPool(count: 4).run { _ in
          for _ in 0..<100 {
            guard let claim = try WorkClaim(at: file) else { continue }
            try withExtendedLifetime(claim) {
              // A lock of the file system is no order between threads for the memory model, so they take one more, which
              // nobody has to wait for.
              let isFree = order.withLockIfAvailable { _ in pointer.pointee += 1 } != nil
              if !isFree { throw Failure(index: 0) }
            }
            taken.add(1, ordering: .relaxed)
          }
        }
      }
      #expect(count == taken.load(ordering: .relaxed) && count > 0)
    }
  }

  @Test("Progress may be counted by any thread")
  func progress() throws {
    let display = ProgressDisplay(isQuiet: true)
    let step = display.begin("Count", unit: "things", total: 400)
    try WorkerPool(count: 4).run { _ in for _ in 0..<100 { step.advance() } }
    step.finish()
  }
}
