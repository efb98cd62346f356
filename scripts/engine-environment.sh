# What the engines need in the environment before a process starts; sourced by ./spaceevo and by the Makefile.
# A value that the user has set stays. Not for compilers: the settings of malloc would only cost them memory.
# shellcheck shell=sh

# Training frees and takes the same large buffers in every step. Kept by the process in place of being handed back to the
# kernel each time, they make training about 1.6 times as fast (glibc only; ignored elsewhere).
export MALLOC_MMAP_MAX_="${MALLOC_MMAP_MAX_-0}"
export MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_-16000000000}"
export MALLOC_TOP_PAD_="${MALLOC_TOP_PAD_-268435456}"

# One thread a process, since several processes of one thread each beat one of several; and threads that wait must not
# spin, which on a busy machine costs several times the run.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY-PASSIVE}"
export OMP_NUM_THREADS="${OMP_NUM_THREADS-1}"

# Every shape of a convolution is compiled when it is first met. Elastic networks have thousands of shapes, and the cache
# holds 1,024 unless told otherwise: without this a third of a training's time goes into compiling the same code again.
export ONEDNN_PRIMITIVE_CACHE_CAPACITY="${ONEDNN_PRIMITIVE_CACHE_CAPACITY-16384}"
