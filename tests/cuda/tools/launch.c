// The driver's modules, launches and graphs. A kernel that NVRTC compiled is counted; one that the emulator's NVRTC made
// (`nvrtc.cpp`: its image begins with a line that names a library) is run.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "driver.h"

struct kernel { char name[200]; void *library; };
struct module { char kept[600]; void *library; };

Result cuModuleLoadData(void **module, const void *image) {
    struct module *made = calloc(1, sizeof *made);
    int emulated = sscanf(image, "// emulated %599[^\n]", made->kept) == 1;
    if (!emulated && sscanf(image, "// kept %599[^\n]", made->kept) != 1) strcpy(made->kept, "-");
    if (emulated && !(made->library = dlopen(made->kept, RTLD_NOW | RTLD_LOCAL)))
        return fprintf(stderr, "%s\n", dlerror()), free(made), INVALID_IMAGE;
    return *module = made, SUCCESS;
}

Result cuModuleUnload(void *module) { return free(module), SUCCESS; }

Result cuModuleGetFunction(void **function, void *from, const char *name) {
    const struct module *module = from;
    struct kernel *kernel = calloc(1, sizeof *kernel);
    snprintf(kernel->name, sizeof kernel->name, "%s", name);
    kernel->library = module->library;
    trace("kernel %s %s", name, module->kept);
    return *function = kernel, SUCCESS;
}

Result cuFuncSetAttribute(void *function, int attribute, int value) { return SUCCESS; }
Result cuFuncGetAttribute(int *value, int attribute, void *function) { return *value = 0, SUCCESS; }
Result cuTensorMapEncodeTiled(void) { return NOT_SUPPORTED; }
Result cuTensorMapEncodeIm2col(void) { return NOT_SUPPORTED; }

static Result launched(const struct kernel *kernel, struct launch launch) {
    const unsigned *g = launch.grid, *b = launch.block;
    launch.library = kernel->library;
    trace("launch %s grid %u %u %u block %u %u %u shared %u", kernel->name, g[0], g[1], g[2], b[0], b[1], b[2], launch.shared);
    return submit_launch(kernel->name, &launch), SUCCESS;
}

Result cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                      unsigned shared, void *stream, void **arguments, void **extra) {
    return launched(function, (struct launch){NULL, {gx, gy, gz}, {bx, by, bz}, shared, arguments});
}

struct config { unsigned grid[3], block[3], shared; };
Result cuLaunchKernelEx(const struct config *config, void *function, void **arguments, void **extra) {
    struct launch launch = {.shared = config->shared, .arguments = arguments};
    memcpy(launch.grid, config->grid, sizeof launch.grid);
    memcpy(launch.block, config->block, sizeof launch.block);
    return launched(function, launch);
}

// ---- graphs: what is submitted between the begin and the end of a capture is done when the graph is launched

struct node {
    struct launch launch;
    void *to;
    const void *from;
    size_t bytes; // of a copy; zero where the node is a launch
    struct node *next;
};
struct graph { struct node *first, **last; size_t nodes; int users; };
static struct graph *captured;

static void note(struct node node) {
    *captured->last = malloc(sizeof node);
    **captured->last = node;
    captured->last = &(*captured->last)->next;
    captured->nodes++;
}

void submit_copy(void *to, const void *from, size_t bytes) {
    if (captured) note((struct node){.to = to, .from = from, .bytes = bytes});
    else memcpy(to, from, bytes);
}

// Arguments are read when a kernel is captured, not when its graph runs. Only the emulator's kernels say how large theirs are.
static void **own(const struct launch *launch) {
    if (!launch->library) return NULL;
    const size_t *sizes = dlsym(launch->library, "argument_sizes"), count = *(size_t *)dlsym(launch->library, "argument_count");
    void **kept = malloc((count + 1) * sizeof *kept);
    for (size_t i = 0; i < count; i++) kept[i] = memcpy(malloc(sizes[i]), launch->arguments[i], sizes[i]);
    return kept;
}

void submit_launch(const char *name, const struct launch *launch) {
    if (captured) {
        struct node node = {.launch = *launch};
        node.launch.arguments = own(launch);
        note(node);
    } else if (launch->library) run_kernel(launch);
}

Result cuStreamBeginCapture_v2(void *stream, int mode) {
    captured = calloc(1, sizeof *captured);
    captured->last = &captured->first;
    return trace("capture begins"), SUCCESS;
}
Result cuStreamEndCapture(void *stream, void **graph) {
    *graph = captured;
    captured = NULL;
    return trace("capture ends with %zu", ((struct graph *)*graph)->nodes), SUCCESS;
}
Result cuStreamIsCapturing(void *stream, int *is) { return *is = captured != NULL, SUCCESS; }
// A graph and what was made of it are one here, and stay for the rest of the run: a test makes few.
Result cuGraphInstantiateWithFlags(void **ready, void *graph, unsigned long long flags) { return *ready = graph, SUCCESS; }
Result cuGraphUpload(void *ready, void *stream) { return SUCCESS; }
Result cuGraphDestroy(void *graph) { return SUCCESS; }
Result cuGraphExecDestroy(void *ready) { return SUCCESS; }
Result cuGraphGetNodes(void *graph, void **nodes, size_t *count) {
    size_t room = nodes ? *count : 0, i = 0;
    *count = ((struct graph *)graph)->nodes;
    for (struct node *node = ((struct graph *)graph)->first; node && i < room; node = node->next) nodes[i++] = node;
    return SUCCESS;
}
enum { KERNEL_NODE = 0, COPY_NODE = 1 };
Result cuGraphNodeGetType(void *node, int *type) { return *type = ((struct node *)node)->bytes ? COPY_NODE : KERNEL_NODE, SUCCESS; }
Result cuGraphLaunch(void *ready, void *stream) {
    const struct graph *graph = ready;
    trace("graph of %zu", graph->nodes);
    for (struct node *node = graph->first; node; node = node->next)
        if (node->bytes) memcpy(node->to, node->from, node->bytes);
        else if (node->launch.library) run_kernel(&node->launch);
    return SUCCESS;
}
