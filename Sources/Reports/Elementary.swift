#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

// The few functions that the standard library leaves to the platform.

func logarithm10(_ value: Double) -> Double { log10(value) }
func powerOf10(_ exponent: Double) -> Double { pow(10, exponent) }

/// 10 to an integer power, exact where a `Double` can be.
func powerOf10(_ exponent: Int) -> Double { Double("1e\(exponent)") ?? 0 }
