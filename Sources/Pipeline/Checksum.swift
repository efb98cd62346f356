import CZlib

/// CRC-32 of a file's bytes: whether it is still the file that was judged. It finds damage, not forgery.
func checksum(_ bytes: [UInt8]) -> UInt32 {
  var value: uLong = 0
  // zlib counts in 32 bits.
  for start in stride(from: 0, to: bytes.count, by: 1 << 30) {
    let part = bytes[start..<min(bytes.count, start + 1 << 30)]
    value = part.withUnsafeBufferPointer { crc32(value, $0.baseAddress, uInt($0.count)) }
  }
  return UInt32(value)
}
