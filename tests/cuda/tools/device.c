// A CUDA driver without a GPU: what it says about the device, its contexts, streams, events and memory. Memory is the
// host's and copies are real. `launch.c` has the kernels; docs/gpu.md says what this is for.
//
// TEST_CUDA_TRACE names the file that gets a line for every call that counts.
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "driver.h"

// An H100, as far as anybody asks.
#define NAME "NVIDIA H100 80GB HBM3 (not there)"
#define MEMORY ((size_t)80 << 30)
#define VERSION 13000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *file;

__attribute__((constructor)) static void open_trace(void) {
    const char *path = getenv("TEST_CUDA_TRACE");
    if (path && *path && (file = fopen(path, "a"))) setvbuf(file, NULL, _IOLBF, 1 << 12);
}

void trace(const char *format, ...) {
    if (!file) return;
    va_list values;
    va_start(values, format);
    pthread_mutex_lock(&lock);
    vfprintf(file, format, values);
    fputc('\n', file);
    pthread_mutex_unlock(&lock);
    va_end(values);
}

// ---- the device

Result cuInit(unsigned flags) { return SUCCESS; }
Result cuDriverGetVersion(int *version) { return *version = VERSION, SUCCESS; }
Result cuDeviceGetCount(int *count) { return *count = 1, SUCCESS; }
Result cuDeviceGet(int *device, int index) { return *device = index, index ? 101 : SUCCESS; }
Result cuDeviceGetName(char *name, int size, int device) { return snprintf(name, size, NAME), SUCCESS; }
Result cuDeviceGetUuid_v2(char *uuid, int device) { return memset(uuid, 1, 16), SUCCESS; }
Result cuDeviceGetUuid(char *uuid, int device) { return memset(uuid, 1, 16), SUCCESS; }
Result cuDeviceGetPCIBusId(char *id, int size, int device) { return snprintf(id, size, "0000:01:00.0"), SUCCESS; }
Result cuDeviceTotalMem_v2(size_t *bytes, int device) { return *bytes = MEMORY, SUCCESS; }
Result cuDeviceCanAccessPeer(int *can, int a, int b) { return *can = 0, SUCCESS; }

Result cuDeviceGetAttribute(int *value, int attribute, int device) {
    // CUdevice_attribute, and an H100's answer.
    static const int answers[][2] = {
        {1, 1024},      // threads in a block
        {2, 1024},      {3, 1024},  {4, 64}, // ... along x, y, z
        {5, 2147483647}, {6, 65535}, {7, 65535}, // blocks along x, y, z
        {8, 49152},     // shared memory of a block, in bytes
        {9, 65536},     // constant memory
        {10, 32},       // threads in a warp
        {12, 65536},    // registers of a block
        {13, 1980000},  // kHz
        {16, 132},      // multiprocessors
        {36, 2619000},  // kHz of the memory
        {37, 5120},     // width of the memory's bus
        {38, 50 << 20}, // second-level cache
        {39, 2048},     // threads of a multiprocessor
        {75, 9},        {76, 0}, // compute capability
        {81, 233472},   // shared memory of a multiprocessor
        {82, 65536},    // registers of a multiprocessor
        {97, 232448},   // shared memory of a block that asks for it
    };
    *value = 1; // whether there is a feature
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (answers[i][0] == attribute) *value = answers[i][1];
    return SUCCESS;
}

Result cuGetErrorName(int error, const char **name) { return *name = "ERROR_OF_THE_TEST_DRIVER", SUCCESS; }
Result cuGetErrorString(int error, const char **text) { return *text = "the driver without a GPU refused", SUCCESS; }
// NVRTC looks for tables of the driver, and works on without them.
Result cuGetExportTable(const void **table, const void *id) { return *table = NULL, NOT_FOUND; }

// ---- contexts, streams, events: everything is done when it is asked for

static char context;
static __thread void *current;
Result cuDevicePrimaryCtxRetain(void **ctx, int device) { return *ctx = &context, SUCCESS; }
Result cuDevicePrimaryCtxRelease_v2(int device) { return SUCCESS; }
Result cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) { return *flags = 0, *active = 1, SUCCESS; }
Result cuCtxSetCurrent(void *ctx) { return current = ctx, SUCCESS; }
Result cuCtxGetCurrent(void **ctx) { return *ctx = current, SUCCESS; }
Result cuCtxGetDevice(int *device) { return *device = 0, SUCCESS; }
Result cuCtxSynchronize(void) { return trace("sync context"), SUCCESS; }
Result cuCtxEnablePeerAccess(void *ctx, unsigned flags) { return NOT_SUPPORTED; }
Result cuCtxGetStreamPriorityRange(int *least, int *greatest) { return *least = *greatest = 0, SUCCESS; }
Result cuStreamCreate(void **stream, unsigned flags) { return (*stream = malloc(1)) ? SUCCESS : OUT_OF_MEMORY; }
Result cuStreamCreateWithPriority(void **stream, unsigned flags, int priority) { return cuStreamCreate(stream, flags); }
Result cuStreamDestroy_v2(void *stream) { return free(stream), SUCCESS; }
Result cuStreamSynchronize(void *stream) { return trace("sync stream"), SUCCESS; }
Result cuStreamQuery(void *stream) { return SUCCESS; }

static int recorded;
struct event { int number; void *stream; };
Result cuEventCreate(void **event, unsigned flags) { return (*event = calloc(1, sizeof(struct event))) ? SUCCESS : OUT_OF_MEMORY; }
Result cuEventDestroy_v2(void *event) { return free(event), SUCCESS; }
Result cuEventRecord(void *event, void *stream) {
    return *(struct event *)event = (struct event){__atomic_add_fetch(&recorded, 1, 0), stream}, SUCCESS;
}
Result cuStreamWaitEvent(void *stream, void *event, unsigned flags) {
    return trace("wait stream %p for %p", stream, ((struct event *)event)->stream), SUCCESS;
}
Result cuEventQuery(void *event) { return SUCCESS; }
Result cuEventSynchronize(void *event) { return trace("sync event"), SUCCESS; }
// No time passes; a later event is a little later.
Result cuEventElapsedTime(float *ms, void *a, void *b) {
    return *ms = 1e-3f * (((struct event *)b)->number - ((struct event *)a)->number), SUCCESS;
}
Result cuEventElapsedTime_v2(float *ms, void *a, void *b) { return cuEventElapsedTime(ms, a, b); }

// ---- memory: pages of zeros that cost nothing until they are written. The first says how many there are.

#define HEAD 4096
static size_t allocated, peak;

Result cuMemAlloc_v2(Address *address, size_t bytes) {
    if (__atomic_load_n(&allocated, 0) + bytes > MEMORY) return OUT_OF_MEMORY;
    char *pages = mmap(NULL, HEAD + bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) return OUT_OF_MEMORY;
    *(size_t *)pages = bytes;
    *address = (Address)(uintptr_t)(pages + HEAD);
    size_t now = __atomic_add_fetch(&allocated, bytes, 0);
    if (now > peak) peak = now;
    trace("alloc %zu now %zu peak %zu", bytes, now, peak);
    return SUCCESS;
}

Result cuMemFree_v2(Address address) {
    char *pages = (char *)(uintptr_t)address - HEAD;
    size_t bytes = *(size_t *)pages;
    trace("free %zu now %zu", bytes, __atomic_sub_fetch(&allocated, bytes, 0));
    return munmap(pages, HEAD + bytes) ? INVALID_HANDLE : SUCCESS;
}

Result cuMemAllocAsync(Address *address, size_t bytes, void *stream) { return cuMemAlloc_v2(address, bytes); }
Result cuMemFreeAsync(Address address, void *stream) { return cuMemFree_v2(address); }
Result cuMemGetInfo_v2(size_t *available, size_t *total) { return *available = MEMORY - allocated, *total = MEMORY, SUCCESS; }
Result cuMemAllocHost_v2(void **to, size_t bytes) {
    trace("pinned %zu", bytes);
    return posix_memalign(to, 512, bytes ? bytes : 1) ? OUT_OF_MEMORY : SUCCESS;
}
Result cuMemHostAlloc(void **to, size_t bytes, unsigned flags) { return cuMemAllocHost_v2(to, bytes); }
Result cuMemFreeHost(void *pointer) { return free(pointer), SUCCESS; }

Result cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes, void *stream) {
    trace("upload %zu", bytes);
    return submit_copy((void *)(uintptr_t)to, from, bytes), SUCCESS;
}
Result cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes, void *stream) {
    trace("read %zu", bytes);
    return submit_copy(to, (void *)(uintptr_t)from, bytes), SUCCESS;
}
Result cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void *stream) {
    trace("copy %zu", bytes);
    return submit_copy((void *)(uintptr_t)to, (void *)(uintptr_t)from, bytes), SUCCESS;
}
Result cuMemsetD8Async(Address to, unsigned char value, size_t bytes, void *stream) {
    trace("set %zu", bytes);
    return memset((void *)(uintptr_t)to, value, bytes), SUCCESS;
}

// CUDA_MEMCPY2D: rows of `width` bytes.
struct side { size_t x, y; int kind; void *host; Address device; void *array; size_t pitch; };
struct copy2d { struct side from, to; size_t width, height; };
enum { HOST = 1 };

static char *row(const struct side *side, size_t y) {
    char *base = side->kind == HOST ? side->host : (char *)(uintptr_t)side->device;
    return base + (side->y + y) * side->pitch + side->x;
}
Result cuMemcpy2DAsync_v2(const struct copy2d *copy, void *stream) {
    trace("%s %zu", copy->from.kind == HOST ? "upload" : copy->to.kind == HOST ? "read" : "copy", copy->width * copy->height);
    for (size_t y = 0; y < copy->height; y++) submit_copy(row(&copy->to, y), row(&copy->from, y), copy->width);
    return SUCCESS;
}
