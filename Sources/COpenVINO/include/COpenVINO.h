// A flat C surface over OpenVINO's C API, which is loaded at run time.
//
// Every function that can fail returns 0 on success and another number on failure; then sov_message() tells why, and the
// out-parameters are untouched. Nothing here throws, prints or ends the process.

#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  SOV_OK = 0,
  // The library is not there or cannot be loaded.
  SOV_NO_LIBRARY = 1,
  // It is there, and lacks functions that this program needs.
  SOV_WRONG_VERSION = 2,
  // The runtime refused; the message is in its words.
  SOV_REFUSED = 3,
  // A model whose inputs or outputs this surface does not serve.
  SOV_UNSUPPORTED = 4,
};

// A model as it was read, not compiled yet. Owned by the caller; freed by sov_model_free.
typedef struct sov_model sov_model;
// The model compiled for a number of images, with memory for the inputs and outputs of one call. Owned by the caller;
// freed by sov_request_free, before or after its model.
typedef struct sov_request sov_request;

// The element types that are served.
typedef enum {
  SOV_OTHER = 0,
  SOV_FLOAT = 1,
  SOV_UINT8 = 2,
  SOV_INT8 = 3,
  SOV_INT32 = 6,
  SOV_INT64 = 7,
} sov_type;

typedef struct {
  // Belongs to the model.
  const char *name;
  sov_type type;
  int32_t rank;
  // -1 where the model leaves a dimension open.
  int64_t shape[8];
} sov_tensor;

// Why the last call on this thread failed. Valid until the next call on this thread.
const char *sov_message(void);

// Loads the library, once a process; later calls with the same path do nothing.
int32_t sov_load(const char *path);

// The loaded library's version, such as "2026.4.1", or NULL. Never freed.
const char *sov_version(void);

// Reads an ONNX model in memory, which is not needed afterwards.
int32_t sov_model_create(const void *bytes, size_t count, sov_model **model);
void sov_model_free(sov_model *model);
int32_t sov_model_input_count(const sov_model *model);
int32_t sov_model_output_count(const sov_model *model);
// The input or output of an index.
sov_tensor sov_model_input(const sov_model *model, int32_t index);
sov_tensor sov_model_output(const sov_model *model, int32_t index);

// Compiles the model for `images` images a call and that many threads, in single precision where it is not integer. An
// open first dimension becomes `images`; other open ones are refused.
int32_t sov_request_create(const sov_model *model, int64_t images, int32_t threads, sov_request **request);
void sov_request_free(sov_request *request);
// The memory of an input or output, owned by the request, and its size in bytes; zeroed at first.
void *sov_request_input(sov_request *request, int32_t index, size_t *bytes);
const void *sov_request_output(const sov_request *request, int32_t index, size_t *bytes);

// Runs the model once on what the inputs hold.
int32_t sov_request_run(sov_request *request);
// Runs it `count` times and writes the nanoseconds of each run. Nothing is allocated here in between.
int32_t sov_request_time(sov_request *request, int64_t count, uint64_t *nanoseconds);

#ifdef __cplusplus
}
#endif
