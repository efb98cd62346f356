// What ThreadSanitizer has to be told of Swift's libraries for Linux, which are not compiled for it. Linked into the tests of
// `make sanitize` only; there it stands before the libraries' own functions.
//
// dispatch_apply, on threads that are made and joined for each call. The toolchain's libdispatch is not compiled for ThreadSanitizer, which then knows nothing of the order that the library
// makes between whoever calls and the pool's threads, and takes every block for a race. It knows pthread_create and
// pthread_join.
//
// Synchronization.Mutex: what is fast is compiled into whoever uses it, and seen; a lock that has to be waited for is taken
// in the library.
#define _GNU_SOURCE
#include "ThreadedApply.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

// The beginning of a block: its function takes the block itself, and here an index.
struct block {
  void *isa;
  int flags, reserved;
  void (*invoke)(void *, size_t);
};

struct work {
  struct block *block;
  size_t count;
  atomic_size_t next;
};

static void *serve(void *argument) {
  struct work *work = argument;
  for (;;) {
    const size_t index = atomic_fetch_add(&work->next, 1);
    if (index >= work->count) return NULL;
    work->block->invoke(work->block, index);
  }
}

__attribute__((visibility("default"))) void dispatch_apply(size_t count, void *queue, void *block) {
  (void)queue;
  struct work work = {block, count, 0};
  pthread_t threads[4];
  size_t made = 0;
  while (made < 4 && made + 1 < count && pthread_create(&threads[made], NULL, serve, &work) == 0) made++;
  serve(&work);
  for (size_t index = 0; index < made; index++) pthread_join(threads[index], NULL);
}

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define SELF __attribute__((swift_context)) void *self
#define SWIFT __attribute__((swiftcall, visibility("default")))

void __tsan_acquire(void *address);
void __tsan_release(void *address);

typedef __attribute__((swiftcall)) void lock_function(uint32_t, SELF);
typedef __attribute__((swiftcall)) void unlock_function(SELF);

SWIFT void lock_slow(uint32_t thread, SELF) __asm__(LOCK);
SWIFT void unlock_slow(SELF) __asm__(UNLOCK);

SWIFT void lock_slow(uint32_t thread, SELF) {
  ((lock_function *)dlsym(RTLD_NEXT, LOCK))(thread, self);
  __tsan_acquire(self);
}

SWIFT void unlock_slow(SELF) {
  __tsan_release(self);
  ((unlock_function *)dlsym(RTLD_NEXT, UNLOCK))(self);
}
