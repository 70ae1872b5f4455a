// What the files of the driver share.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef int Result; // CUresult
typedef uint64_t Address; // CUdeviceptr

enum {
    SUCCESS = 0,
    OUT_OF_MEMORY = 2,
    INVALID_IMAGE = 200,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_SUPPORTED = 801,
};

// One line of the trace: a word that says what happened, and its numbers.
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

// What one launch asks for.
struct launch {
    void *library; // of the emulator's kernel; null where the kernel is NVIDIA's, and only counted
    unsigned grid[3], block[3], shared;
    void **arguments; // one pointer for each
};

// Runs every thread of every block.
void run_kernel(const struct launch *launch);

// Does it now, or notes it while the stream is captured.
void submit_copy(void *to, const void *from, size_t bytes);
void submit_launch(const char *name, const struct launch *launch);
