/// The random numbers of the whole program: xoshiro256** (Blackman and Vigna), seeded by SplitMix64.
///
/// It is our own, and so are its bounded draws, so that a seed means the same numbers on every platform and with every
/// version of the standard library. Streams are derived by name and index instead of by drawing from a parent: step
/// 4,000 of a training draws the same numbers whether or not steps 0 to 3,999 ran in this process.
public struct SeededGenerator: RandomNumberGenerator, Hashable, Sendable {
  private var a: UInt64
  private var b: UInt64
  private var c: UInt64
  private var d: UInt64

  /// The generator of a seed.
  public init(seed: UInt64) {
    var state = seed
    a = SeededGenerator.splitMix(&state)
    b = SeededGenerator.splitMix(&state)
    c = SeededGenerator.splitMix(&state)
    d = SeededGenerator.splitMix(&state)
  }

  /// The generator of one purpose under a seed, such as `("supernet", epoch, step)`.
  public init(seed: UInt64, stream: String, _ indices: Int...) {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a
    for byte in stream.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    var state = seed ^ hash
    for index in indices {
      state = SeededGenerator.splitMix(&state) ^ UInt64(bitPattern: Int64(index))
    }
    self.init(seed: SeededGenerator.splitMix(&state))
  }

  private static func splitMix(_ state: inout UInt64) -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  public mutating func next() -> UInt64 {
    let product = b &* 5
    let result = ((product << 7) | (product >> 57)) &* 9
    let shifted = b << 17
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << 45) | (d >> 19)
    return result
  }

  /// A uniform whole number in `0 ..< bound`, without bias (Lemire's multiplication and rejection).
  ///
  /// - Precondition: `bound > 0`.
  public mutating func next(below bound: Int) -> Int {
    precondition(bound > 0, "a draw needs at least one choice")
    let bound = UInt64(bound)
    var product = next().multipliedFullWidth(by: bound)
    if product.low < bound {
      let threshold = (0 &- bound) % bound
      while product.low < threshold { product = next().multipliedFullWidth(by: bound) }
    }
    return Int(product.high)
  }

  /// A uniform number in `[0, 1)` with 53 random bits.
  public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A standard normal number (Box and Muller's transform, one of the two).
  public mutating func normal() -> Double {
    let radius = (-2 * log(1 - uniform())).squareRoot()
    return radius * cos(2 * .pi * uniform())
  }

  /// One of the items.
  ///
  /// - Precondition: the collection is not empty.
  public mutating func choose<Items: RandomAccessCollection>(_ items: Items) -> Items.Element {
    items[items.index(items.startIndex, offsetBy: next(below: items.count))]
  }

  /// The items in a random order (Fisher and Yates).
  public mutating func shuffle<Element>(_ items: inout [Element]) {
    guard items.count > 1 else { return }
    for last in stride(from: items.count - 1, to: 0, by: -1) { items.swapAt(last, next(below: last + 1)) }
  }
}

#if canImport(Glibc)
  private import Glibc
#elseif canImport(Darwin)
  private import Darwin
#elseif canImport(Musl)
  private import Musl
#endif
