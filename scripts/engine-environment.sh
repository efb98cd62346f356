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
