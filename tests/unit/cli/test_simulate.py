"""`simulate` and who reads it: a reader that leaves is no error."""

import os
import shutil
import subprocess
import sys

import pytest

from dmaverify.sim.scenario import built_in

Words = list[str]
CASES = [
    (["--list"], 0),
    (["linux_unmap:good"], 0),
    (["linux_unmap:twice"], 1),
    (["linux_unmap:twice", "--output", "json"], 1),
    (["linux_unmap:during_transfer", "--platform", "iommu", "-v"], 1),
    (["windows_errors:uses_null", "--inject", "systematic", "--dma"], 2),
]


def left_alone(words: Words, *, with_errors: bool) -> subprocess.CompletedProcess[str]:
    """Run `simulate` into a pipe that nobody reads; with_errors: both streams."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(
            [sys.executable, "-m", "dmaverify", "simulate", *words],
            stdout=writing, stderr=writing if with_errors else subprocess.PIPE, text=True,
            check=False, timeout=60,
        )  # fmt: skip
    finally:
        os.close(writing)


@pytest.mark.parametrize(("words", "code"), CASES)
def test_a_closed_pipe_leaves_the_exit_code(words: Words, code: int) -> None:
    """What `| head` does not read any more ends the output, without a traceback."""
    done = left_alone(words, with_errors=False)

    assert code == done.returncode
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert "internal error" not in done.stderr


@pytest.mark.parametrize(("words", "code"), CASES)
def test_both_streams_may_be_closed(words: Words, code: int) -> None:
    """`2>&1 | head` changes nothing of what the exit code says."""
    assert code == left_alone(words, with_errors=True).returncode


@pytest.mark.skipif(shutil.which("script") is None, reason="no script(1) to make a terminal")
@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_list_fits_a_terminal(columns: int) -> None:
    """On a terminal each scenario has one line, which is cut where the terminal ends."""
    line = f"stty cols {columns}; {sys.executable} -m dmaverify simulate --list"
    done = subprocess.run(
        ["script", "-qec", line, "/dev/null"], capture_output=True, check=False,
        stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    shown = done.stdout.decode("utf-8").splitlines()

    assert len(built_in()) == len(shown)
    assert max(map(len, shown)) <= columns
    assert any(text.endswith("…") for text in shown)


def test_a_reader_that_has_seen_enough() -> None:
    """`simulate X | head -1` shows one line, and a reader that leaves costs no findings."""
    line = f"{sys.executable} -m dmaverify simulate --list | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)

    assert "" == done.stderr
    first, code = done.stdout.splitlines()
    assert ":" in first
    assert "0" == code
