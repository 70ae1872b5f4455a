// A libnvrtc.so in front of the compilers: NVIDIA's NVRTC, whose PTX the driver counts, or the emulator, which makes host
// code of CUDA C++ (`translate.cpp`) with g++ for the driver to run. What was compiled is kept, and said again when the
// same source comes. The first line of every image tells the driver where.
//
// TEST_CUDA_KEPT names the folder of what is kept; TEST_CUDA_NVRTC NVIDIA's library, or nothing: then the emulator.
#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "translate.hpp"

using std::string;

namespace {
enum { SUCCESS = 0, COMPILATION = 6 };

struct Program { string source, log, image; };

string variable(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

bool is_word(unsigned char c) { return isalnum(c) || c == '_'; }

string read(const string &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// Whole or not at all: two processes may compile the same kernel.
void write(const string &path, const string &text) {
    const string half = path + "." + std::to_string(getpid());
    std::ofstream(half, std::ios::binary) << text;
    rename(half.c_str(), path.c_str());
}

template <typename F> F *nvidia(const char *name) {
    static void *library = dlopen(variable("TEST_CUDA_NVRTC").c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) fprintf(stderr, "TEST_CUDA_NVRTC: %s\n", dlerror()), abort();
    return reinterpret_cast<F *>(dlsym(library, name));
}

int with_nvrtc(Program &program, const string &kept, int count, const char *const *options) {
    const string path = kept + ".ptx";
    if (access(path.c_str(), R_OK)) {
        void *real = nullptr;
        nvidia<int(void **, const char *, const char *, int, const char *const *, const char *const *)>(
            "nvrtcCreateProgram")(&real, program.source.c_str(), nullptr, 0, nullptr, nullptr);
        const int code = nvidia<int(void *, int, const char *const *)>("nvrtcCompileProgram")(real, count, options);
        auto text = [&](const char *size, const char *get) {
            size_t bytes = 0;
            nvidia<int(void *, size_t *)>(size)(real, &bytes);
            string all(bytes, 0);
            nvidia<int(void *, char *)>(get)(real, all.data());
            return string(all.c_str());
        };
        program.log = text("nvrtcGetProgramLogSize", "nvrtcGetProgramLog");
        if (code) return code;
        write(path, text("nvrtcGetPTXSize", "nvrtcGetPTX"));
        nvidia<int(void **)>("nvrtcDestroyProgram")(&real);
    }
    program.image = "// kept " + path + "\n" + read(path);
    return SUCCESS;
}

int with_emulator(Program &program, const string &kept) {
    const string library = kept + ".so", text = kept + ".cpp", half = library + "." + std::to_string(getpid());
    program.image = "// emulated " + library + "\n";
    if (!access(library.c_str(), R_OK)) return SUCCESS;
    write(text, translate(program.source));
    const string command = string("g++ " EMULATED_FLAGS " -shared -nostdlib -Wl,-Bsymbolic -include " EMULATED_HEADER) + " -o '" + half +
                           "' '" + text + "' -lm -lc -lgcc 2> '" + kept + ".log'";
    if (system(command.c_str())) return program.log = read(kept + ".log").substr(0, 3000), COMPILATION;
    rename(half.c_str(), library.c_str());
    return SUCCESS;
}

// The source with its variables numbered as they come. CubeCL numbers those of one kernel otherwise in another process.
string numbered(const string &source) {
    std::unordered_map<string, size_t> numbers;
    string text;
    for (size_t at = 0, end; at < source.size(); at = end) {
        end = at + 1;
        if (!is_word(source[at])) {
            text += source[at];
            continue;
        }
        while (end < source.size() && is_word(source[end])) end++;
        const string word = source.substr(at, end - at);
        const bool is_variable = word.size() > 1 && word[0] == 'v' && word.find_first_not_of("0123456789", 1) == string::npos;
        text += is_variable ? "v" + std::to_string(numbers.emplace(word, numbers.size()).first->second) : word;
    }
    return text;
}

void refused(const string &source, const string &kept) {
    const string path = variable("TEST_CUDA_TRACE");
    if (!path.empty()) std::ofstream(path, std::ios::app) << "refused " << kernel_name(source) << " " << kept << ".cu\n";
    fprintf(stderr, "the compiler refuses the kernel %s: %s.cu\n", kernel_name(source).c_str(), kept.c_str());
}
}  // namespace

extern "C" {
const char *nvrtcGetErrorString(int) { return "the NVRTC of the tests refused"; }
int nvrtcVersion(int *major, int *minor) { return *major = 13, *minor = 0, SUCCESS; }
int nvrtcCreateProgram(void **program, const char *source, const char *, int, const char *const *, const char *const *) {
    return *program = new Program{source, {}, {}}, SUCCESS;
}
int nvrtcDestroyProgram(void **program) { return delete static_cast<Program *>(*program), SUCCESS; }

int nvrtcCompileProgram(void *handle, int count, const char *const *options) {
    auto &program = *static_cast<Program *>(handle);
    const bool emulated = variable("TEST_CUDA_NVRTC").empty();
    // What g++ is told and includes belongs to what it makes; so does what NVRTC is told.
    string all = numbered(program.source);
    if (emulated) all += EMULATED_STAMP;
    else for (int i = 0; i < count; i++) all += string("\n") + options[i];
    const string folder = variable("TEST_CUDA_KEPT");
    mkdir(folder.c_str(), 0777);
    const string kept = folder + "/" + std::to_string(std::hash<string>()(all));
    write(kept + ".cu", program.source);
    const int code = emulated ? with_emulator(program, kept) : with_nvrtc(program, kept, count, options);
    if (code) refused(program.source, kept);
    return code;
}

int nvrtcGetProgramLogSize(void *program, size_t *size) { return *size = static_cast<Program *>(program)->log.size() + 1, SUCCESS; }
int nvrtcGetProgramLog(void *program, char *to) { return strcpy(to, static_cast<Program *>(program)->log.c_str()), SUCCESS; }
int nvrtcGetPTXSize(void *program, size_t *size) { return *size = static_cast<Program *>(program)->image.size() + 1, SUCCESS; }
int nvrtcGetPTX(void *program, char *to) { return strcpy(to, static_cast<Program *>(program)->image.c_str()), SUCCESS; }
}
