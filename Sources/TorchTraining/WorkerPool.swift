import Foundation
import Synchronization

/// Threads that work side by side, each on its own piece, while the caller waits.
///
/// Small networks train faster as several one-thread jobs than as one job whose operations use several threads: the
/// operations are too short to share. The threads live as long as the pool, since libtorch keeps scratch memory and
/// kernels by thread.
public final class WorkerPool {
  /// How many threads there are.
  public let count: Int
  private let shared = Shared()

  /// - Precondition: `count >= 1`.
  public init(count: Int) {
    precondition(count >= 1, "a pool needs a worker")
    self.count = count
    shared.state.results = Array(repeating: nil, count: count)
    for index in 0..<count {
      let shared = shared
      // libtorch's kernels keep blocks of a matrix on the stack.
      let isStarted = startThread(stackSize: 64 << 20) { shared.serve(index) }
      if !isStarted { shared.refuse() }
    }
  }

  deinit { shared.stop() }

  /// Runs `body` once on every worker, and returns when all are through.
  ///
  /// `body` runs on several threads at once, and may use what is not `Sendable` in ways that are safe for that: read
  /// shared tensors, and write to what belongs to its own index.
  ///
  /// - Throws: The error of the worker with the lowest index that threw one; `TorchError` where the system has refused a
  ///   worker's thread.
  public func run(_ body: (_ worker: Int) throws -> Void) throws {
    try withoutActuallyEscaping(body) { body in
      // Safe: the workers are through with it when `perform` returns.
      nonisolated(unsafe) let body = body
      try shared.perform { try body($0) }
    }
  }

  /// Runs `body` once for every index below `count`, each on whichever worker is free; after an error no more begin.
  ///
  /// - Throws: The error of the worker with the lowest index that threw one.
  public func forEach(_ count: Int, _ body: (_ index: Int) throws -> Void) throws {
    let next = Atomic(0)
    let failed = Atomic(false)
    try run { _ in
      while !failed.load(ordering: .relaxed) {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < count else { return }
        do { try body(index) } catch {
          failed.store(true, ordering: .relaxed)
          throw error
        }
      }
    }
  }

  /// What the threads share; they hold it, and not the pool, so that the pool can go.
  // Sendable: everything mutable is used under `condition`.
  private final class Shared: @unchecked Sendable {
    struct State {
      var round = 0
      var waiting = 0
      var body: (@Sendable (Int) throws -> Void)?
      var results: [(any Error)?] = []
      var isStopped = false
      /// A worker's thread could not be started.
      var isRefused = false
    }

    let condition = NSCondition()
    var state = State()

    func perform(_ body: @escaping @Sendable (Int) throws -> Void) throws {
      condition.lock()
      if state.isRefused {
        condition.unlock()
        throw TorchError("there is not enough memory: a worker's thread cannot be started", isOutOfMemory: true)
      }
      state.body = body
      state.results = Array(repeating: nil, count: state.results.count)
      state.waiting = state.results.count
      state.round += 1
      condition.broadcast()
      while state.waiting > 0 { condition.wait() }
      state.body = nil
      let error = state.results.lazy.compactMap(\.self).first
      condition.unlock()
      if let error { throw error }
    }

    func serve(_ index: Int) {
      var round = 0
      condition.lock()
      while true {
        while state.round == round, !state.isStopped { condition.wait() }
        if state.isStopped { break }
        round = state.round
        let body = state.body
        condition.unlock()
        var failure: (any Error)?
        do { try body?(index) } catch { failure = error }
        condition.lock()
        state.results[index] = failure
        state.waiting -= 1
        if state.waiting == 0 { condition.broadcast() }
      }
      condition.unlock()
    }

    func refuse() {
      condition.lock()
      state.isRefused = true
      condition.unlock()
    }

    func stop() {
      condition.lock()
      state.isStopped = true
      condition.broadcast()
      condition.unlock()
    }
  }
}

/// Starts a thread that nobody joins. Foundation's does not tell whether the system has refused it, and whoever waits for
/// such a thread waits forever.
///
/// - Returns: Whether there is one.
private func startThread(stackSize: Int, _ body: @escaping @Sendable () -> Void) -> Bool {
  final class Start {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var attributes = pthread_attr_t()
  guard pthread_attr_init(&attributes) == 0 else { return false }
  defer { pthread_attr_destroy(&attributes) }
  pthread_attr_setstacksize(&attributes, stackSize)
  pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
  let start = Unmanaged.passRetained(Start(body))
  #if canImport(Darwin)
    var thread: pthread_t?
    let status = pthread_create(
      &thread, &attributes,
      { pointer in
        Unmanaged<Start>.fromOpaque(pointer).takeRetainedValue().body()
        return nil
      }, start.toOpaque())
  #else
    var thread = pthread_t()
    let status = pthread_create(
      &thread, &attributes,
      { pointer in
        Unmanaged<Start>.fromOpaque(pointer!).takeRetainedValue().body()
        return nil
      }, start.toOpaque())
  #endif
  if status != 0 { start.release() }
  return status == 0
}

// Clang gives `pthread_attr_t` to whichever of the modules here it has read first.
#if canImport(CDispatch)
  private import CDispatch
#endif

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Darwin)
  private import Darwin
#elseif canImport(Musl)
  private import Musl
#endif
