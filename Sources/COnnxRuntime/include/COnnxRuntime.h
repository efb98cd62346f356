// A flat C surface over ONNX Runtime's C API, which is loaded at run time.
//
// Every function that can fail returns 0 on success and another number on failure; then seo_message() tells why, and the
// out-parameters are untouched. Nothing here throws, prints or ends the process.

#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  SEO_OK = 0,
  // The library is not there or cannot be loaded.
  SEO_NO_LIBRARY = 1,
  // It is there, and too old for the interface that this program was built with.
  SEO_WRONG_VERSION = 2,
  // The runtime refused; the message is in its words.
  SEO_REFUSED = 3,
  // A model whose inputs or outputs this surface does not serve.
  SEO_UNSUPPORTED = 4,
};

// A model, ready to run. Owned by the caller; freed by seo_session_free.
typedef struct seo_session seo_session;
// Memory for the inputs and outputs of one call, for a given number of images. Owned by the caller; freed by
// seo_binding_free, before its session.
typedef struct seo_binding seo_binding;

// The element types of ONNX that are served.
typedef enum {
  SEO_OTHER = 0,
  SEO_FLOAT = 1,
  SEO_UINT8 = 2,
  SEO_INT8 = 3,
  SEO_INT32 = 6,
  SEO_INT64 = 7,
} seo_type;

typedef struct {
  int32_t threads;
  // Fixes the dimension "N" to this number of images; 0 leaves it open.
  int32_t images;
  // Where to write the optimised model, or NULL.
  const char *optimized_path;
} seo_options;

typedef struct {
  // Belongs to the session.
  const char *name;
  seo_type type;
  int32_t rank;
  // -1 where the model leaves a dimension open.
  int64_t shape[8];
} seo_tensor;

// Why the last call on this thread failed. Valid until the next call on this thread.
const char *seo_message(void);

// Loads the library, once a process; later calls with the same path do nothing.
int32_t seo_load(const char *path);

// The loaded library's version, such as "1.32.0", or NULL. Never freed.
const char *seo_version(void);

// Builds a session from a model in memory, which is not needed afterwards.
int32_t seo_session_create(const void *bytes, size_t count, const seo_options *options, seo_session **session);
void seo_session_free(seo_session *session);
int32_t seo_session_input_count(const seo_session *session);
int32_t seo_session_output_count(const seo_session *session);
// The input or output of an index.
seo_tensor seo_session_input(const seo_session *session, int32_t index);
seo_tensor seo_session_output(const seo_session *session, int32_t index);

// Memory for `images` images, zeroed. An open first dimension becomes `images`; other open ones are refused.
int32_t seo_binding_create(seo_session *session, int64_t images, seo_binding **binding);
void seo_binding_free(seo_binding *binding);
// The memory of an input or output, owned by the binding, and its size in bytes.
void *seo_binding_input(seo_binding *binding, int32_t index, size_t *bytes);
const void *seo_binding_output(const seo_binding *binding, int32_t index, size_t *bytes);

// Runs the model once on what the inputs hold.
int32_t seo_binding_run(seo_binding *binding);
// Runs it `count` times and writes the nanoseconds of each run. Nothing is allocated here in between.
int32_t seo_binding_time(seo_binding *binding, int64_t count, uint64_t *nanoseconds);

#ifdef __cplusplus
}
#endif
