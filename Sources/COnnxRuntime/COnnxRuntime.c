#include "COnnxRuntime.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <onnxruntime_c_api.h>

enum { maximum_rank = 8, maximum_tensors = 16 };

// A model of a stranger may announce any size; memory is not taken for more than this.
static const size_t maximum_elements_per_image = (size_t)1 << 31;
static const size_t maximum_bytes = (size_t)4 << 30;

struct seo_session {
  OrtSession *session;
  int32_t input_count;
  int32_t output_count;
  seo_tensor inputs[maximum_tensors];
  seo_tensor outputs[maximum_tensors];
};

struct seo_binding {
  seo_session *session;
  void *input_memory[maximum_tensors];
  void *output_memory[maximum_tensors];
  size_t input_bytes[maximum_tensors];
  size_t output_bytes[maximum_tensors];
  OrtValue *inputs[maximum_tensors];
  OrtValue *outputs[maximum_tensors];
  const char *input_names[maximum_tensors];
  const char *output_names[maximum_tensors];
};

// MARK: Messages

static _Thread_local char message[2048];

const char *seo_message(void) { return message; }

static int32_t fail(int32_t code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return code;
}

// MARK: The library

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static const OrtApi *api;
static OrtEnv *environment;
static OrtMemoryInfo *memory;
static const char *version;
static char loaded_path[4096];

// Turns a status into a code and a message, and frees it.
static int32_t check(OrtStatus *status) {
  if (status == NULL) return SEO_OK;
  fail(SEO_REFUSED, "%s", api->GetErrorMessage(status));
  api->ReleaseStatus(status);
  return SEO_REFUSED;
}

static int32_t load(const char *path) {
  if (api != NULL && strcmp(path, loaded_path) == 0) return SEO_OK;
  // Its symbols stay out of the way of the other engines'.
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) return fail(SEO_NO_LIBRARY, "%s", dlerror());
  const OrtApiBase *(*base)(void) = (const OrtApiBase *(*)(void))dlsym(handle, "OrtGetApiBase");
  if (base == NULL) {
    dlclose(handle);
    return fail(SEO_NO_LIBRARY, "%s is not ONNX Runtime: it has no OrtGetApiBase", path);
  }
  if (api != NULL) {
    int32_t code = fail(SEO_NO_LIBRARY, "this process already uses the ONNX Runtime of %s", loaded_path);
    dlclose(handle);
    return code;
  }
  const char *found = base()->GetVersionString();
  // A version that lacks our interface says so on standard error too; that is the library's doing.
  const OrtApi *candidate = base()->GetApi(ORT_API_VERSION);
  if (candidate == NULL) {
    int32_t code = fail(
        SEO_WRONG_VERSION, "%s is ONNX Runtime %s, which lacks interface %d (version 1.%d or newer has it)", path,
        found, ORT_API_VERSION, ORT_API_VERSION);
    dlclose(handle);
    return code;
  }
  api = candidate;
  OrtEnv *created = NULL;
  int32_t code = check(api->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "spaceevo", &created));
  if (code == SEO_OK) code = check(api->DisableTelemetryEvents(created));
  if (code == SEO_OK) code = check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
  if (code != SEO_OK) {
    if (created != NULL) api->ReleaseEnv(created);
    api = NULL;
    return code;
  }
  environment = created;
  version = found;
  snprintf(loaded_path, sizeof loaded_path, "%s", path);
  return SEO_OK;
}

int32_t seo_load(const char *path) {
  pthread_mutex_lock(&loading);
  int32_t code = load(path);
  pthread_mutex_unlock(&loading);
  return code;
}

const char *seo_version(void) { return version; }

// MARK: Sessions

static seo_type served(ONNXTensorElementDataType type) {
  switch (type) {
  case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: return SEO_FLOAT;
  case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8: return SEO_UINT8;
  case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8: return SEO_INT8;
  case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32: return SEO_INT32;
  case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: return SEO_INT64;
  default: return SEO_OTHER;
  }
}

static size_t element_size(seo_type type) {
  switch (type) {
  case SEO_FLOAT: case SEO_INT32: return 4;
  case SEO_UINT8: case SEO_INT8: return 1;
  case SEO_INT64: return 8;
  default: return 0;
  }
}

// Describes a tensor; its name is copied, since the runtime's copy belongs to its allocator.
static int32_t describe(const char *name, const OrtTypeInfo *information, seo_tensor *tensor) {
  const OrtTensorTypeAndShapeInfo *shape = NULL;
  int32_t code = check(api->CastTypeInfoToTensorInfo(information, &shape));
  if (code != SEO_OK) return code;
  if (shape == NULL) return fail(SEO_UNSUPPORTED, "\"%s\" is no tensor", name);
  ONNXTensorElementDataType type;
  size_t rank = 0;
  code = check(api->GetTensorElementType(shape, &type));
  if (code == SEO_OK) code = check(api->GetDimensionsCount(shape, &rank));
  if (code != SEO_OK) return code;
  if (rank > maximum_rank) return fail(SEO_UNSUPPORTED, "\"%s\" has %zu dimensions; at most 8 are served", name, rank);
  tensor->type = served(type);
  if (tensor->type == SEO_OTHER)
    return fail(SEO_UNSUPPORTED, "\"%s\" has elements of ONNX type %d; float, uint8, int8, int32 and int64 are served",
                name, (int)type);
  tensor->rank = (int32_t)rank;
  code = check(api->GetDimensions(shape, tensor->shape, rank));
  if (code != SEO_OK) return code;
  size_t elements = 1;
  for (size_t axis = 1; axis < rank; axis++)
    if (tensor->shape[axis] > 0 && (__builtin_mul_overflow(elements, (size_t)tensor->shape[axis], &elements) ||
                                    elements > maximum_elements_per_image))
      return fail(SEO_UNSUPPORTED, "\"%s\" has more than %zu elements an image", name, maximum_elements_per_image);
  tensor->name = strdup(name);
  return tensor->name == NULL ? fail(SEO_REFUSED, "out of memory") : SEO_OK;
}

typedef OrtStatus *(ORT_API_CALL *name_getter)(const OrtSession *, size_t, OrtAllocator *, char **);
typedef OrtStatus *(ORT_API_CALL *type_getter)(const OrtSession *, size_t, OrtTypeInfo **);

static int32_t describe_all(
    OrtSession *session, size_t count, name_getter get_name, type_getter get_type, int32_t *done, seo_tensor *tensors) {
  if (count > maximum_tensors)
    return fail(SEO_UNSUPPORTED, "the model has %zu inputs or outputs; at most %d are served", count, maximum_tensors);
  OrtAllocator *allocator = NULL;
  int32_t code = check(api->GetAllocatorWithDefaultOptions(&allocator));
  for (size_t index = 0; code == SEO_OK && index < count; index++) {
    char *name = NULL;
    OrtTypeInfo *information = NULL;
    code = check(get_name(session, index, allocator, &name));
    if (code == SEO_OK) code = check(get_type(session, index, &information));
    if (code == SEO_OK) code = describe(name, information, &tensors[index]);
    if (code == SEO_OK) *done += 1;
    if (information != NULL) api->ReleaseTypeInfo(information);
    if (name != NULL) allocator->Free(allocator, name);
  }
  return code;
}

static int32_t configure(OrtSessionOptions *configuration, const seo_options *options) {
  int32_t code = check(api->SetIntraOpNumThreads(configuration, options->threads));
  if (code == SEO_OK) code = check(api->SetInterOpNumThreads(configuration, 1));
  if (code == SEO_OK) code = check(api->SetSessionExecutionMode(configuration, ORT_SEQUENTIAL));
  if (code == SEO_OK) code = check(api->SetSessionGraphOptimizationLevel(configuration, ORT_ENABLE_ALL));
  if (code == SEO_OK) code = check(api->SetSessionLogSeverityLevel(configuration, ORT_LOGGING_LEVEL_FATAL));
  if (code == SEO_OK && options->images > 0)
    code = check(api->AddFreeDimensionOverrideByName(configuration, "N", options->images));
  if (code == SEO_OK && options->optimized_path != NULL)
    code = check(api->SetOptimizedModelFilePath(configuration, options->optimized_path));
  return code;
}

int32_t seo_session_create(const void *bytes, size_t count, const seo_options *options, seo_session **session) {
  if (api == NULL) return fail(SEO_NO_LIBRARY, "ONNX Runtime has not been loaded");
  seo_session *created = calloc(1, sizeof *created);
  if (created == NULL) return fail(SEO_REFUSED, "out of memory");
  OrtSessionOptions *configuration = NULL;
  int32_t code = check(api->CreateSessionOptions(&configuration));
  if (code == SEO_OK) code = configure(configuration, options);
  if (code == SEO_OK)
    code = check(api->CreateSessionFromArray(environment, bytes, count, configuration, &created->session));
  if (configuration != NULL) api->ReleaseSessionOptions(configuration);
  size_t inputs = 0, outputs = 0;
  if (code == SEO_OK) code = check(api->SessionGetInputCount(created->session, &inputs));
  if (code == SEO_OK) code = check(api->SessionGetOutputCount(created->session, &outputs));
  if (code == SEO_OK)
    code = describe_all(
        created->session, inputs, api->SessionGetInputName, api->SessionGetInputTypeInfo, &created->input_count,
        created->inputs);
  if (code == SEO_OK)
    code = describe_all(
        created->session, outputs, api->SessionGetOutputName, api->SessionGetOutputTypeInfo, &created->output_count,
        created->outputs);
  if (code != SEO_OK) {
    seo_session_free(created);
    return code;
  }
  *session = created;
  return SEO_OK;
}

void seo_session_free(seo_session *session) {
  if (session == NULL) return;
  if (session->session != NULL) api->ReleaseSession(session->session);
  for (int32_t index = 0; index < session->input_count; index++) free((void *)session->inputs[index].name);
  for (int32_t index = 0; index < session->output_count; index++) free((void *)session->outputs[index].name);
  free(session);
}

int32_t seo_session_input_count(const seo_session *session) { return session->input_count; }
int32_t seo_session_output_count(const seo_session *session) { return session->output_count; }
seo_tensor seo_session_input(const seo_session *session, int32_t index) { return session->inputs[index]; }
seo_tensor seo_session_output(const seo_session *session, int32_t index) { return session->outputs[index]; }

// MARK: Bindings

static int32_t bind(const seo_tensor *tensor, int64_t images, void **memory_out, size_t *bytes, OrtValue **value) {
  int64_t shape[maximum_rank];
  size_t size = element_size(tensor->type);
  for (int32_t axis = 0; axis < tensor->rank; axis++) {
    shape[axis] = tensor->shape[axis];
    if (shape[axis] < 0 && axis == 0) shape[axis] = images;
    if (shape[axis] <= 0)
      return fail(
          SEO_UNSUPPORTED,
          "\"%s\" leaves its dimension %d open; only the first, the number of images, may be: export the model with fixed "
          "shapes",
          tensor->name, axis);
    if (__builtin_mul_overflow(size, (size_t)shape[axis], &size) || size > maximum_bytes)
      return fail(SEO_UNSUPPORTED, "\"%s\" takes more than %zu bytes a call", tensor->name, maximum_bytes);
  }
  // A cache line's alignment, so that a measurement does not depend on where malloc puts the tensor.
  void *block = NULL;
  if (posix_memalign(&block, 64, size < 64 ? 64 : size) != 0) return fail(SEO_REFUSED, "out of memory");
  memset(block, 0, size);
  *memory_out = block;
  *bytes = size;
  return check(api->CreateTensorWithDataAsOrtValue(
      memory, block, size, shape, (size_t)tensor->rank, (ONNXTensorElementDataType)tensor->type, value));
}

int32_t seo_binding_create(seo_session *session, int64_t images, seo_binding **binding) {
  if (images <= 0) return fail(SEO_UNSUPPORTED, "a call needs at least one image");
  seo_binding *created = calloc(1, sizeof *created);
  if (created == NULL) return fail(SEO_REFUSED, "out of memory");
  created->session = session;
  int32_t code = SEO_OK;
  for (int32_t index = 0; code == SEO_OK && index < session->input_count; index++) {
    created->input_names[index] = session->inputs[index].name;
    code = bind(&session->inputs[index], images, &created->input_memory[index], &created->input_bytes[index],
                &created->inputs[index]);
  }
  for (int32_t index = 0; code == SEO_OK && index < session->output_count; index++) {
    created->output_names[index] = session->outputs[index].name;
    code = bind(&session->outputs[index], images, &created->output_memory[index], &created->output_bytes[index],
                &created->outputs[index]);
  }
  if (code != SEO_OK) {
    seo_binding_free(created);
    return code;
  }
  *binding = created;
  return SEO_OK;
}

void seo_binding_free(seo_binding *binding) {
  if (binding == NULL) return;
  for (int32_t index = 0; index < maximum_tensors; index++) {
    if (binding->inputs[index] != NULL) api->ReleaseValue(binding->inputs[index]);
    if (binding->outputs[index] != NULL) api->ReleaseValue(binding->outputs[index]);
    free(binding->input_memory[index]);
    free(binding->output_memory[index]);
  }
  free(binding);
}

void *seo_binding_input(seo_binding *binding, int32_t index, size_t *bytes) {
  *bytes = binding->input_bytes[index];
  return binding->input_memory[index];
}

const void *seo_binding_output(const seo_binding *binding, int32_t index, size_t *bytes) {
  *bytes = binding->output_bytes[index];
  return binding->output_memory[index];
}

static OrtStatus *run(seo_binding *binding) {
  return api->Run(
      binding->session->session, NULL, binding->input_names, (const OrtValue *const *)binding->inputs,
      (size_t)binding->session->input_count, binding->output_names, (size_t)binding->session->output_count,
      binding->outputs);
}

int32_t seo_binding_run(seo_binding *binding) { return check(run(binding)); }

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int32_t seo_binding_time(seo_binding *binding, int64_t count, uint64_t *nanoseconds) {
  for (int64_t index = 0; index < count; index++) {
    uint64_t start = now();
    OrtStatus *status = run(binding);
    uint64_t end = now();
    if (status != NULL) return check(status);
    nanoseconds[index] = end - start;
  }
  return SEO_OK;
}
