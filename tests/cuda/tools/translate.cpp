// From CUDA C++, as CubeCL writes it, to C++ for the host. The language is nearly the same: what differs is taken out of
// the text here, what it calls is in `device.hpp`.
#include "translate.hpp"

#include <regex>
#include <vector>

using std::regex, std::regex_replace, std::smatch, std::string;

namespace {
const regex KERNEL(R"(__global__\s+void\s*(?:__launch_bounds__\(\d+\))?\s*(?:__cluster_dims__\([^)]*\))?\s*(\w+)\s*\(([^{]*)\)\s*\{)");
// Whatever makes a thread wait for others.
const regex WAITS(R"(__sync|__shfl|_sync\(|__ballot|wmma::|elect\.sync)");

// At commas outside of brackets.
std::vector<string> split(const string &list) {
    std::vector<string> parts(1);
    int depth = 0;
    for (char c : list) {
        depth += (c == '<' || c == '(' || c == '{') - (c == '>' || c == ')' || c == '}');
        if (c == ',' && !depth) parts.emplace_back();
        else parts.back() += c;
    }
    if (parts.back().find_first_not_of(" \n") == string::npos) parts.pop_back();
    return parts;
}

// `asm volatile("min.NaN.f32 %0, %1, %2;" : "=f"(a) : "f"(b), "f"(c));` becomes `ptx_min_NaN_f32(a, b, c);`, a function of
// `device.hpp`. One that is not there is an error that names it.
string without_assembly(const string &text) {
    static const regex ASSEMBLY(R"re(asm\s*(?:volatile)?\s*\(\s*"((?:[^"\\]|\\.)*)"\s*:([^;]*)\);)re"),
        OPERAND(R"re("[=+]?\w+"\(([^()]*)\))re");
    string out;
    auto at = text.begin();
    for (std::sregex_iterator one(text.begin(), text.end(), ASSEMBLY), end; one != end; ++one) {
        const string code = (*one)[1], operands = (*one)[2];
        const bool elects = code.find("elect.sync") != string::npos;
        string call = elects ? "elect_sync" : regex_replace(code.substr(0, code.find_first_of(" \t")), regex("\\W"), "_"), list;
        for (std::sregex_iterator operand(operands.begin(), operands.end(), OPERAND); operand != end; ++operand)
            list += (list.empty() ? "" : ", ") + (*operand)[1].str();
        out.append(at, (*one)[0].first).append("ptx_" + call + "(" + list + ");");
        at = (*one)[0].second;
    }
    return out.append(at, text.end());
}
}  // namespace

string kernel_name(const string &source) {
    smatch found;
    return std::regex_search(source, found, KERNEL) ? found[1].str() : "without a name";
}

string translate(const string &source) {
    string text = regex_replace(source, regex("#include[^\n]*"), "");
    text = regex_replace(text, regex("typedef (?:unsigned|signed)[^\n]*int\\d+_t;"), "");
    text = regex_replace(text, regex(R"(extern __shared__ __align__\(\d+\) char (\w+)\[\];)"), "char *const $1 = shared_memory;");
    text = without_assembly(text);
    smatch found;
    if (!std::regex_search(text, found, KERNEL)) return "#error no kernel found\n";
    string call, sizes;
    int count = 0;
    for (string type : split(found[2])) {
        type = regex_replace(type, regex("__restrict__|__grid_constant__"), "");
        type = "std::remove_const_t<" + regex_replace(type, regex("\\w+\\s*$"), "") + ">";
        call += (count ? ", " : "") + ("*(" + type + " *)arguments[" + std::to_string(count) + "]");
        sizes += "sizeof(" + type + "), ";
        count++;
    }
    const string waits = std::regex_search(text, WAITS) ? "1" : "0";
    return text + "\nextern \"C\" {\nextern const int threads_wait = " + waits + ";\nextern const size_t argument_count = " +
           std::to_string(count) + ", argument_sizes[] = {" + sizes + "0};\nvoid run_thread(void **arguments) { " +
           found[1].str() + "(" + call + "); }\nvoid run_block(void **arguments) {\n" +
           "    for (threadIdx.z = 0; threadIdx.z < blockDim.z; threadIdx.z++)\n" +
           "        for (threadIdx.y = 0; threadIdx.y < blockDim.y; threadIdx.y++)\n" +
           "            for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++) run_thread(arguments);\n}\n}\n";
}
