// NCCL without a network of GPUs: what sida asks of it. With the null driver a sum is a line of the trace, and all ranks
// are taken to have what this one has. With the emulator it is a real one: ranks meet at the address that NCCL_COMM_ID
// says, rank 0 adds up in their order, and all are given the result. Everything is done when it is asked for, as by the
// driver. What is misused, does not match, does not come in time or goes away is an error on every rank that is there.
//
// TEST_NCCL_PATIENCE is how many seconds one waits for another.
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "driver.h"

typedef int NcclResult; // ncclResult_t
enum { NCCL_SUCCESS = 0, CUDA_ERROR = 1, SYSTEM_ERROR = 2, INVALID_ARGUMENT = 4, INVALID_USAGE = 5, REMOTE_ERROR = 6 };
enum { FLOAT = 7, SUM = 0 }; // ncclDataType_t, ncclRedOp_t
typedef struct { char text[128]; } Id; // ncclUniqueId: the address here

// Of libcuda.so.
Result cuCtxGetCurrent(void **ctx);
Result cuStreamIsCapturing(void *stream, int *is);

struct comm {
    int rank, ranks, broken;
    int *peers; // rank 0's connections to all others; another rank's to rank 0, its only one; null with the null driver
    struct comm *next;
};
static struct comm *joined;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

// What a rank says ahead of its values, or as it joins.
struct header { char what[8]; uint64_t rank, count; };

static int null_driver(void) {
    const char *compiler = getenv("TEST_CUDA_NVRTC");
    return compiler && *compiler;
}

static int patience(void) {
    const char *seconds = getenv("TEST_NCCL_PATIENCE");
    return seconds ? atoi(seconds) : 300;
}

// ---- connections

static int send_all(int to, const void *values, size_t bytes) {
    for (const char *at = values; bytes;) {
        ssize_t sent = send(to, at, bytes, MSG_NOSIGNAL);
        if (sent <= 0) return 0;
        at += sent, bytes -= sent;
    }
    return 1;
}

static int receive_all(int from, void *values, size_t bytes) {
    for (char *at = values; bytes;) {
        ssize_t received = recv(from, at, bytes, 0);
        if (received <= 0) return 0;
        at += received, bytes -= received;
    }
    return 1;
}

static void be_patient(int socket) {
    struct timeval time = {.tv_sec = patience()};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

// A socket that listens at `host:port`, or is connected to it.
static int open_at(const char *address, int listens) {
    char host[128] = "";
    const char *colon = strrchr(address, ':');
    if (!colon || (size_t)(colon - address) >= sizeof host) return -1;
    memcpy(host, address, colon - address);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, colon + 1, &hints, &found)) return -1;
    int one = 1, at = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
    setsockopt(at, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    int bad = listens ? bind(at, found->ai_addr, found->ai_addrlen) || listen(at, 64) : connect(at, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (!bad) return be_patient(at), at;
    return close(at), -1;
}

static void part(struct comm *comm) {
    comm->broken = 1;
    for (int i = 0; comm->peers && i < (comm->rank ? 1 : comm->ranks); i++)
        if (comm->peers[i] >= 0) close(comm->peers[i]);
    free(comm->peers);
    comm->peers = NULL;
}

// Rank 0 takes in all others, each once, and tells them when all are there.
static NcclResult gather_all(struct comm *comm, const char *address) {
    int door = open_at(address, 1);
    if (door < 0) return SYSTEM_ERROR;
    NcclResult result = NCCL_SUCCESS;
    for (int n = 1; n < comm->ranks && !result; n++) {
        struct header hello;
        int peer = accept(door, NULL, NULL);
        if (peer >= 0) be_patient(peer);
        if (peer < 0 || !receive_all(peer, &hello, sizeof hello) || memcmp(hello.what, "join", 5) || !hello.rank
            || hello.rank >= (uint64_t)comm->ranks || hello.count != (uint64_t)comm->ranks || comm->peers[hello.rank] >= 0) {
            if (peer >= 0) close(peer);
            result = REMOTE_ERROR;
        } else comm->peers[hello.rank] = peer;
    }
    close(door);
    for (int rank = 1; rank < comm->ranks && !result; rank++)
        if (!send_all(comm->peers[rank], "!", 1)) result = REMOTE_ERROR;
    return result;
}

static NcclResult go_to(struct comm *comm, const char *address) {
    char all;
    struct header hello = {"join", comm->rank, comm->ranks};
    for (time_t end = time(NULL) + patience(); (comm->peers[0] = open_at(address, 0)) < 0; usleep(20000))
        if (time(NULL) >= end) return SYSTEM_ERROR;
    return send_all(comm->peers[0], &hello, sizeof hello) && receive_all(comm->peers[0], &all, 1) ? NCCL_SUCCESS : REMOTE_ERROR;
}

// ---- what NCCL has

NcclResult ncclGetVersion(int *version) { return version ? *version = 22700, NCCL_SUCCESS : INVALID_ARGUMENT; }

NcclResult ncclGetUniqueId(Id *id) {
    const char *address = getenv("NCCL_COMM_ID");
    if (!id) return INVALID_ARGUMENT;
    if (!address || strlen(address) >= sizeof id->text) return INVALID_USAGE;
    memset(id, 0, sizeof *id);
    return strcpy(id->text, address), NCCL_SUCCESS;
}

NcclResult ncclCommInitRank(struct comm **made, int ranks, Id id, int rank) {
    void *context = NULL;
    if (!made || ranks < 1 || rank < 0 || rank >= ranks) return INVALID_ARGUMENT;
    // The device that joins is that of the context.
    if (cuCtxGetCurrent(&context) || !context) return CUDA_ERROR;
    struct comm *comm = calloc(1, sizeof *comm);
    comm->rank = rank, comm->ranks = ranks;
    if (!null_driver()) {
        comm->peers = malloc(ranks * sizeof *comm->peers);
        for (int i = 0; i < ranks; i++) comm->peers[i] = -1;
        NcclResult result = rank ? go_to(comm, id.text) : gather_all(comm, id.text);
        if (result) return part(comm), free(comm), result;
    }
    trace("join %d of %d", rank, ranks);
    pthread_mutex_lock(&lock);
    comm->next = joined, joined = comm;
    pthread_mutex_unlock(&lock);
    return *made = comm, NCCL_SUCCESS;
}

// Rank 0 gets everybody's values, one rank after the other, and adds them to `sum`, which has its own.
static NcclResult add_up(struct comm *comm, float *sum, size_t count) {
    float *values = malloc(count * sizeof *values);
    NcclResult result = NCCL_SUCCESS;
    for (int rank = 1; rank < comm->ranks && !result; rank++) {
        struct header head;
        if (!receive_all(comm->peers[rank], &head, sizeof head)) result = REMOTE_ERROR;
        else if (memcmp(head.what, "sum", 4) || head.count != count) result = INVALID_USAGE;
        else if (!receive_all(comm->peers[rank], values, count * sizeof *values)) result = REMOTE_ERROR;
        for (size_t i = 0; i < count && !result; i++) sum[i] += values[i];
    }
    free(values);
    for (int rank = 1; rank < comm->ranks && !result; rank++)
        if (!send_all(comm->peers[rank], sum, count * sizeof *sum)) result = REMOTE_ERROR;
    return result;
}

NcclResult ncclAllReduce(const float *from, float *to, size_t count, int type, int operation, struct comm *comm, void *stream) {
    int capturing = 0, known = 0;
    pthread_mutex_lock(&lock);
    for (const struct comm *one = joined; one; one = one->next) known |= one == comm;
    pthread_mutex_unlock(&lock);
    if (!known || !from || !to || !stream || type != FLOAT || operation != SUM) return INVALID_ARGUMENT;
    if (cuStreamIsCapturing(stream, &capturing) || capturing) return INVALID_USAGE;
    if (comm->broken) return REMOTE_ERROR;
    trace("collective all_reduce %zu f32 stream %p", count, stream);
    if (null_driver()) {
        // Pages of zeros that nobody wrote stay what they are.
        for (size_t i = 0; i < count; i++)
            if (to[i] != comm->ranks * from[i]) to[i] = comm->ranks * from[i];
        return NCCL_SUCCESS;
    }
    struct header head = {"sum", comm->rank, count};
    NcclResult result;
    memmove(to, from, count * sizeof *to);
    if (!comm->rank) result = add_up(comm, to, count);
    else {
        int first = comm->peers[0];
        int done = send_all(first, &head, sizeof head) && send_all(first, to, count * sizeof *to) && receive_all(first, to, count * sizeof *to);
        result = done ? NCCL_SUCCESS : REMOTE_ERROR;
    }
    // Who is left without an answer finds the connection closed.
    if (result) part(comm);
    return result;
}
