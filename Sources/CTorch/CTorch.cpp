// Tensors, layers, gradients.
#include "Boundary.hpp"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/headeronly/version.h>

#include <cmath>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

using at::Tensor;
using ctorch::boundary;
using ctorch::give;
using ctorch::require;

namespace {

thread_local std::string last_error;

Tensor from_values(const void *values, const int64_t *shape, int32_t rank, at::ScalarType type) {
  require(rank >= 0 && rank <= CT_MAX_RANK, "a tensor has 0 to 8 dimensions, not " + std::to_string(rank));
  for (int32_t i = 0; i < rank; ++i) {
    require(shape[i] >= 0, "a dimension cannot be negative, as " + std::to_string(shape[i]) + " is");
  }
  Tensor result = at::empty(at::IntArrayRef(shape, rank), at::TensorOptions(type));
  if (result.numel() > 0) std::memcpy(result.data_ptr(), values, result.nbytes());
  return result;
}

// One step of Steele, Lea and Flood's splitmix64: a well mixed function of its argument.
uint64_t mixed(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// Prefix in the first two dimensions and centre of the others, with one zero-filled gradient instead of one for each
// of the four dimensions.
class WeightSlice : public torch::autograd::Function<WeightSlice> {
  static Tensor window(const Tensor &w, int64_t out_channels, int64_t in_channels, int64_t kernel) {
    const int64_t margin = (w.size(2) - kernel) / 2;
    return w.narrow(0, 0, out_channels).narrow(1, 0, in_channels).narrow(2, margin, kernel).narrow(3, margin, kernel);
  }

 public:
  static Tensor forward(torch::autograd::AutogradContext *context, const Tensor &w, int64_t out_channels,
                        int64_t in_channels, int64_t kernel) {
    context->saved_data["shape"] = w.sizes().vec();
    context->saved_data["channelsLast"] = !w.is_contiguous();
    return window(w, out_channels, in_channels, kernel)
        .clone(kernel > 1 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 torch::autograd::variable_list gradients) {
    const Tensor &g = gradients[0];
    Tensor full = at::empty(
        context->saved_data["shape"].toIntVector(), g.options(),
        context->saved_data["channelsLast"].toBool() ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
    full.zero_();
    window(full, g.size(0), g.size(1), g.size(2)).copy_(g);
    return {full, Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

int32_t ctorch::fail(int32_t status, const char *message) noexcept {
  try {
    last_error = message;
  } catch (...) {
    last_error.clear();
  }
  return status;
}

// ---- The library

const char *ct_last_error(void) { return last_error.c_str(); }
const char *ct_version(void) { return TORCH_VERSION; }

int32_t ct_set_threads(int32_t count) {
  return boundary([&] {
    require(count >= 1, "the number of threads must be at least 1");
    at::set_num_threads(count);
  });
}

int32_t ct_get_threads(void) { return at::get_num_threads(); }
int32_t ct_manual_seed(uint64_t seed) {
  return boundary([&] { at::manual_seed(seed); });
}

void ct_keep_freed_memory(void) {
#if defined(__GLIBC__)
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 2147483647);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

int32_t ct_set_grad_mode(int32_t enabled) {
  const bool before = at::GradMode::is_enabled();
  at::GradMode::set_enabled(enabled != 0);
  return before;
}

// ---- Making, reading, releasing

int32_t ct_from_floats(const float *values, const int64_t *shape, int32_t rank, CTTensor **out) {
  return boundary([&] { give(out, from_values(values, shape, rank, at::kFloat)); });
}

int32_t ct_from_int64s(const int64_t *values, const int64_t *shape, int32_t rank, CTTensor **out) {
  return boundary([&] { give(out, from_values(values, shape, rank, at::kLong)); });
}

int32_t ct_from_uint8s(const uint8_t *values, const int64_t *shape, int32_t rank, CTTensor **out) {
  return boundary([&] { give(out, from_values(values, shape, rank, at::kByte)); });
}

int32_t ct_unfilled(const int64_t *shape, int32_t rank, CTTensor **out, float **elements) {
  return boundary([&] {
    require(rank >= 0 && rank <= CT_MAX_RANK, "a tensor has 0 to 8 dimensions");
    Tensor result = at::empty(at::IntArrayRef(shape, rank), at::TensorOptions(at::kFloat));
    float *data = result.data_ptr<float>();
    give(out, std::move(result));
    *elements = data;
  });
}

int32_t ct_full(float value, const int64_t *shape, int32_t rank, CTTensor **out) {
  return boundary([&] {
    require(rank >= 0 && rank <= CT_MAX_RANK, "a tensor has 0 to 8 dimensions");
    give(out, at::full(at::IntArrayRef(shape, rank), value, at::TensorOptions(at::kFloat)));
  });
}

int32_t ct_zeros_like(const CTTensor *tensor, CTTensor **out) {
  return boundary([&] { give(out, at::zeros_like(tensor->value.detach())); });
}

void ct_free(CTTensor *tensor) { delete tensor; }

int32_t ct_rank(const CTTensor *tensor) { return static_cast<int32_t>(tensor->value.dim()); }
int64_t ct_numel(const CTTensor *tensor) { return tensor->value.numel(); }

void ct_shape(const CTTensor *tensor, int64_t *out) {
  for (int64_t i = 0; i < tensor->value.dim(); ++i) out[i] = tensor->value.size(i);
}

int32_t ct_scalar_type(const CTTensor *tensor) {
  switch (tensor->value.scalar_type()) {
    case at::kFloat:
      return CT_FLOAT32;
    case at::kLong:
      return CT_INT64;
    case at::kByte:
      return CT_UINT8;
    case at::kChar:
      return CT_INT8;
    case at::kInt:
      return CT_INT32;
    default:
      return CT_OTHER_TYPE;
  }
}

int32_t ct_requires_grad(const CTTensor *tensor) { return tensor->value.requires_grad(); }

int32_t ct_is_channels_last(const CTTensor *tensor) {
  return tensor->value.dim() == 4 && tensor->value.is_contiguous(at::MemoryFormat::ChannelsLast);
}

template <typename Element>
static void copy_out(const CTTensor *tensor, Element *values, int64_t count, at::ScalarType type) {
  require(count == tensor->value.numel(), "the buffer has room for " + std::to_string(count) +
                                              " elements, the tensor has " + std::to_string(tensor->value.numel()));
  const Tensor plain = tensor->value.detach().to(type).contiguous();
  if (count > 0) std::memcpy(values, plain.data_ptr(), count * sizeof(Element));
}

int32_t ct_copy_floats(const CTTensor *tensor, float *values, int64_t count) {
  return boundary([&] { copy_out(tensor, values, count, at::kFloat); });
}

int32_t ct_copy_int64s(const CTTensor *tensor, int64_t *values, int64_t count) {
  return boundary([&] { copy_out(tensor, values, count, at::kLong); });
}

int32_t ct_item(const CTTensor *tensor, double *value) {
  return boundary([&] {
    require(tensor->value.numel() == 1,
            "a single number was asked of a tensor of shape " + ctorch::describe(tensor->value));
    *value = tensor->value.item().toDouble();
  });
}

int32_t ct_clone(const CTTensor *tensor, CTTensor **out) {
  return boundary([&] { give(out, tensor->value.detach().clone()); });
}
int32_t ct_detach(const CTTensor *tensor, CTTensor **out) {
  return boundary([&] { give(out, tensor->value.detach()); });
}

int32_t ct_set_requires_grad(CTTensor *tensor, int32_t flag) {
  return boundary([&] { tensor->value.set_requires_grad(flag != 0); });
}

int32_t ct_copy_into(CTTensor *destination, const CTTensor *source) {
  return boundary([&] {
    require(destination->value.sizes() == source->value.sizes(),
            "a tensor of shape " + ctorch::describe(source->value) + " cannot be copied into one of shape " +
                ctorch::describe(destination->value));
    at::NoGradGuard guard;
    destination->value.copy_(source->value);
  });
}

int32_t ct_contiguous(const CTTensor *tensor, CTTensor **out) {
  return boundary([&] { give(out, tensor->value.contiguous()); });
}

int32_t ct_channels_last(const CTTensor *tensor, CTTensor **out) {
  return boundary([&] { give(out, tensor->value.contiguous(at::MemoryFormat::ChannelsLast)); });
}

int32_t ct_to_float(const CTTensor *tensor, float shift, float factor, CTTensor **out) {
  return boundary([&] {
    Tensor x = tensor->value.to(at::kFloat);
    if (x.dim() == 4) x = x.contiguous(at::MemoryFormat::ChannelsLast);
    if (shift != 0) x = at::sub(x, shift);
    if (factor != 1) x = at::mul(x, factor);
    give(out, x);
  });
}

int32_t ct_take_rows(const CTTensor *tensor, const int64_t *indices, int64_t count, CTTensor **out) {
  return boundary([&] {
    const int32_t rank = 1;
    give(out, at::index_select(tensor->value, 0, from_values(indices, &count, rank, at::kLong)));
  });
}

static std::vector<Tensor> values_of(const CTTensor *const *tensors, int32_t count) {
  std::vector<Tensor> values;
  values.reserve(count);
  for (int32_t i = 0; i < count; ++i) values.push_back(tensors[i]->value);
  return values;
}

int32_t ct_concatenate(const CTTensor *const *tensors, int32_t count, int32_t dimension, CTTensor **out) {
  return boundary([&] { give(out, at::cat(values_of(tensors, count), dimension)); });
}

int32_t ct_narrow(const CTTensor *tensor, int32_t dimension, int64_t start, int64_t count, CTTensor **out) {
  return boundary([&] { give(out, tensor->value.narrow(dimension, start, count)); });
}

int32_t ct_permute(const CTTensor *tensor, const int64_t *order, int32_t rank, CTTensor **out) {
  return boundary([&] { give(out, tensor->value.permute(at::IntArrayRef(order, rank))); });
}

// ---- Slices

int32_t ct_slice_weight(const CTTensor *w, int64_t out_channels, int64_t in_channels, int64_t kernel, CTTensor **out) {
  return boundary([&] {
    const Tensor &x = w->value;
    require(x.dim() == 4, "a weight has 4 dimensions, not " + ctorch::describe(x));
    require(out_channels >= 1 && out_channels <= x.size(0) && in_channels >= 1 && in_channels <= x.size(1) &&
                kernel >= 1 && kernel <= x.size(2) && kernel <= x.size(3) && x.size(2) == x.size(3) &&
                (x.size(2) - kernel) % 2 == 0,
            "a weight of shape " + ctorch::describe(x) + " has no slice of " + std::to_string(out_channels) + " x " +
                std::to_string(in_channels) + " channels and a kernel of " + std::to_string(kernel) + " in its middle");
    give(out, WeightSlice::apply(x, out_channels, in_channels, kernel));
  });
}

int32_t ct_slice_prefix(const CTTensor *v, int64_t n, CTTensor **out) {
  return boundary([&] {
    const Tensor &x = v->value;
    require(x.dim() == 1 && n >= 1 && n <= x.size(0),
            "a vector of shape " + ctorch::describe(x) + " has no prefix of " + std::to_string(n) + " elements");
    give(out, n == x.size(0) ? x.view_as(x) : x.narrow(0, 0, n));
  });
}

// ---- Layers

static std::optional<Tensor> optional(const CTTensor *tensor) {
  return tensor == nullptr ? std::nullopt : std::optional<Tensor>(tensor->value);
}

int32_t ct_conv2d(const CTTensor *x, const CTTensor *w, const CTTensor *bias, int64_t stride, int64_t padding,
                  int64_t groups, CTTensor **out) {
  return boundary([&] {
    give(out, at::conv2d(x->value, w->value, optional(bias), {stride, stride}, {padding, padding}, {1, 1}, groups));
  });
}

int32_t ct_relu(const CTTensor *x, CTTensor **out) {
  return boundary([&] { give(out, at::relu(x->value)); });
}

int32_t ct_clamp(const CTTensor *x, double low, double high, CTTensor **out) {
  return boundary([&] { give(out, at::hardtanh(x->value, low, high)); });
}

int32_t ct_hardswish(const CTTensor *x, CTTensor **out) {
  return boundary([&] { give(out, at::hardswish(x->value)); });
}
int32_t ct_hardsigmoid(const CTTensor *x, CTTensor **out) {
  return boundary([&] { give(out, at::hardsigmoid(x->value)); });
}
int32_t ct_silu(const CTTensor *x, CTTensor **out) {
  return boundary([&] { give(out, at::silu(x->value)); });
}
int32_t ct_sigmoid(const CTTensor *x, CTTensor **out) {
  return boundary([&] { give(out, at::sigmoid(x->value)); });
}

int32_t ct_add(const CTTensor *a, const CTTensor *b, CTTensor **out) {
  return boundary([&] { give(out, at::add(a->value, b->value)); });
}

int32_t ct_subtract(const CTTensor *a, const CTTensor *b, CTTensor **out) {
  return boundary([&] { give(out, at::sub(a->value, b->value)); });
}

int32_t ct_multiply(const CTTensor *a, const CTTensor *b, CTTensor **out) {
  return boundary([&] { give(out, at::mul(a->value, b->value)); });
}

int32_t ct_scaled(const CTTensor *x, double factor, CTTensor **out) {
  return boundary([&] { give(out, at::mul(x->value, factor)); });
}

int32_t ct_global_average_pool(const CTTensor *x, CTTensor **out) {
  return boundary([&] { give(out, at::mean(x->value, {2, 3}, true)); });
}

int32_t ct_average_pool(const CTTensor *x, int64_t kernel, int64_t stride, int64_t padding, CTTensor **out) {
  return boundary([&] {
    give(out, at::avg_pool2d(x->value, {kernel, kernel}, {stride, stride}, {padding, padding}, false, false));
  });
}

int32_t ct_max_pool(const CTTensor *x, int64_t kernel, int64_t stride, int64_t padding, CTTensor **out) {
  return boundary([&] { give(out, at::max_pool2d(x->value, {kernel, kernel}, {stride, stride}, {padding, padding})); });
}

int32_t ct_flatten(const CTTensor *x, CTTensor **out) {
  return boundary([&] { give(out, at::flatten(x->value, 1)); });
}

int32_t ct_reshape(const CTTensor *x, const int64_t *shape, int32_t rank, CTTensor **out) {
  return boundary([&] { give(out, at::reshape(x->value, at::IntArrayRef(shape, rank))); });
}

int32_t ct_dropout(const CTTensor *x, double probability, uint64_t seed, CTTensor **out) {
  return boundary([&] {
    require(probability >= 0 && probability < 1,
            "a dropout probability lies in [0, 1), not " + std::to_string(probability));
    Tensor mask = at::empty(x->value.sizes(), at::TensorOptions(at::kFloat));
    float *values = mask.data_ptr<float>();
    const float kept = static_cast<float>(1 / (1 - probability));
    // 2^64 * probability; below it an element is dropped.
    const uint64_t threshold = static_cast<uint64_t>(std::ldexp(probability, 64));
    const uint64_t start = mixed(seed);
    for (int64_t i = 0; i < mask.numel(); ++i) values[i] = mixed(start + i) < threshold ? 0 : kept;
    give(out, at::mul(x->value, mask));
  });
}

int32_t ct_mean(const CTTensor *x, CTTensor **out) {
  return boundary([&] { give(out, at::mean(x->value)); });
}
int32_t ct_sum(const CTTensor *x, CTTensor **out) {
  return boundary([&] { give(out, at::sum(x->value)); });
}
int32_t ct_softmax(const CTTensor *x, CTTensor **out) {
  return boundary([&] { give(out, at::softmax(x->value, -1)); });
}
int32_t ct_argmax(const CTTensor *x, CTTensor **out) {
  return boundary([&] { give(out, at::argmax(x->value, 1)); });
}

// ---- Gradients

int32_t ct_gradients(const CTTensor *loss, const CTTensor *const *parameters, int32_t count, CTTensor **out) {
  return boundary([&] {
    require(loss->value.numel() == 1,
            "gradients need a scalar loss, not one of shape " + ctorch::describe(loss->value));
    auto results = torch::autograd::grad({loss->value}, values_of(parameters, count), {}, false, false, true);
    std::vector<std::unique_ptr<CTTensor>> handles(count);
    for (int32_t i = 0; i < count; ++i) {
      if (results[i].defined()) handles[i].reset(new CTTensor{std::move(results[i])});
    }
    for (int32_t i = 0; i < count; ++i) out[i] = handles[i].release();
  });
}

int32_t ct_accumulate(CTTensor *destination, const CTTensor *source, double factor) {
  return boundary([&] {
    require(destination->value.sizes() == source->value.sizes(),
            "a tensor of shape " + ctorch::describe(source->value) + " cannot be added to one of shape " +
                ctorch::describe(destination->value));
    at::NoGradGuard guard;
    destination->value.add_(source->value, factor);
  });
}
