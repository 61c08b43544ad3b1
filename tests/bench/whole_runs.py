"""Time whole runs beside other programs: `whole_runs.py [--events N] [--rounds N]`.

Each figure is the median of ratios of runs made in turn, so that a machine that is busy for a
while slows both. `trace-cmd report` only prints the file, and mawk only counts words of it: the
fourth, which is the time and always another, or the fifth, which is the event's name and costs
it less.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = sys.executable


def main(words: Sequence[str] | None = None) -> int:
    """Make the recordings, run everything, and print one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events of a recording")
    parser.add_argument("--rounds", type=int, default=9, help="runs of each program")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        bench = Bench(Path(folder), options.rounds)
        bench.speed(options.events)
        bench.memory(options.events)
        bench.start()
    return 0


class Bench:
    """The runs, and the folder in which their files lie.

    Args:
        folder: for recordings and reports.
        rounds: runs of each program of a pair.
    """

    def __init__(self, folder: Path, rounds: int) -> None:
        self._folder = folder
        self._rounds = rounds
        self._report = folder / "report.json"

    def speed(self, events: int) -> None:
        """Print the time of `check` beside a program that only prints or counts."""
        dat, text = self._folder / "long.dat", self._folder / "long.txt"
        write(dat, events)
        write(text, events)
        printed = ["trace-cmd", "report", str(dat)]
        self._pair(f"trace.dat, {events:,} events", self._check(dat), printed, 0.3)
        for word in ("$4", "$5"):
            counted = ["mawk", f"{{c[{word}]++}}", str(text)]
            what = f"tracefs text, {events:,} events, {text.stat().st_size / 1e6:.0f} MB, {word}"
            self._pair(what, self._check(text), counted, 2.5)

    def memory(self, events: int) -> None:
        """Print how the peak memory grows with ten times the length and as many mappings."""
        for ending in ("dat", "txt"):
            peaks = []
            for size in (events // 10, events):
                path = self._folder / f"memory.{ending}"
                write(path, size)
                peaks.append(peak(self._check(path)))
                path.unlink()
            growth = (peaks[1] / peaks[0] - 1) * 100
            print(
                f"peak memory, .{ending}: {peaks[0] / 1024:.1f} MiB, ten times as long "
                f"{peaks[1] / 1024:.1f} MiB ({growth:+.1f} %, at most +10 %)"
            )

    def start(self) -> None:
        """Print what `--version` takes beyond a bare interpreter."""
        bare = [PYTHON, "-P", "-c", "pass"]
        starts = {"python -m dmaverify": [PYTHON, "-P", "-m", "dmaverify"]}
        if command := shutil.which("dmaverify", path=str(Path(PYTHON).parent)):
            starts["dmaverify"] = [command]
        for name, words in starts.items():
            rounds = max(self._rounds * 4, 5)
            extra = [seconds([*words, "--version"]) - seconds(bare) for _ in range(rounds)]
            print(f"{name} --version: {statistics.median(extra) * 1000:.1f} ms (at most 25 ms)")

    def _check(self, path: Path) -> list[str]:
        outputs = ["--output", f"json:{self._report}"]
        return [PYTHON, "-P", "-m", "dmaverify", "check", str(path), *outputs]

    def _pair(self, what: str, ours: list[str], other: list[str], goal: float) -> None:
        if shutil.which(other[0]) is None:
            print(f"{what}: {other[0]} is not installed")
            return
        seconds(ours), seconds(other)  # the files are in the disk cache from here on
        times = [(seconds(ours), seconds(other)) for _ in range(self._rounds)]
        ratio = statistics.median(a / b for a, b in times)
        a, b = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{what}: {a:.3f} s, {other[0]} {b:.3f} s, ratio {ratio:.2f} (at most {goal})")


def write(path: Path, events: int) -> None:
    """Make a recording, in another process: what it takes would count as memory of the runs."""
    make = [PYTHON, "-P", str(ROOT / "tests/bench/make_trace.py"), str(path), str(events)]
    subprocess.run(make, check=True)


def seconds(words: list[str]) -> float:
    """Return how long a program takes; its output goes nowhere.

    Raises:
        RuntimeError: it failed.
    """
    begin = time.perf_counter()
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    taken = time.perf_counter() - begin
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.returncode}: {done.stderr.decode()[-400:]}")
    return taken


def peak(words: list[str]) -> int:
    """Return the peak memory of a program in KiB, as the kernel counted it for that process."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)}: {process.returncode}")
    return used.ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
