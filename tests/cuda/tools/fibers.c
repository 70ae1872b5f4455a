// Runs a kernel that the emulator compiled, one block after the other. Where no thread of a kernel waits for another,
// each is a plain call. Where they wait (barriers, shuffles, tensor cores), each thread of the block is a fiber with a
// stack of its own, and waiting hands over to the next.
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "driver.h"

#define THREADS 1024
#define STACK ((size_t)1 << 18)
#define WARP 32
enum { READY, WAITS_FOR_WARP, WAITS_FOR_BLOCK, DONE }; // the middle two as device.hpp numbers them

static struct fiber { jmp_buf at; int state, born; } fibers[THREADS];
static char *stacks;
static jmp_buf home;
static int running;
static void (*entry)(void **);
static void **arguments;

static void wait_for(int whom) {
    struct fiber *self = &fibers[running];
    self->state = whom;
    if (!_setjmp(self->at)) _longjmp(home, 1);
}

// A fiber is born once, and then lives one thread after the other.
static void live(void) {
    for (;;) {
        entry(arguments);
        wait_for(DONE);
    }
}

static void go_on(int thread) {
    static ucontext_t unused;
    struct fiber *fiber = &fibers[running = thread];
    if (_setjmp(home)) return;
    if (fiber->born) _longjmp(fiber->at, 1);
    fiber->born = 1;
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = stacks + STACK * thread;
    context.uc_stack.ss_size = STACK;
    makecontext(&context, live, 0);
    swapcontext(&unused, &context);
}

// A warp goes on when none of its threads is left that could still come.
static int release_warps(int threads) {
    int released = 0;
    for (int first = 0; first < threads; first += WARP) {
        int end = first + WARP < threads ? first + WARP : threads, waiting = 0, ready = 0;
        for (int i = first; i < end; i++) waiting += fibers[i].state == WAITS_FOR_WARP, ready += fibers[i].state == READY;
        if (!waiting || ready) continue;
        for (int i = first; i < end; i++)
            if (fibers[i].state == WAITS_FOR_WARP) fibers[i].state = READY, released++;
    }
    return released;
}

static int release_block(int threads) {
    int released = 0;
    for (int i = 0; i < threads; i++)
        if (fibers[i].state == WAITS_FOR_BLOCK) fibers[i].state = READY, released++;
    return released;
}

static void run_block(int threads, const unsigned *block, unsigned *thread) {
    for (int i = 0; i < threads; i++) fibers[i].state = READY;
    do {
        for (int i = 0; i < threads; i++) {
            if (fibers[i].state != READY) continue;
            thread[0] = i % block[0], thread[1] = i / block[0] % block[1], thread[2] = i / (block[0] * block[1]);
            go_on(i);
        }
    } while (release_warps(threads) || release_block(threads));
}

void run_kernel(const struct launch *launch) {
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&one);
    void *library = launch->library;
    const unsigned *grid = launch->grid, *block = launch->block;
    const int threads = block[0] * block[1] * block[2], waits = *(int *)dlsym(library, "threads_wait");
    unsigned *at = dlsym(library, "blockIdx");
    void (*all)(void **) = (void (*)(void **))dlsym(library, "run_block");
    char *shared = launch->shared ? aligned_alloc(128, (launch->shared + 127) / 128 * 128) : NULL;
    if (!stacks) stacks = mmap(NULL, STACK * THREADS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (threads > THREADS || stacks == MAP_FAILED) fprintf(stderr, "a block of %d threads cannot be run\n", threads), abort();
    memcpy(dlsym(library, "blockDim"), block, sizeof launch->block);
    memcpy(dlsym(library, "gridDim"), grid, sizeof launch->grid);
    *(void **)dlsym(library, "wait_for") = (void *)wait_for;
    *(char **)dlsym(library, "shared_memory") = shared;
    entry = (void (*)(void **))dlsym(library, "run_thread");
    arguments = launch->arguments;
    for (at[2] = 0; at[2] < grid[2]; at[2]++)
        for (at[1] = 0; at[1] < grid[1]; at[1]++)
            for (at[0] = 0; at[0] < grid[0]; at[0]++) {
                // What nobody wrote is not a number.
                if (shared) memset(shared, 0xff, launch->shared);
                if (waits) run_block(threads, block, dlsym(library, "threadIdx"));
                else all(arguments);
            }
    free(shared);
    pthread_mutex_unlock(&one);
}
