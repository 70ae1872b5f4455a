#!/usr/bin/env bash
# Runs a command with a CUDA device that is not there (docs/gpu.md):
#
#   tests/cuda/tools/with.sh null COMMAND...      kernels are compiled by NVIDIA's NVRTC and counted, not run
#   tests/cuda/tools/with.sh emulator COMMAND...  kernels are made into host code by g++ and run
#
# Needs gcc, g++ and NVIDIA's wheels (--packages prints which); exit code 75 and a line where one is missing. Tools and
# compiled kernels are kept in target/cuda. TEST_CUDA_TRACE names a file that gets a line for each launch, copy and
# allocation.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
packages="nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cuda-nvcc nvidia-cuda-cccl nvidia-cuda-crt"
kind=$1
shift
[ "$kind" = --packages ] && { echo "$packages"; exit 0; }
missing() { echo "no CUDA device without a GPU: $1" >&2; exit 75; }

command -v gcc >/dev/null && command -v g++ >/dev/null || missing "install gcc and g++"
if [ -z "${CUDA_PATH:-}" ]; then
    CUDA_PATH=$(python3 -c 'import nvidia, os; print(next(p for d in nvidia.__path__ for p in [os.path.join(d, "cu13")] if os.path.isdir(p)))' 2>/dev/null) ||
        missing "pip install $packages"
fi
nvrtc=$(ls "$CUDA_PATH"/lib*/libnvrtc.so.* 2>/dev/null | head -1) && [ -x "$CUDA_PATH/bin/ptxas" ] || missing "pip install $packages"

# ---- the tools, built again when their sources change
made=$root/target/cuda
# No float is silently computed in double.
flags="-std=c++20 -O1 -Werror=double-promotion -fPIC -fno-strict-aliasing -ffp-contract=off"
if grep -qw f16c /proc/cpuinfo 2>/dev/null; then flags="$flags -mf16c"; fi # halves become floats by one instruction
stamp=$({ cat "$here"/*; echo "$flags"; } | cksum | tr ' ' -)
if [ "$(cat "$made/stamp" 2>/dev/null)" != "$stamp" ]; then
    rm -rf "$made/driver" "$made/headers" && mkdir -p "$made/driver" "$made/headers"
    cp "$here"/*.hpp "$made/headers"
    g++ $flags -w -x c++-header "$made/headers/device.hpp" -o "$made/headers/device.hpp.gch"
    # Fibers jump between stacks, which the fortified longjmp takes for a mistake.
    gcc -O2 -U_FORTIFY_SOURCE -fPIC -shared -o "$made/driver/libcuda.so.1" "$here"/{device,fibers,launch}.c -lpthread -ldl
    ln -s libcuda.so.1 "$made/driver/libcuda.so"
    gcc -O2 -fPIC -shared -o "$made/driver/libnccl.so.2" "$here"/nccl.c -L"$made/driver" -lcuda -lpthread
    ln -s libnccl.so.2 "$made/driver/libnccl.so"
    g++ -std=c++20 -O1 -fPIC -shared -DEMULATED_FLAGS="\"$flags\"" -DEMULATED_STAMP="\"$stamp\"" \
        -DEMULATED_HEADER="\"$made/headers/device.hpp\"" -o "$made/driver/libnvrtc.so" "$here"/*.cpp -ldl
    echo "$stamp" >"$made/stamp"
fi

# Vulkan's loader, which looks for GPUs too, complains where there is none.
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$made}
export CUDA_PATH LD_LIBRARY_PATH=$made/driver${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
case $kind in
    null) export TEST_CUDA_NVRTC=$nvrtc TEST_CUDA_KEPT=$made/ptx ;;
    emulator) export TEST_CUDA_NVRTC= TEST_CUDA_KEPT=$made/host ;;
    *) echo "null or emulator, not \`$kind\`" >&2; exit 2 ;;
esac
exec "$@"
