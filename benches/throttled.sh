#!/usr/bin/env bash
# Sums over 2 and 4 ranks, each with a link of so many Mbit/s of its own (a network namespace, `tc tbf`), against the formula of
# examples/scaling.rs. As root, with iproute2. Usage: benches/throttled.sh target/release/examples/scaling [MBIT]...
set -euo pipefail
program=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- 200 1000
sizes="250000 1000000 4000000"
spaces=()
trap 'for space in "${spaces[@]}"; do ip netns del "$space" 2>/dev/null || true; done' EXIT
space() { ip netns add "$1" && spaces+=("$1"); }
echo "| ranks | Mbit/s | MB | predicted, ms | measured, ms |"
echo "| --- | --- | --- | --- | --- |"
for ranks in 2 4; do
    for rate in "$@"; do
        name=s$$r$ranks$rate
        space "$name"
        ip -n "$name" link add switch type bridge
        ip -n "$name" link set switch up
        for ((rank = 0; rank < ranks; rank++)); do
            space "$name-$rank"
            ip -n "$name" link add "to$rank" type veth peer name eth0 netns "$name-$rank"
            ip -n "$name" link set "to$rank" master switch up
            ip -n "$name-$rank" addr add "10.77.0.$((rank + 1))/24" dev eth0
            ip -n "$name-$rank" link set lo up
            ip -n "$name-$rank" link set eth0 up
            ip netns exec "$name-$rank" tc qdisc add dev eth0 root tbf rate "${rate}mbit" burst 128kb latency 100ms
        done
        for ((rank = ranks - 1; rank >= 0; rank--)); do
            # shellcheck disable=SC2086 # several sizes
            ip netns exec "$name-$rank" env RANK=$rank WORLD_SIZE=$ranks LOCAL_RANK=0 MASTER_ADDR=10.77.0.1 MASTER_PORT=29500 \
                SIDA_SECRET=throttled "$program" exchange $sizes >"/tmp/$name-$rank" &
        done
        wait
        while read -r bytes seconds; do
            awk -v n=$ranks -v rate="$rate" -v b="$bytes" -v s="$seconds" 'BEGIN {
                printf "| %d | %d | %.1f | %.1f | %.1f |\n", n, rate, b / 1e6, 2e3 * (n - 1) / n * b * 8 / (rate * 1e6), s * 1e3 }'
        done <"/tmp/$name-0"
        rm -f /tmp/"$name"-*
    done
done
