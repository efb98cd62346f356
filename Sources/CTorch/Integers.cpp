// Evaluation of integer networks. A convolution of integers in float32 is exact as long as no partial sum passes 2^24,
// so the accumulators come from the ordinary kernels; what follows them is done here in integers.
#include "Boundary.hpp"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>

using at::Tensor;
using ctorch::boundary;
using ctorch::describe;
using ctorch::give;
using ctorch::require;

namespace {

CT_VECTORISED void requantise(const float *sums, uint8_t *bytes, int64_t rows, int64_t channels, const int32_t *biases,
                              const float *multipliers, int32_t zero_point) {
  for (int64_t row = 0; row < rows; ++row) {
    const float *from = sums + row * channels;
    uint8_t *to = bytes + row * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const int32_t sum = static_cast<int32_t>(from[c]) + biases[c];
      float v = std::nearbyint(static_cast<float>(sum) * multipliers[c]) + static_cast<float>(zero_point);
      v = v < 0 ? 0 : v;
      v = v > 255 ? 255 : v;
      to[c] = static_cast<uint8_t>(v);
    }
  }
}

CT_VECTORISED void accumulated_reals(const float *sums, float *reals, int64_t rows, int64_t channels,
                                     const float *multipliers, const float *biases) {
#pragma clang fp contract(off)
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = row * channels + c;
      reals[i] = sums[i] * multipliers[c] + biases[c];
    }
  }
}

inline uint8_t byte(float v) {
  v = std::nearbyint(v);
  v = v < 0 ? 0 : v;
  return static_cast<uint8_t>(v > 255 ? 255 : v);
}

CT_VECTORISED void requantise_by_line(const float *sums, uint8_t *bytes, int64_t rows, int64_t channels,
                                          const float *multipliers, const float *biases, CTLine line) {
#pragma clang fp contract(off)
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = row * channels + c;
      bytes[i] = byte(ctorch::along(line, sums[i] * multipliers[c] + biases[c]));
    }
  }
}

CT_VECTORISED void add_to_real(const float *reals, const uint8_t *from, uint8_t *to, int64_t count, float shift,
                               float factor, CTLine line) {
#pragma clang fp contract(off)
  for (int64_t i = 0; i < count; ++i) {
    const float sum = (reals[i] - shift) * factor + static_cast<float>(from[i]);
    to[i] = byte(ctorch::along(line, sum));
  }
}

Tensor bytes_like(const Tensor &x) {
  return at::empty(x.sizes(), at::TensorOptions(at::kByte).memory_format(at::MemoryFormat::ChannelsLast));
}

Tensor channels_innermost(const Tensor &tensor) { return tensor.contiguous(at::MemoryFormat::ChannelsLast); }

void require_maps(const Tensor &x, at::ScalarType type) {
  require(x.dim() == 4 && x.scalar_type() == type, "integer maps are [N, C, H, W], not " + describe(x));
}

}  // namespace

int32_t ct_requantise(const CTTensor *sums, const int32_t *biases, const float *multipliers, const float *real_biases,
                      int64_t channels, int32_t zero_point, const CTLine *line, CTTensor **out) {
  return boundary([&] {
    require_maps(sums->value, at::kFloat);
    const Tensor x = channels_innermost(sums->value);
    require(x.size(1) == channels, "accumulators " + describe(x) + " need one bias and multiplier a channel");
    Tensor y = bytes_like(x);
    const int64_t rows = x.numel() / std::max<int64_t>(channels, 1);
    if (line != nullptr) {
      requantise_by_line(x.const_data_ptr<float>(), y.data_ptr<uint8_t>(), rows, channels, multipliers, real_biases,
                             *line);
    } else {
      requantise(x.const_data_ptr<float>(), y.data_ptr<uint8_t>(), rows, channels, biases, multipliers, zero_point);
    }
    give(out, y);
  });
}

int32_t ct_accumulated_reals(const CTTensor *sums, const float *multipliers, const float *real_biases, int64_t channels,
                             CTTensor **out) {
  return boundary([&] {
    require_maps(sums->value, at::kFloat);
    const Tensor x = channels_innermost(sums->value);
    require(x.size(1) == channels, "accumulators " + describe(x) + " need one bias and multiplier a channel");
    Tensor y = at::empty_like(x);
    accumulated_reals(x.const_data_ptr<float>(), y.data_ptr<float>(), x.numel() / std::max<int64_t>(channels, 1),
                      channels, multipliers, real_biases);
    give(out, y);
  });
}

int32_t ct_add_to_real(const CTTensor *real, const CTTensor *bytes, float shift, float factor, CTLine line,
                       CTTensor **out) {
  return boundary([&] {
    require_maps(real->value, at::kFloat);
    require_maps(bytes->value, at::kByte);
    const Tensor x = channels_innermost(real->value), z = channels_innermost(bytes->value);
    require(x.sizes() == z.sizes(), "maps " + describe(x) + " and " + describe(z) + " cannot be added");
    Tensor y = bytes_like(x);
    add_to_real(x.const_data_ptr<float>(), z.const_data_ptr<uint8_t>(), y.data_ptr<uint8_t>(), x.numel(), shift, factor,
                line);
    give(out, y);
  });
}

int32_t ct_lookup(const CTTensor *bytes, const uint8_t *table, CTTensor **out) {
  return boundary([&] {
    require_maps(bytes->value, at::kByte);
    const Tensor x = channels_innermost(bytes->value);
    Tensor y = bytes_like(x);
    const uint8_t *from = x.const_data_ptr<uint8_t>();
    uint8_t *to = y.data_ptr<uint8_t>();
    for (int64_t i = 0; i < x.numel(); ++i) to[i] = table[from[i]];
    give(out, y);
  });
}

int32_t ct_lookup_pairs(const CTTensor *first, const CTTensor *second, const uint8_t *table, CTTensor **out) {
  return boundary([&] {
    require_maps(first->value, at::kByte);
    require_maps(second->value, at::kByte);
    const Tensor x = channels_innermost(first->value), z = channels_innermost(second->value);
    const bool gates = x.sizes() != z.sizes();
    require(x.size(0) == z.size(0) && x.size(1) == z.size(1) && (!gates || (z.size(2) == 1 && z.size(3) == 1)),
            "maps " + describe(x) + " and " + describe(z) + " do not belong together");
    Tensor y = bytes_like(x);
    const uint8_t *a = x.const_data_ptr<uint8_t>(), *b = z.const_data_ptr<uint8_t>();
    uint8_t *to = y.data_ptr<uint8_t>();
    const int64_t channels = x.size(1), area = x.size(2) * x.size(3);
    for (int64_t row = 0; row < x.size(0) * area; ++row) {
      const uint8_t *other = gates ? b + row / area * channels : b + row * channels;
      for (int64_t c = 0; c < channels; ++c) to[row * channels + c] = table[256 * a[row * channels + c] + other[c]];
    }
    give(out, y);
  });
}

int32_t ct_channel_sums(const CTTensor *bytes, CTTensor **out) {
  return boundary([&] {
    require_maps(bytes->value, at::kByte);
    give(out, at::sum(bytes->value, {2, 3}, false, at::kLong));
  });
}
