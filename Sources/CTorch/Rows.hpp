// Maps whose channels are innermost in memory are rows of channels. What the kernels that walk them share.
#pragma once

#include "Boundary.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace ctorch {

// Sums over rows are taken in float over this many rows, and added up in double in order: exact enough inside a block.
constexpr int64_t block_rows = 64;

inline at::Tensor channels_innermost(const at::Tensor &tensor) {
  return tensor.contiguous(at::MemoryFormat::ChannelsLast);
}

// `count` sums a channel over all rows. `add(first row, rows, sums)` adds those of a block to zeros.
template <size_t count, typename Add>
std::array<std::vector<double>, count> sum_rows(int64_t rows, int64_t channels, Add add) {
  std::array<std::vector<double>, count> totals;
  std::array<std::vector<float>, count> block;
  std::array<float *, count> sums;
  for (size_t k = 0; k < count; ++k) {
    totals[k].assign(channels, 0);
    block[k].resize(channels);
    sums[k] = block[k].data();
  }
  for (int64_t start = 0; start < rows; start += block_rows) {
    for (std::vector<float> &values : block) std::fill(values.begin(), values.end(), 0.0f);
    add(start, std::min(block_rows, rows - start), sums);
    for (size_t k = 0; k < count; ++k) {
      for (int64_t c = 0; c < channels; ++c) totals[k][c] += block[k][c];
    }
  }
  return totals;
}

// Sums of values and of their squares, counted from `origin`.
void add_moments(const float *x, const float *origin, int64_t rows, int64_t channels, float *sums, float *squares);

// dx = a dy + p x + q, one a, p and q a channel. `dx` may be `dy`.
void combine(const float *x, const float *dy, float *dx, int64_t rows, int64_t channels, const float *a, const float *p,
             const float *q);

}  // namespace ctorch
