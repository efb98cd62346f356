// Processes that train together: a store to find each other by, and collectives over gloo.
//
// libtorch has gloo compiled in; `gloo-declarations` holds what its header needs to be read.
#define USE_C10D_GLOO

#include "Boundary.hpp"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <chrono>
#include <csignal>
#include <cstring>
#include <vector>

using at::Tensor;
using ctorch::boundary;
using ctorch::require;

struct CTStore {
  c10::intrusive_ptr<c10d::Store> value;
};

struct CTGroup {
  c10::intrusive_ptr<c10d::ProcessGroupGloo> value;
};

namespace {

// A connection whose other end is gone is to be an error, and not the end of this process. Python's interpreter sees to
// that, and libtorch's sockets rely on it.
void ignore_broken_pipes() {
#ifdef SIGPIPE
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  if (before != SIG_DFL && before != SIG_ERR) std::signal(SIGPIPE, before);
#endif
}

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

void sum(CTGroup *group, const Tensor &tensor) {
  std::vector<Tensor> tensors{tensor};
  group->value->allreduce(tensors)->wait();
}

void broadcast(CTGroup *group, const Tensor &tensor) {
  std::vector<Tensor> tensors{tensor};
  group->value->broadcast(tensors)->wait();
}

// All elements in one row, so that the network carries one long message and not hundreds of short ones.
Tensor row(CTTensor *const *tensors, int32_t count) {
  std::vector<Tensor> parts;
  for (int32_t i = 0; i < count; ++i) {
    if (tensors[i] == nullptr) continue;
    require(tensors[i]->value.scalar_type() == at::kFloat, "only float32 tensors go between processes");
    parts.push_back(at::reshape(tensors[i]->value, {-1}));
  }
  return parts.empty() ? Tensor() : at::cat(parts);
}

void spread(const Tensor &row, CTTensor *const *tensors, int32_t count) {
  int64_t start = 0;
  for (int32_t i = 0; i < count; ++i) {
    if (tensors[i] == nullptr) continue;
    Tensor &target = tensors[i]->value;
    target.copy_(at::reshape(at::narrow(row, 0, start, target.numel()), target.sizes()));
    start += target.numel();
  }
}

}  // namespace

int32_t ct_store_open(const char *host, int32_t port, int32_t serves, const char *prefix, double timeout_seconds,
                      CTStore **out) {
  return boundary([&] {
    require(port > 0 && port < 65536, "a port is from 1 to 65535");
    ignore_broken_pipes();
    c10d::TCPStoreOptions options;
    options.port = static_cast<uint16_t>(port);
    options.isServer = serves != 0;
    options.waitWorkers = false;
    options.timeout = milliseconds(timeout_seconds);
    c10::intrusive_ptr<c10d::Store> store = c10::make_intrusive<c10d::TCPStore>(host, options);
    *out = new CTStore{c10::make_intrusive<c10d::PrefixStore>(prefix, store)};
  });
}

void ct_store_close(CTStore *store) { delete store; }

int32_t ct_store_set(CTStore *store, const char *key, const uint8_t *bytes, int64_t count) {
  return boundary([&] { store->value->set(key, std::vector<uint8_t>(bytes, bytes + count)); });
}

int32_t ct_store_has(CTStore *store, const char *key, int32_t *there) {
  return boundary([&] { *there = store->value->check({key}); });
}

int32_t ct_store_length(CTStore *store, const char *key, int64_t *count) {
  return boundary([&] { *count = static_cast<int64_t>(store->value->get(key).size()); });
}

int32_t ct_store_get(CTStore *store, const char *key, uint8_t *bytes, int64_t count) {
  return boundary([&] {
    const std::vector<uint8_t> value = store->value->get(key);
    require(static_cast<int64_t>(value.size()) == count, "the value has another length");
    if (count > 0) std::memcpy(bytes, value.data(), value.size());
  });
}

int32_t ct_group_join(CTStore *store, int32_t rank, int32_t size, const char *address, double timeout_seconds,
                      CTGroup **out) {
  return boundary([&] {
    require(size > 0 && rank >= 0 && rank < size, "a rank is from 0 to one below the number of processes");
    const auto timeout = milliseconds(timeout_seconds);
    auto options = c10d::ProcessGroupGloo::Options::create_default(timeout);
    if (address != nullptr) options->devices = {c10d::ProcessGroupGloo::createDeviceForHostname(address)};
    *out = new CTGroup{c10::make_intrusive<c10d::ProcessGroupGloo>(store->value, rank, size, options)};
  });
}

void ct_group_leave(CTGroup *group) { delete group; }

int32_t ct_group_sum(CTGroup *group, CTTensor *const *tensors, int32_t count) {
  return boundary([&] {
    at::NoGradGuard guard;
    const Tensor all = row(tensors, count);
    if (!all.defined()) return;
    sum(group, all);
    spread(all, tensors, count);
  });
}

int32_t ct_group_sum_doubles(CTGroup *group, double *values, int64_t count) {
  return boundary([&] {
    sum(group, at::from_blob(values, {count}, at::TensorOptions().dtype(at::kDouble)));
  });
}

int32_t ct_group_broadcast(CTGroup *group, CTTensor *const *tensors, int32_t count) {
  return boundary([&] {
    at::NoGradGuard guard;
    const Tensor all = row(tensors, count);
    if (!all.defined()) return;
    broadcast(group, all);
    spread(all, tensors, count);
  });
}

int32_t ct_group_broadcast_bytes(CTGroup *group, uint8_t *bytes, int64_t count) {
  return boundary([&] {
    if (count > 0) broadcast(group, at::from_blob(bytes, {count}, at::TensorOptions().dtype(at::kByte)));
  });
}
