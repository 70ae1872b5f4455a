#!/usr/bin/env python3
"""Two ranks of one thread each against one rank of two threads, on the same steps of two micro-batches.

    cargo bench --bench step --no-run        # prints the program's path
    benches/ranks.py target/release/deps/step-... [--network wide32] [--work sid] [--rounds 7] [--steps 2]

Both take turns on the same machine; the median of the ratios of each round counts."""
import argparse
import os
import socket
import statistics
import subprocess


def served(program, arguments, environment):
    return subprocess.Popen(
        [program, "--shared", arguments.network, arguments.work],
        env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )


def seconds(process, steps):
    process.stdin.write(f"{steps}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("program")
parser.add_argument("--network", default="wide32")
parser.add_argument("--work", default="sid")
parser.add_argument("--rounds", type=int, default=7)
parser.add_argument("--steps", type=int, default=2)
arguments = parser.parse_args()

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": port}
of_rank = lambda rank: {**shared, "RANK": rank, "LOCAL_RANK": rank, "RAYON_NUM_THREADS": "1"}
one = served(arguments.program, arguments, {"RAYON_NUM_THREADS": "2"})
two, other = [served(arguments.program, arguments, of_rank(rank)) for rank in ("0", "1")]
for process in (one, two):
    seconds(process, 1)
ratios = []
for _ in range(arguments.rounds):
    alone, together = seconds(one, arguments.steps), seconds(two, arguments.steps)
    ratios.append(together / alone)
    print(f"one rank {alone / arguments.steps:.3f} s a step, two {together / arguments.steps:.3f} s: {ratios[-1]:.2f}")
for process in (one, two):
    process.stdin.close()
print(f"{arguments.network} {arguments.work}: {statistics.median(ratios):.2f} (median of {arguments.rounds})")
