// What libFuzzer offers to a program with a `main` of its own.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// Fuzzes until the options say that it is enough; returns an exit status.
int LLVMFuzzerRunDriver(int *count, char ***words, int (*callback)(const uint8_t *bytes, size_t size));
