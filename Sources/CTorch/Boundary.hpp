// What every file of the shim shares: the handle, and the one place where C++ exceptions end.
#pragma once

#include "CTorch.h"

#include <ATen/core/Tensor.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

struct CTTensor {
  at::Tensor value;
};

namespace ctorch {

// Remembers the message for ct_last_error and returns the status.
int32_t fail(int32_t status, const char *message) noexcept;

// Hands a tensor to the caller.
inline void give(CTTensor **out, at::Tensor value) { *out = new CTTensor{std::move(value)}; }

inline void require(bool condition, const std::string &message) {
  if (!condition) throw std::invalid_argument(message);
}

inline std::string describe(const at::Tensor &tensor) {
  std::string text = "[";
  for (int64_t i = 0; i < tensor.dim(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(tensor.size(i));
  }
  return text + "]";
}

// A dense tensor in one of the two memory orders the kernels walk: itself if it is dense already.
inline at::Tensor dense(const at::Tensor &tensor) {
  if (tensor.is_contiguous()) return tensor;
  if (tensor.dim() == 4 && tensor.is_contiguous(at::MemoryFormat::ChannelsLast)) return tensor;
  return tensor.dim() == 4 && tensor.suggest_memory_format() == at::MemoryFormat::ChannelsLast
             ? tensor.contiguous(at::MemoryFormat::ChannelsLast)
             : tensor.contiguous();
}

// `tensor` with the same strides as `model`, a dense tensor of the same shape.
inline at::Tensor ordered_like(const at::Tensor &tensor, const at::Tensor &model) {
  if (tensor.strides() == model.strides()) return tensor;
  return tensor.contiguous(model.is_contiguous() ? at::MemoryFormat::Contiguous : at::MemoryFormat::ChannelsLast);
}

// Remembers what libtorch threw. Its allocator has no exception type of its own: memory that ran out is told in words.
inline int32_t fail_with(const char *message) noexcept {
  if (std::strstr(message, "could not create a primitive") != nullptr)
    return fail(CT_OUT_OF_MEMORY, "there is not enough memory for a kernel's code");
  const char *request = std::strstr(message, "you tried to allocate ");
  if (request == nullptr) return fail(CT_FAILED, message);
  char words[128];
  const unsigned long long bytes = std::strtoull(request + std::strlen("you tried to allocate "), nullptr, 10);
  std::snprintf(words, sizeof words, "there is not enough memory: %.1f MB were asked for", double(bytes) / 1e6);
  return fail(CT_OUT_OF_MEMORY, words);
}

// The exception boundary: the body either returns normally or becomes a status and a message.
template <typename Body>
int32_t boundary(Body body) noexcept {
  try {
    body();
    return CT_OK;
  } catch (const c10::Error &error) {
    return fail_with(error.what_without_backtrace());
  } catch (const std::invalid_argument &error) {
    return fail(CT_BAD_ARGUMENT, error.what());
  } catch (const std::bad_alloc &) {
    return fail(CT_OUT_OF_MEMORY, "there is not enough memory");
  } catch (const std::exception &error) {
    return fail_with(error.what());
  } catch (...) {
    return fail(CT_FAILED, "an unknown C++ exception was thrown");
  }
}

// The value of a line, before it is rounded.
inline __attribute__((always_inline)) float along(const CTLine &line, float value) {
#pragma clang fp contract(off)
  return line.is_fused ? __builtin_fmaf(value, line.factor, line.offset) : value * line.factor + line.offset;
}

}  // namespace ctorch

// Kernels are compiled for several instruction sets and the loader picks the best one.
#if defined(__x86_64__) && defined(__linux__) && defined(__clang__)
#define CT_VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CT_VECTORISED
#endif
