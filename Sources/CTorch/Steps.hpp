// Training in whole numbers: the forward pass computes the integers of the exported network, byte for byte, and the
// backward pass goes straight through each rounding.
//
// A map in steps holds q - z, the distance of each byte from the zero point, as a float; the real value is the scale
// times that. The gradient that belongs to a map in steps is that with respect to its real values.
#pragma once

#include "QuantizerMath.hpp"
#include "Rows.hpp"

#include <optional>

namespace ctorch {

inline void require_maps(const at::Tensor &x) {
  require(x.dim() == 4 && x.numel() > 0 && x.scalar_type() == at::kFloat,
          "a map in steps is float32 [N, C, H, W], not " + describe(x));
}

inline void check_output(const CTTensor *scale, const CTTensor *beta, float max_scale) {
  check_activation(scale->value, beta);
  require(beta == nullptr || max_scale <= 0, "a largest scale is for quantisers without a beta");
}

inline std::optional<at::Tensor> optional(const CTTensor *tensor) {
  return tensor == nullptr ? std::nullopt : std::optional<at::Tensor>(tensor->value);
}

}  // namespace ctorch
