#!/usr/bin/env bash
# A pipeline with Open MPI's mpirun, which only starts the processes, one for each GPU:
#
#     PROCESSES=8 docs/launch/mpirun.sh run FILE ...
#     PROCESSES=16 HOSTS=node1:8,node2:8 docs/launch/mpirun.sh run FILE ...   # from node1, which gets rank 0
#
# Between machines SIDA_SECRET has to be set. mpirun's own words go into MPIRUN_ARGS.
set -euo pipefail
: "${SIDA:=sida}" "${PROCESSES:=1}"
where=()
if [ -n "${HOSTS:-}" ]; then
    : "${SIDA_SECRET:?a long random text}"
    export MASTER_ADDR=${MASTER_ADDR:-${HOSTS%%[:,]*}}
    where=(--host "$HOSTS" -x MASTER_ADDR -x SIDA_SECRET)
fi
# A rank that dies ends the others itself, and says whose fault it was; threads are not bound to one core.
# shellcheck disable=SC2086 # several words
exec mpirun -n "$PROCESSES" --bind-to none "${where[@]}" ${MPIRUN_ARGS:-} "$SIDA" "$@"
