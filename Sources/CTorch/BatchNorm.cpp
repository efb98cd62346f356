// Batch normalisation of maps whose channels are innermost in memory, each direction in two passes.
//
// libtorch's own kernels took half the time of a training step of small networks; these take about a tenth.
//
//     xhat = (x - mean) / sigma,  sigma = sqrt(variance + epsilon)
//     y    = gamma xhat + beta
//     d beta  = sum dy,  d gamma = sum dy xhat
//     d x  = gamma / sigma (dy - (d beta + xhat d gamma) / n)
//
// which is a dy + p x + q with one a, p and q a channel. Sums run over blocks of rows in float and are added up in double
// in order, so they do not depend on the number of threads. Values are counted from those of the first row, so that a
// mean that is large against the deviation costs no digits.
#include "Rows.hpp"

#include <ATen/Functions.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <vector>

using at::Tensor;
using ctorch::boundary;
using ctorch::channels_innermost;
using ctorch::describe;
using ctorch::give;
using ctorch::require;
using ctorch::sum_rows;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

CT_VECTORISED void moments_of_rows(const float *x, const float *origin, int64_t rows, int64_t channels, float *sums,
                               float *squares) {
  for (int64_t row = 0; row < rows; ++row) {
    const float *values = x + row * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float v = values[c] - origin[c];
      sums[c] += v;
      squares[c] += v * v;
    }
  }
}

CT_VECTORISED void add_products(const float *x, const float *dy, const float *origin, int64_t rows, int64_t channels,
                                float *sums, float *products) {
  for (int64_t row = 0; row < rows; ++row) {
    const float *values = x + row * channels, *gradients = dy + row * channels;
    for (int64_t c = 0; c < channels; ++c) {
      sums[c] += gradients[c];
      products[c] += gradients[c] * (values[c] - origin[c]);
    }
  }
}

CT_VECTORISED void scale_and_shift(const float *x, float *y, int64_t rows, int64_t channels, const float *a,
                                   const float *b) {
  for (int64_t row = 0; row < rows; ++row) {
    const float *from = x + row * channels;
    float *to = y + row * channels;
    for (int64_t c = 0; c < channels; ++c) to[c] = from[c] * a[c] + b[c];
  }
}

CT_VECTORISED void combine_rows(const float *x, const float *dy, float *dx, int64_t rows, int64_t channels, const float *a,
                           const float *p, const float *q) {
  for (int64_t row = 0; row < rows; ++row) {
    const float *values = x + row * channels, *gradients = dy + row * channels;
    float *to = dx + row * channels;
    for (int64_t c = 0; c < channels; ++c) to[c] = a[c] * gradients[c] + p[c] * values[c] + q[c];
  }
}

class BatchNorm : public torch::autograd::Function<BatchNorm> {
 public:
  static variable_list forward(AutogradContext *context, const Tensor &input, const Tensor &gamma, const Tensor &beta,
                               double epsilon) {
    const Tensor x = channels_innermost(input);
    const Tensor g = gamma.contiguous(), b = beta.contiguous();
    const int64_t channels = x.size(1), rows = x.numel() / channels;
    const float *from = x.const_data_ptr<float>();
    const auto [sums, squares] = sum_rows<2>(rows, channels, [&](int64_t start, int64_t count, auto block) {
      moments_of_rows(from + start * channels, from, count, channels, block[0], block[1]);
    });
    Tensor mean = at::empty_like(g), variance = at::empty_like(g), inverse = at::empty_like(g);
    std::vector<float> factor(channels), shift(channels);
    for (int64_t c = 0; c < channels; ++c) {
      const double offset = sums[c] / rows;
      const double spread = std::max(0.0, squares[c] / rows - offset * offset);
      const double centre = offset + from[c];
      const double scale = 1 / std::sqrt(spread + epsilon);
      mean.data_ptr<float>()[c] = static_cast<float>(centre);
      // A NaN must stay one: a diverged run must not look healthy.
      variance.data_ptr<float>()[c] = static_cast<float>(std::isnan(squares[c]) ? squares[c] : spread);
      inverse.data_ptr<float>()[c] = static_cast<float>(scale);
      const double a = g.const_data_ptr<float>()[c] * scale;
      factor[c] = static_cast<float>(a);
      shift[c] = static_cast<float>(b.const_data_ptr<float>()[c] - centre * a);
    }
    Tensor y = at::empty_like(x);
    scale_and_shift(from, y.data_ptr<float>(), rows, channels, factor.data(), shift.data());
    context->save_for_backward({x, g, mean, inverse});
    context->mark_non_differentiable({mean, variance});
    return {y, mean, variance};
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &gamma = saved[1], &mean = saved[2], &inverse = saved[3];
    const Tensor dy = channels_innermost(gradients[0]);
    const int64_t channels = x.size(1), rows = x.numel() / channels;
    const float *values = x.const_data_ptr<float>(), *upstream = dy.const_data_ptr<float>();
    const float *m = mean.const_data_ptr<float>(), *inv = inverse.const_data_ptr<float>();
    const auto [sums, products] = sum_rows<2>(rows, channels, [&](int64_t start, int64_t count, auto block) {
      add_products(values + start * channels, upstream + start * channels, m, count, channels, block[0], block[1]);
    });
    Tensor dgamma = at::empty_like(gamma), dbeta = at::empty_like(gamma);
    std::vector<float> a(channels), p(channels), q(channels);
    for (int64_t c = 0; c < channels; ++c) {
      const double by_gamma = products[c] * inv[c], scale = gamma.const_data_ptr<float>()[c] * inv[c];
      dgamma.data_ptr<float>()[c] = static_cast<float>(by_gamma);
      dbeta.data_ptr<float>()[c] = static_cast<float>(sums[c]);
      const double slope = -scale * by_gamma * inv[c] / rows;
      a[c] = static_cast<float>(scale);
      p[c] = static_cast<float>(slope);
      q[c] = static_cast<float>(-scale * sums[c] / rows - slope * m[c]);
    }
    Tensor dx = at::empty_like(x);
    combine_rows(values, upstream, dx.data_ptr<float>(), rows, channels, a.data(), p.data(), q.data());
    return {dx, dgamma, dbeta, Tensor()};
  }
};

void require_maps(const Tensor &x, const Tensor &gamma, const Tensor &beta) {
  require(x.dim() == 4 && x.numel() > 0, "batch norm takes maps [N, C, H, W], not " + describe(x));
  for (const Tensor *tensor : {&x, &gamma, &beta}) {
    require(tensor->scalar_type() == at::kFloat, "batch norm computes in float32");
  }
  require(gamma.dim() == 1 && beta.dim() == 1 && gamma.size(0) == x.size(1) && beta.size(0) == x.size(1),
          "batch norm of " + describe(x) + " needs one gamma and beta a channel, not " + describe(gamma) + " and " +
              describe(beta));
}

}  // namespace

void ctorch::add_moments(const float *x, const float *origin, int64_t rows, int64_t channels, float *sums,
                         float *squares) {
  moments_of_rows(x, origin, rows, channels, sums, squares);
}

void ctorch::combine(const float *x, const float *dy, float *dx, int64_t rows, int64_t channels, const float *a,
                     const float *p, const float *q) {
  combine_rows(x, dy, dx, rows, channels, a, p, q);
}

int32_t ct_batch_norm(const CTTensor *x, const CTTensor *gamma, const CTTensor *beta, double epsilon, CTTensor **out,
                      CTTensor **mean, CTTensor **variance) {
  return boundary([&] {
    require_maps(x->value, gamma->value, beta->value);
    const auto results = BatchNorm::apply(x->value, gamma->value, beta->value, epsilon);
    std::unique_ptr<CTTensor> y(new CTTensor{results[0]}), m, v;
    if (mean) m.reset(new CTTensor{results[1]});
    if (variance) v.reset(new CTTensor{results[2]});
    if (mean) *mean = m.release();
    if (variance) *variance = v.release();
    *out = y.release();
  });
}

int32_t ct_batch_norm_with(const CTTensor *x, const CTTensor *gamma, const CTTensor *beta, const CTTensor *mean,
                           const CTTensor *variance, double epsilon, CTTensor **out) {
  return boundary([&] {
    require_maps(x->value, gamma->value, beta->value);
    const Tensor a = at::mul(gamma->value, at::rsqrt(at::add(variance->value, epsilon)));
    const Tensor b = at::sub(beta->value, at::mul(mean->value, a));
    const auto shaped = [](const Tensor &t) { return t.view({1, -1, 1, 1}); };
    give(out, at::addcmul(shaped(b), x->value, shaped(a)));
  });
}
