# syntax=docker/dockerfile:1
# sida for a CPU, or for NVIDIA's GPUs:
#
#     docker build -t sida .
#     docker build -t sida:cuda --target cuda --build-arg FEATURES=cuda .
#
#     docker run --rm -v sida-runs:/runs -v sida-cache:/cache sida run pipelines/quickstart.yaml
#     docker run --rm --gpus all -v sida-runs:/runs -v sida-cache:/cache sida:cuda run pipelines/quickstart.yaml
#
# Pipelines, and datasets beside them, of your own: `-v "$PWD:/work:ro"`.
ARG RUST=1.95
ARG CUDA=12.8.1

FROM rust:${RUST}-bookworm AS build
WORKDIR /src
COPY . .
# What Cargo is to build besides the default: `cuda`, or `cuda,autotune`. CUDA itself is not needed to build.
ARG FEATURES=""
RUN cargo build --release --locked --features "$FEATURES" \
 && mkdir -p /out/bin /out/work \
 && cp target/release/sida /out/bin/ \
 && cp -r pipelines datasets /out/work/

# NVRTC, which compiles the kernels, and NCCL are in NVIDIA's `runtime`; the headers that NVRTC reads are a package.
FROM nvidia/cuda:${CUDA}-runtime-ubuntu24.04 AS cuda
ENV CUDA_PATH=/usr/local/cuda
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# The image says which CUDA, and its repository has the package for that; of certificates the newest are right.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates "cuda-cudart-dev-$(echo "$CUDA_VERSION" | cut -d. -f1-2 | tr . -)" \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/bin/sida /usr/local/bin/sida
COPY --from=build /out/work /work
RUN useradd --system --uid 10001 --no-create-home sida \
 && mkdir /runs /cache \
 && chown sida: /runs /cache
ENV SIDA_RUNS=/runs SIDA_CACHE=/cache
VOLUME ["/runs", "/cache"]
WORKDIR /work
USER 10001
ENTRYPOINT ["sida"]
CMD ["--help"]

FROM debian:bookworm-slim AS cpu
COPY --from=build /out/bin/sida /usr/local/bin/sida
COPY --from=build /out/work /work
RUN useradd --system --uid 10001 --no-create-home sida \
 && mkdir /runs /cache \
 && chown sida: /runs /cache
ENV SIDA_RUNS=/runs SIDA_CACHE=/cache
VOLUME ["/runs", "/cache"]
WORKDIR /work
USER 10001
ENTRYPOINT ["sida"]
CMD ["--help"]
