#!/usr/bin/env bash
# A pipeline with torchrun, one process for each GPU:
#
#     docs/launch/torchrun.sh run FILE ...                         # this machine; torchrun's own words in TORCHRUN_ARGS
#     NODES=2 HOST=10.0.0.1 docs/launch/torchrun.sh run FILE ...   # on each of two machines; 10.0.0.1 is one of them
#
# Between machines SIDA_SECRET has to be set, to the same long random text on all.
set -euo pipefail
: "${SIDA:=sida}" "${NODES:=1}" "${JOB:=sida}" "${PORT:=29400}"
: "${PROCESSES:=$(command -v nvidia-smi >/dev/null && nvidia-smi --list-gpus | wc -l || echo 1)}"
if [ "$NODES" -gt 1 ]; then
    : "${SIDA_SECRET:?the same long random text on all machines}"
    meeting=(--nnodes "$NODES" --rdzv-backend c10d --rdzv-id "$JOB" --rdzv-endpoint "${HOST:?the machine to meet at}:$PORT")
else
    meeting=(--standalone)
fi
# shellcheck disable=SC2086 # several words
exec torchrun "${meeting[@]}" --nproc-per-node "$PROCESSES" ${TORCHRUN_ARGS:-} --no-python "$SIDA" "$@"
