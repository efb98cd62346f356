internal import CTorch

/// Turns a status of the C surface into an error with this thread's last message.
func check(_ status: Int32) throws(TorchError) {
  guard status == CT_OK else {
    throw TorchError(String(cString: ct_last_error()), isOutOfMemory: status == CT_OUT_OF_MEMORY)
  }
}

/// The tensor that `make` hands over, whose elements are multiples of `step` if there is one.
func tensor(
  step: Float? = nil, _ make: (UnsafeMutablePointer<OpaquePointer?>) -> Int32
) throws(TorchError) -> Tensor {
  var handle: OpaquePointer?
  try check(make(&handle))
  guard let handle else { throw TorchError("libtorch handed over no tensor") }
  return Tensor(owning: handle, step: step)
}
