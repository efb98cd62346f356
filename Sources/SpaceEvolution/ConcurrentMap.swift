internal import Dispatch
internal import Synchronization

extension RandomAccessCollection where Self: Sendable, Index == Int, Element: Sendable {
  /// The transformed items in their order, computed on several threads.
  ///
  /// Each item is computed by itself, so the result does not depend on the number of threads. Where several items
  /// throw, the error of the first is thrown.
  func concurrentMap<Result: Sendable, Failure: Error>(
    threads: Int, _ transform: @escaping @Sendable (Element) throws(Failure) -> Result
  ) throws(Failure) -> [Result] {
    let results = Mutex([Swift.Result<Result, Failure>?](repeating: nil, count: count))
    let next = Mutex(startIndex)
    let end = endIndex
    let start = startIndex
    DispatchQueue.concurrentPerform(iterations: Swift.max(1, Swift.min(threads, count))) { _ in
      while true {
        let index = next.withLock { value in
          defer { if value < end { value += 1 } }
          return value
        }
        guard index < end else { return }
        let result: Swift.Result<Result, Failure>
        do throws(Failure) {
          result = .success(try transform(self[index]))
        } catch {
          result = .failure(error)
        }
        results.withLock { $0[index - start] = result }
      }
    }
    var values: [Result] = []
    values.reserveCapacity(count)
    for result in results.withLock({ $0 }) { values.append(try result!.get()) }
    return values
  }
}
