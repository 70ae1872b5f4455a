// The emulator against arithmetic that is known: barriers, shuffles, votes, atomics, halves alone and in pairs, tensor
// cores, a captured graph. `.ci/gpu` builds it, and runs it in the emulator's environment.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

extern "C" {
int nvrtcCreateProgram(void **, const char *, const char *, int, const char *const *, const char *const *);
int nvrtcCompileProgram(void *, int, const char *const *);
int nvrtcGetPTXSize(void *, size_t *);
int nvrtcGetPTX(void *, char *);
int cuModuleLoadData(void **, const void *);
int cuModuleGetFunction(void **, void *, const char *);
int cuLaunchKernel(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);
int cuMemAlloc_v2(uint64_t *, size_t);
int cuMemcpyHtoDAsync_v2(uint64_t, const void *, size_t, void *);
int cuMemcpyDtoHAsync_v2(void *, uint64_t, size_t, void *);
int cuStreamBeginCapture_v2(void *, int);
int cuStreamEndCapture(void *, void **);
int cuGraphLaunch(void *, void *);
}

namespace {
int failures;

void done(int code, const char *what) {
    if (code) fprintf(stderr, "%s: %d\n", what, code), exit(1);
}

void *kernel(const std::string &body) {
    const std::string source = "#include <mma.h>\nextern \"C\" __global__ void __launch_bounds__(64) k(const float *const __restrict__ in, "
                               "float *const __restrict__ out, unsigned const n) {\n" + body + "\n}\n";
    void *program, *module, *function;
    size_t size;
    done(nvrtcCreateProgram(&program, source.c_str(), nullptr, 0, nullptr, nullptr), "create");
    done(nvrtcCompileProgram(program, 0, nullptr), source.c_str());
    done(nvrtcGetPTXSize(program, &size), "size");
    std::string image(size, 0);
    done(nvrtcGetPTX(program, image.data()), "image");
    done(cuModuleLoadData(&module, image.data()), "load");
    done(cuModuleGetFunction(&function, module, "k"), "function");
    return function;
}

// Runs two blocks of 64 threads on `in` and compares what they wrote with `wanted`, as exactly as `tolerance` says.
void check(const char *name, const std::string &body, const std::vector<float> &in, const std::vector<float> &wanted,
           float tolerance = 0, int replays = 0) {
    void *function = kernel(body);
    std::vector<float> out(wanted.size());
    uint64_t from, to;
    done(cuMemAlloc_v2(&from, in.size() * 4), "alloc"), done(cuMemAlloc_v2(&to, out.size() * 4), "alloc");
    done(cuMemcpyHtoDAsync_v2(from, in.data(), in.size() * 4, nullptr), "upload");
    void *graph = nullptr;
    if (replays) done(cuStreamBeginCapture_v2(nullptr, 0), "capture");
    {
        unsigned n = in.size();
        void *arguments[] = {&from, &to, &n};
        done(cuLaunchKernel(function, 2, 1, 1, 64, 1, 1, 8192, nullptr, arguments, nullptr), "launch");
        n = 0; // what was captured is not what lies here later
    }
    if (replays) done(cuStreamEndCapture(nullptr, &graph), "capture");
    for (int i = 0; i < replays; i++) done(cuGraphLaunch(graph, nullptr), "graph");
    done(cuMemcpyDtoHAsync_v2(out.data(), to, out.size() * 4, nullptr), "read");
    float gap = 0;
    for (size_t i = 0; i < out.size(); i++) gap = std::isnan(out[i]) ? INFINITY : std::fmax(gap, std::fabs(out[i] - wanted[i]));
    printf("%s %s: %g\n", gap <= tolerance ? "ok    " : "FAILED", name, gap);
    failures += gap > tolerance;
}

std::vector<float> series(size_t n, float (*of)(int)) {
    std::vector<float> all(n);
    for (size_t i = 0; i < n; i++) all[i] = of(i);
    return all;
}

// C = A * B for 16 x 16 x K row by row, both rounded by `round`.
std::vector<float> product(const std::vector<float> &in, int k, float (*round)(float)) {
    std::vector<float> out(256);
    for (int r = 0; r < 16; r++)
        for (int c = 0; c < 16; c++)
            for (int i = 0; i < k; i++) out[r * 16 + c] += round(in[r * k + i]) * round(in[16 * k + i * 16 + c]);
    return out;
}

std::string tensor_cores(const std::string &type, const std::string &element, const std::string &round, int k) {
    const std::string shape = "16, 16, " + std::to_string(k), n = std::to_string(16 * k);
    auto fragment = [&](const char *use, const std::string &t) { return "nvcuda::wmma::fragment<nvcuda::wmma::" + std::string(use) + ", " + shape + ", " + t; };
    return "if (blockIdx.x || threadIdx.x >= 32) return;\nextern __shared__ __align__(16) char memory[];\n" + element + " *m = reinterpret_cast<" + element +
           "*>(memory);\nfor (int i = threadIdx.x; i < 2 * " + n + "; i += 32) m[i] = " + round + "(in[i]);\n__syncwarp();\n" +
           fragment("matrix_a", type) + ", nvcuda::wmma::row_major> a; " + fragment("matrix_b", type) + ", nvcuda::wmma::row_major> b; " +
           fragment("accumulator", "float") + "> c;\nnvcuda::wmma::fill_fragment(c, 0.0);\nnvcuda::wmma::load_matrix_sync(a, m, " + std::to_string(k) +
           ");\nnvcuda::wmma::load_matrix_sync(b, m + " + n + ", 16);\nnvcuda::wmma::mma_sync(c, a, b, c);\n"
           "nvcuda::wmma::store_matrix_sync(out, c, 16, nvcuda::wmma::mem_row_major);";
}

float exact(float x) { return x; }
float sixteenths(int i) { return float((i * 37 + 11) % 64 - 32) / 16; }
float thirds(int i) { return float((i * 37 + 11) % 64 - 32) / 3; }
float tf32(float x) { return std::ldexp(std::round(std::ldexp(x, 10 - std::ilogb(x))), std::ilogb(x) - 10); }
}  // namespace

int main() {
    const std::string place = "const unsigned i = blockIdx.x * 64 + threadIdx.x;\n";
    const std::vector<float> in = series(1024, sixteenths);
    auto map = [&](float (*of)(const std::vector<float> &, int)) {
        std::vector<float> out(128);
        for (int i = 0; i < 128; i++) out[i] = of(in, i);
        return out;
    };
    check("barrier: each thread reads what its mirror wrote",
          place + "extern __shared__ __align__(16) char memory[]; float *s = reinterpret_cast<float *>(memory);\n"
                  "s[threadIdx.x] = in[i]; __syncthreads(); out[i] = s[63 - threadIdx.x];",
          in, map([](auto &in, int i) { return in[i / 64 * 64 + 63 - i % 64]; }));
    check("shuffle: a butterfly sums a warp",
          place + "float x = in[i]; for (int m = 16; m; m /= 2) x += __shfl_xor_sync(__activemask(), x, m); out[i] = x;", in,
          map([](auto &in, int i) { float sum = 0; for (int j = 0; j < 32; j++) sum += in[i / 32 * 32 + j]; return sum; }));
    check("shuffle: the last lanes of a shift keep their own",
          place + "out[i] = __shfl_down_sync(~0u, in[i], 4);", in,
          map([](auto &in, int i) { return in[i % 32 < 28 ? i + 4 : i]; }));
    check("vote of the lanes that are there",
          place + "out[i] = -1; if (i % 3 == 0) out[i] = __popc(__ballot_sync(__activemask(), in[i] > 0)) + (__all_sync(__activemask(), in[i] > -9) ? 0 : 100);", in,
          map([](auto &in, int i) { float n = 0; for (int j = i / 32 * 32; j < i / 32 * 32 + 32; j++) n += j % 3 == 0 && in[j] > 0; return i % 3 ? -1 : n; }));
    check("atomics, by name and by assembly",
          "if (threadIdx.x == 0) atomicAdd(out, 1.0f);\nfloat old; float v = 1; asm volatile(\"atom.relaxed.add.f32 %0, [%1], %2;\" : \"=f\"(old) : \"l\"(out + 1), \"f\"(v) );",
          in, {2, 128});
    check("minimum: a number beats NaN, but for the one that says so",
          "float r; float q = NAN; float two = 2; asm(\"min.NaN.f32 %0, %1, %2;\" : \"=f\"(r) : \"f\"(q), \"f\"(two)); out[0] = isnan(r); out[1] = min(q, two);", in, {1, 2});
    for (const std::string type : {"__half", "__nv_bfloat16"})
        check((type + ", alone").c_str(),
              place + "const " + type + " x = in[i], y = 0.5; const " + type + " z = x * y + hexp(" + type + "(0.0)); out[i] = float(__hmax(z, y)) + float(__hfma(x, y, y));", in,
              map([](auto &in, int i) { return std::fmax(in[i] / 2 + 1, 0.5f) + in[i] / 2 + 0.5f; }), type == "__half" ? 0 : 0.02f);
    for (const std::string type : {"__half", "__nv_bfloat16"}) {
        const std::string pair = type == "__half" ? "__half2" : "__nv_bfloat162", two = "struct alignas(4) two { " + type + " i_0; " + type + " i_1; };\n";
        check((pair + ", reinterpreted and back").c_str(),
              two + place + "two const v = two{" + type + "(in[i]), " + type + "(1.0)}; " + pair + " const p = reinterpret_cast<const " + pair + "&>(v);\n" + pair +
                  " const q = __hmax2(__hfma2(p, p, p) - p * p, -p); two const w = reinterpret_cast<const two&>(q); out[i] = float(w.i_0) + 8 * float(w.i_1);",
              in, map([](auto &in, int i) { return std::fabs(in[i]) + 8; }), type == "__half" ? 0 : 0.04f);
    }
    check("ties of a half go to even", "out[0] = float(__half(2049.0)); out[1] = float(__half(2051.0)); out[2] = float(__nv_bfloat16(257.0)); out[3] = float(__nv_bfloat16(259.0));", in,
          {2048, 2052, 256, 260});
    check("tensor cores, half", tensor_cores("__half", "__half", "__half", 16), in, product(in, 16, exact));
    check("tensor cores, bfloat", tensor_cores("__nv_bfloat16", "__nv_bfloat16", "__nv_bfloat16", 16), in, product(in, 16, exact));
    const auto odd = series(1024, thirds);
    check("tensor cores, TF32", tensor_cores("nvcuda::wmma::precision::tf32", "float", "nvcuda::wmma::__float_to_tf32", 8), odd, product(odd, 8, tf32), 1e-4f);
    check("a graph runs when it is launched, with the arguments it was captured with", "atomicAdd(out, float(n));", in, {3 * 128 * 1024.0f}, 0, 3);
    return failures ? 1 : 0;
}
