// Into steps, out of them, and what follows a convolution of integers.
//
// A convolution of maps in steps with integer weights in float32 is exact while no partial sum passes 2^24, and what
// follows it is computed here in the order of the integer network, whose constants the caller hands over.
//
// The gradient of accumulators is multiplied by the weights' scales on its way back, which makes the gradient of the
// convolution's input right; that of its integer weights needs the factor input scale / weight scale (WeightSteps).
#include "Steps.hpp"

#include <ATen/Functions.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

using at::Tensor;
using ctorch::boundary;
using ctorch::channels_innermost;
using ctorch::check_output;
using ctorch::describe;
using ctorch::give;
using ctorch::largest_activation;
using ctorch::LearnedQuantizer;
using ctorch::optional;
using ctorch::require;
using ctorch::require_maps;
using ctorch::sum_rows;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

class ToSteps : public torch::autograd::Function<ToSteps> {
 public:
  static Tensor forward(AutogradContext *, const Tensor &x, double scale) {
    return at::round(at::div(channels_innermost(x), static_cast<float>(scale)));
  }
  static variable_list backward(AutogradContext *, variable_list gradients) { return {gradients[0], Tensor()}; }
};

class FromSteps : public torch::autograd::Function<FromSteps> {
 public:
  static Tensor forward(AutogradContext *, const Tensor &x, double scale) {
    return at::mul(x, static_cast<float>(scale));
  }
  static variable_list backward(AutogradContext *, variable_list gradients) { return {gradients[0], Tensor()}; }
};

// What follows a convolution of integers: one row of channels for each number.
struct Epilogue {
  enum Row { sign, multiplier, real_bias, weight_scale, centre, inverse, gamma, row_count };

  Tensor numbers;  // [row_count, C]
  Tensor biases;   // [C], int32
  float input_scale;
  bool has_batch_norm, of_batch;
  std::optional<CTLine> line;

  // No biases in steps where none are used.
  Epilogue(const float *rows, const int32_t *steps, int64_t channels, float input_scale, int32_t normalisation,
           const CTLine *line)
      : numbers(at::empty({row_count, channels}, at::TensorOptions(at::kFloat))),
        biases(at::zeros({channels}, at::TensorOptions(at::kInt))),
        input_scale(input_scale),
        has_batch_norm(normalisation != CT_NOT_NORMALISED),
        of_batch(normalisation == CT_NORMALISED_BY_BATCH) {
    std::copy_n(rows, row_count * channels, numbers.data_ptr<float>());
    if (steps != nullptr) std::copy_n(steps, channels, biases.data_ptr<int32_t>());
    if (line == nullptr) return;
    require(line->is_fused, "behind a convolution a line is one operation");
    this->line = *line;
  }

  explicit Epilogue(AutogradContext *context)
      : numbers(context->saved_data["numbers"].toTensor()),
        biases(context->saved_data["biases"].toTensor()),
        input_scale(static_cast<float>(context->saved_data["inputScale"].toDouble())),
        has_batch_norm(context->saved_data["hasBatchNorm"].toBool()),
        of_batch(context->saved_data["ofBatch"].toBool()) {
    const std::vector<double> n = context->saved_data["line"].toDoubleVector();
    if (!n.empty()) line = {static_cast<float>(n[0]), static_cast<float>(n[1]), 1};
  }

  void save(AutogradContext *context) const {
    context->saved_data["numbers"] = numbers;
    context->saved_data["biases"] = biases;
    context->saved_data["inputScale"] = static_cast<double>(input_scale);
    context->saved_data["hasBatchNorm"] = has_batch_norm;
    context->saved_data["ofBatch"] = of_batch;
    context->saved_data["line"] = line ? std::vector<double>{line->factor, line->offset} : std::vector<double>{};
  }

  int64_t channels() const { return biases.size(0); }
  const float *row(Row row) const { return numbers.const_data_ptr<float>() + row * channels(); }
};

// The accumulator and its bias as one integer. Beyond 2^30 an accumulator is not one any more; a NaN gives anything.
inline int32_t total(float accumulator, int32_t bias) {
  float limited = accumulator > -0x1p30f ? accumulator : -0x1p30f;
  limited = limited < 0x1.fffffep29f ? limited : 0x1.fffffep29f;
  return static_cast<int32_t>(limited) + bias;
}

// What makes values of accumulators: in steps of the output, from its zero point; or, with a line, from byte 0.
struct Values {
  const float *signs, *multipliers, *real_biases;
  const int32_t *biases;
  CTLine line;
  bool has_line;
  // Of the values: what is subtracted for steps from the zero point.
  float origin;

  Values(const Epilogue &e, float zero_point)
      : signs(e.row(Epilogue::sign)),
        multipliers(e.row(Epilogue::multiplier)),
        real_biases(e.row(Epilogue::real_bias)),
        biases(e.biases.const_data_ptr<int32_t>()),
        line(e.line.value_or(CTLine{1, 0, 1})),
        has_line(e.line.has_value()),
        origin(has_line ? zero_point : 0) {}
};

inline __attribute__((always_inline)) float real_number(const Values &values, float sum, int64_t c) {
#pragma clang fp contract(off)
  return values.signs[c] * sum * values.multipliers[c] + values.real_biases[c];
}

template <bool has_line>
inline __attribute__((always_inline)) float value(const Values &values, float sum, int64_t c) {
  if constexpr (has_line) {
    return std::fma(real_number(values, sum, c), values.line.factor, values.line.offset);
  }
  return static_cast<float>(total(values.signs[c] * sum, values.biases[c])) * values.multipliers[c];
}

template <bool has_line>
inline __attribute__((always_inline)) void requantise_rows(const float *sums, float *steps, int64_t rows,
                                                           int64_t channels, const Values &values, float lo, float hi) {
  for (int64_t row = 0; row < rows; ++row) {
    const float *from = sums + row * channels;
    float *to = steps + row * channels;
    for (int64_t c = 0; c < channels; ++c) {
      float v = std::nearbyint(value<has_line>(values, from[c], c)) - values.origin;
      v = v < lo ? lo : v;
      v = v > hi ? hi : v;
      // Of a NaN the integers know nothing.
      to[c] = from[c] != from[c] ? from[c] : v;
    }
  }
}

CT_VECTORISED void requantise(const float *sums, float *steps, int64_t rows, int64_t channels, Values values, float lo,
                              float hi) {
  if (values.has_line) return requantise_rows<true>(sums, steps, rows, channels, values, lo, hi);
  requantise_rows<false>(sums, steps, rows, channels, values, lo, hi);
}

CT_VECTORISED void dequantise(const float *sums, float *reals, int64_t rows, int64_t channels, Values values) {
  for (int64_t row = 0; row < rows; ++row) {
    const float *from = sums + row * channels;
    float *to = reals + row * channels;
    for (int64_t c = 0; c < channels; ++c) to[c] = real_number(values, from[c], c);
  }
}

template <bool has_line>
inline __attribute__((always_inline)) void differentiate_rows(const float *sums, const float *g, float *dx, int64_t rows,
                                                              int64_t channels, const Values &values, const float *centres,
                                                              float lo, float hi, float *gradients, float *products,
                                                              float *slopes, float *outside) {
  for (int64_t row = 0; row < rows; ++row) {
    const float *from = sums + row * channels, *upstream = g + row * channels;
    float *to = dx + row * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float v = value<has_line>(values, from[c], c) - values.origin;
      const float r = std::nearbyint(v);
      const bool under = r<lo, over = r> hi;
      const float inside = under || over ? 0.0f : upstream[c];
      const float slope = under ? 0.0f : over ? largest_activation : r - v;
      to[c] = inside;
      gradients[c] += inside;
      products[c] += inside * (from[c] - centres[c]);
      slopes[c] += upstream[c] * slope;
      outside[c] += upstream[c] - inside;
    }
  }
}

CT_VECTORISED void differentiate(const float *sums, const float *g, float *dx, int64_t rows, int64_t channels, Values values,
                                 const float *centres, float lo, float hi, float *gradients, float *products,
                                 float *slopes, float *outside) {
  if (values.has_line) {
    return differentiate_rows<true>(sums, g, dx, rows, channels, values, centres, lo, hi, gradients, products, slopes,
                                    outside);
  }
  differentiate_rows<false>(sums, g, dx, rows, channels, values, centres, lo, hi, gradients, products, slopes, outside);
}

// The way back through bias, batch norm and the weights' scales, for outputs between `lo` and `hi`.
struct Back {
  Tensor dx, dgamma, dshift;
  double slopes = 0, outside = 0;

  Back(AutogradContext *context, const Tensor &x, const Tensor &gradient, float lo, float hi) : dx(at::empty_like(x)) {
    const Epilogue e(context);
    const Tensor g = channels_innermost(gradient);
    const int64_t channels = e.channels(), rows = x.numel() / channels;
    const float *sums = x.const_data_ptr<float>(), *upstream = g.const_data_ptr<float>();
    float *to = dx.data_ptr<float>();
    const Values values(e, -lo);
    const auto totals = sum_rows<4>(rows, channels, [&](int64_t start, int64_t count, auto block) {
      const int64_t at = start * channels;
      differentiate(sums + at, upstream + at, to + at, count, channels, values, e.row(Epilogue::centre), lo, hi, block[0],
                    block[1], block[2], block[3]);
    });
    const auto options = at::TensorOptions(at::kFloat);
    if (e.has_batch_norm) dgamma = at::empty({channels}, options);
    if (context->saved_data["hasShift"].toBool()) dshift = at::empty({channels}, options);
    std::vector<float> a(channels), p(channels, 0), q(channels, 0);
    for (int64_t c = 0; c < channels; ++c) {
      slopes += totals[2][c];
      outside += totals[3][c];
      const double by_shift = totals[0][c], weight_scale = e.row(Epilogue::weight_scale)[c];
      if (dshift.defined()) dshift.data_ptr<float>()[c] = static_cast<float>(by_shift);
      if (!e.has_batch_norm) {
        a[c] = static_cast<float>(weight_scale);
        continue;
      }
      const double inverse = e.row(Epilogue::inverse)[c];
      // From accumulators to normalised values.
      const double normalising = inverse * static_cast<double>(e.input_scale) * weight_scale;
      const double by_gamma = totals[1][c] * normalising;
      dgamma.data_ptr<float>()[c] = static_cast<float>(by_gamma);
      const double slope = e.row(Epilogue::gamma)[c] * inverse * weight_scale;
      a[c] = static_cast<float>(slope);
      if (!e.of_batch) continue;
      const double by_value = -slope * by_gamma / rows * normalising;
      p[c] = static_cast<float>(by_value);
      q[c] = static_cast<float>(-slope * by_shift / rows - by_value * e.row(Epilogue::centre)[c]);
    }
    ctorch::combine(sums, to, to, rows, channels, a.data(), p.data(), q.data());
  }
};

class Requantizer : public torch::autograd::Function<Requantizer> {
 public:
  // `shift` is the batch norm's beta, or the convolution's bias where there is no batch norm.
  static Tensor forward(AutogradContext *context, const Tensor &input, const std::optional<Tensor> &gamma,
                        const std::optional<Tensor> &shift, const Tensor &scale, const std::optional<Tensor> &beta,
                        double max_scale, const Epilogue &epilogue) {
    const Tensor x = channels_innermost(input);
    Tensor y = at::empty_like(x);
    const LearnedQuantizer quantizer(scale, beta, max_scale);
    const int64_t channels = x.size(1);
    requantise(x.const_data_ptr<float>(), y.data_ptr<float>(), x.numel() / channels, channels,
               Values(epilogue, quantizer.z()), quantizer.lo(), quantizer.hi());
    context->save_for_backward({x});
    quantizer.save(context);
    epilogue.save(context);
    context->saved_data["hasShift"] = shift.has_value();
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const Tensor x = context->get_saved_variables()[0];
    const LearnedQuantizer quantizer(context);
    const Back back(context, x, gradients[0], quantizer.lo(), quantizer.hi());
    const auto [dscale, dbeta] = quantizer.gradients(back.slopes, back.outside, x);
    return {back.dx, back.dgamma, back.dshift, dscale, dbeta, Tensor(), Tensor()};
  }
};

class RealSums : public torch::autograd::Function<RealSums> {
 public:
  static Tensor forward(AutogradContext *context, const Tensor &input, const std::optional<Tensor> &gamma,
                        const std::optional<Tensor> &shift, const Epilogue &epilogue) {
    const Tensor x = channels_innermost(input);
    Tensor y = at::empty_like(x);
    const int64_t channels = x.size(1);
    dequantise(x.const_data_ptr<float>(), y.data_ptr<float>(), x.numel() / channels, channels, Values(epilogue, 0));
    context->save_for_backward({x});
    epilogue.save(context);
    context->saved_data["hasShift"] = shift.has_value();
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const float infinity = std::numeric_limits<float>::infinity();
    const Back back(context, context->get_saved_variables()[0], gradients[0], -infinity, infinity);
    return {back.dx, back.dgamma, back.dshift, Tensor()};
  }
};

}  // namespace

int32_t ct_to_steps(const CTTensor *x, float scale, CTTensor **out) {
  return boundary([&] {
    require_maps(x->value);
    require(scale > 0, "a step is positive");
    give(out, ToSteps::apply(x->value, static_cast<double>(scale)));
  });
}

int32_t ct_from_steps(const CTTensor *steps, float scale, CTTensor **out) {
  return boundary([&] { give(out, FromSteps::apply(steps->value, static_cast<double>(scale))); });
}

int32_t ct_channel_moments(const CTTensor *maps, double *means, double *variances, int64_t count) {
  return boundary([&] {
    require_maps(maps->value);
    const Tensor x = channels_innermost(maps->value.detach());
    const int64_t channels = x.size(1), rows = x.numel() / channels;
    require(count == channels, "moments of " + describe(x) + " need room for as many numbers as channels");
    const float *from = x.const_data_ptr<float>();
    const auto sums = sum_rows<2>(rows, channels, [&](int64_t start, int64_t block_count, auto block) {
      ctorch::add_moments(from + start * channels, from, block_count, channels, block[0], block[1]);
    });
    for (int64_t c = 0; c < channels; ++c) {
      const double offset = sums[0][c] / rows, spread = sums[1][c] / rows - offset * offset;
      means[c] = offset + from[c];
      variances[c] = spread < 0 ? 0 : spread;
    }
  });
}

int32_t ct_requantise_steps(const CTTensor *sums, const CTTensor *gamma, const CTTensor *shift, const float *numbers,
                            const int32_t *biases, int64_t channels, float input_scale, int32_t normalisation,
                            const CTLine *line, const CTTensor *scale, const CTTensor *beta, float max_scale,
                            CTTensor **out) {
  return boundary([&] {
    require_maps(sums->value);
    check_output(scale, beta, max_scale);
    require(sums->value.size(1) == channels,
            "accumulators " + describe(sums->value) + " need one sign, bias and multiplier a channel");
    give(out, Requantizer::apply(sums->value, optional(gamma), optional(shift), scale->value, optional(beta),
                                 static_cast<double>(max_scale),
                                 Epilogue(numbers, biases, channels, input_scale, normalisation, line)));
  });
}

int32_t ct_real_sums(const CTTensor *sums, const CTTensor *gamma, const CTTensor *shift, const float *numbers,
                     int64_t channels, float input_scale, int32_t normalisation, CTTensor **out) {
  return boundary([&] {
    require_maps(sums->value);
    require(sums->value.size(1) == channels,
            "accumulators " + describe(sums->value) + " need one sign, bias and multiplier a channel");
    give(out, RealSums::apply(sums->value, optional(gamma), optional(shift),
                              Epilogue(numbers, nullptr, channels, input_scale, normalisation, nullptr)));
  });
}
