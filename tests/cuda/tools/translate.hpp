#pragma once
#include <string>

/// The name of the kernel in CUDA C++ as CubeCL writes it: one `extern "C" __global__ void NAME(...)`.
std::string kernel_name(const std::string &source);

/// The same kernel in C++ for the host, to be compiled behind `device.hpp` and run by `fibers.c`.
std::string translate(const std::string &source);
