"""How much of one process's time two take for a sweep, each with one thread and with the teacher present.

    python benches/spread.py BINARY [--sweep FILE] [--rounds N]

Rounds in turns, one process and two, each in a fresh copy of a folder of runs that has the teacher; medians and quartiles.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--sweep", default="tests/pipelines/sweep-small.yaml")
    parser.add_argument("--teacher", default="teacher", help="the stage that is there before")
    parser.add_argument("--rounds", type=int, default=11)
    return parser.parse_args()


def main():
    asked = arguments()
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}

    def start(runs, *more):
        command = [asked.binary.resolve(), "-q", "run", asked.sweep, "--device", "cpu", "--runs", runs, *more]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)

    def seconds(processes, teacher, runs):
        shutil.copytree(teacher, runs, symlinks=True)
        started = time.perf_counter()
        for process in [start(runs) for _ in range(processes)]:
            assert process.wait() == 0, "a run failed"
        taken = time.perf_counter() - started
        shutil.rmtree(runs)
        return taken

    with tempfile.TemporaryDirectory() as folder:
        teacher = pathlib.Path(folder, "teacher")
        assert start(teacher, "--point", "1", "--until", asked.teacher).wait() == 0, "the teacher failed"
        rounds = {1: [], 2: []}
        for i in range(asked.rounds):
            # The first of a round is the other one each time.
            for processes in (1, 2) if i % 2 else (2, 1):
                rounds[processes].append(seconds(processes, teacher, pathlib.Path(folder, "runs")))
    ratios = [two / one for one, two in zip(rounds[1], rounds[2])]
    for what, values in (("one process, s", rounds[1]), ("two processes, s", rounds[2]), ("two over one", ratios)):
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"{what:18} {middle:.2f} ({low:.2f}-{high:.2f})")


if __name__ == "__main__":
    main()
