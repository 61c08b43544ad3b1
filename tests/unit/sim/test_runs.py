"""Runs that go wrong, and failures on purpose."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dmaverify.cli import main
from dmaverify.pipeline.check import CheckOptions, check_traces
from dmaverify.pipeline.simulate import SimulateOptions, platform_named, simulate
from dmaverify.sim.device import DeviceFault
from dmaverify.sim.faults import Injector
from dmaverify.sim.linux import DMA_FROM_DEVICE, DMA_TO_DEVICE, ScatterEntry
from dmaverify.sim.machine import Machine
from dmaverify.sim.run import Outcome, Simulation, run_scenario
from dmaverify.sim.scenario import Scenario, find, scenarios_in
from dmaverify.sim.windows.mdl import AccessViolation
from dmaverify.sim.windows.names import DEVICE_DESCRIPTION
from tests.unit.sim.machines import Recorded

BAD = """
def raises(sim):
    page = sim.linux.kmalloc(64)
    sim.linux.dma_unmap_single(sim.device(), 0x1000, 64, 1)
    {}["missing"]

def loops(sim):
    while True:
        sim.linux.kfree(sim.linux.kmalloc(64))

def swallows(sim):
    while True:
        try:
            sim.linux.kfree(sim.linux.kmalloc(64))
        except Exception:
            pass

def sleeps(sim):
    while True:
        sim.sleep(10**12)

def hoards(sim):
    while True:
        sim.linux.alloc_pages(1024)

def exits(sim):
    raise SystemExit(3)

def misuses(sim):
    sim.linux.dma_map_single(sim.device(), "buffer", 64, 1)

def overflows(sim):
    sim.linux.dma_unmap_single(sim.device(), 1 << 64, 64, 1)

def null(sim):
    sim.cpu.read(0, 8)
"""


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """Return a file of drivers that do not work."""
    path = tmp_path / "bad.py"
    path.write_text(BAD)
    return path


@pytest.mark.parametrize(
    ("name", "line", "text"),
    [
        ("raises", 5, "the driver raised KeyError: 'missing'"),
        ("loops", 9, "the driver made more than 5,000 events; it was stopped"),
        ("swallows", 14, "the driver made more than 5,000 events; it was stopped"),
        ("sleeps", 20, "the driver ran for more than 3600 s of virtual time; it was stopped"),
        ("hoards", 24, "the machine has no memory left: the driver never frees; it was stopped"),
        ("exits", 27, "the driver raised SystemExit: 3"),
        ("misuses", 30, "dma_map_single can not take what it is given: TypeError"),
        ("overflows", 33, "dma_unmap_single can not take what it is given: OverflowError"),
        ("null", 36, "the driver reads 8 bytes at 0x0, where it has no memory"),
    ],
)
def test_a_driver_that_fails_is_told_with_its_line(
    name: str, line: int, text: str, bad: Path
) -> None:
    """Whatever ends a driver is one error that names the driver's own line."""
    machine = Machine(platform_named("flat"), lambda batch: None, event_limit=5000, sites=False)
    error = run_scenario(find(f"{bad}:{name}"), machine).error

    assert error is not None
    assert str(error).startswith(f"{bad}:{line}: {text}")
    assert 2 == error.exit_code


def test_a_driver_that_stands_still_is_stopped(bad: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that does nothing at all ends too."""
    monkeypatch.setattr("dmaverify.sim.run.STANDSTILL_S", 0.2)
    bad.write_text("def f(sim):\n    while True:\n        pass\n")
    machine = Machine(platform_named("flat"), lambda batch: None)
    error = run_scenario(find(str(bad)), machine).error

    assert error is not None
    assert "did nothing for" in error.text
    assert error.place.startswith(f"{bad}:")


def test_what_was_recorded_is_not_lost(
    bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The findings of a run that fails are shown, and its recording can be checked."""
    out = tmp_path / "t.dmat"
    code = main(["simulate", f"{bad}:raises", "-o", str(out), "--output", "concise"])
    shown = capsys.readouterr()

    assert 2 == code
    assert "error: " in shown.err
    assert "bad.py:5: the driver raised KeyError" in shown.err
    assert 4 == len(out.read_text("utf-8").splitlines())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(sim)\n", ":1: "),
        ("x = 1\nimport no_such_module\n", ":2: loading the scenario raised ModuleNotFoundError"),
        ("x = 1\n", "has no such function of one argument"),
        ("def f():\n    pass\ndef g(a, b):\n    pass\n", "has no such function of one argument"),
        ("def f(sim):\n    pass\ndef g(sim):\n    pass\n", "has several scenarios"),
    ],
)
def test_a_file_that_is_no_scenario_is_told(
    text: str, message: str, bad: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong with a file is one line with the file in it."""
    bad.write_text(text)

    assert 2 == main(["simulate", str(bad)])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], "there is no scenario 'nosuch'"),
        ([], "name a scenario"),
        (["linux_unmap:nosuch"], "has no such function"),
        (["linux_unmap"], "has several scenarios"),
        (["linux_unmap:good", "--platform", "nosuch"], "there is no platform 'nosuch'"),
        (["linux_unmap:good", "-o", "/nosuch/x.dmat"], "/nosuch/x.dmat: "),
        (["linux_unmap:good", "--seed", "x"], "'x' is no number"),
    ],
)
def test_usage_is_told(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command line is one line and exit code 2."""
    assert 2 == main(["simulate", *words])
    assert message in capsys.readouterr().err


def test_the_list_has_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    """`--list` shows each scenario with its sentence."""
    assert 0 == main(["simulate", "--list"])
    lines = capsys.readouterr().out.splitlines()

    assert any(line.startswith("linux_unmap:twice ") for line in lines)
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines)


def test_exit_codes_are_those_of_check() -> None:
    """A healthy driver gives 0, one with a mistake 1."""
    assert 0 == main(["simulate", "linux_unmap:good", "--output", "concise"])
    assert 1 == main(["simulate", "linux_unmap:twice", "--output", "concise"])


def scenario_of(function: Callable[[Simulation], object]) -> Scenario:
    """Return a scenario of a function of this file."""
    return Scenario("t:f", __file__, function, "", None, {}, {})


def run(function: Callable[[Simulation], object], injector: Injector) -> list[Outcome]:
    """Run a function as a driver, in as many lives as it takes, each on a machine of its own."""
    outcomes = []
    while injector.begin_life():
        machine = Machine(platform_named("flat"), lambda batch: None)
        outcomes.append(run_scenario(scenario_of(function), machine, injector=injector))
    return outcomes


def calls(outcomes: list[Outcome]) -> list[list[str]]:
    """Return the names of what failed in each life."""
    return [[failed.call for failed in outcome.failed] for outcome in outcomes]


def test_systematic_failures_take_each_stack_once() -> None:
    """In each life of the driver another stack fails, the first time; the last life is whole."""

    def allocate(sim: Simulation) -> bool:
        return sim.linux.kmalloc(64) != 0

    def driver(sim: Simulation) -> None:
        looped = [allocate(sim) for _ in range(2)]
        alone = allocate(sim)
        lives.append([*looped, alone, sim.linux.alloc_pages(1) != 0])

    lives: list[list[bool]] = []
    found = run(driver, Injector("systematic"))

    assert [None] * 4 == [outcome.error for outcome in found]
    assert [
        [False, True, True, True],
        [True, True, False, True],
        [True, True, True, False],
        [True, True, True, True],
    ] == lives
    assert [["kmalloc"], ["kmalloc"], ["alloc_pages"], []] == calls(found)


def test_what_lies_behind_a_failure_fails_too() -> None:
    """A call that is reached only where another failed gets its turn, with that failure."""

    def driver(sim: Simulation) -> None:
        if sim.linux.alloc_pages(4) or sim.linux.alloc_pages(1):
            return
        sim.linux.vmalloc(4096)

    found = run(driver, Injector("systematic"))

    assert [
        ["alloc_pages"], [], ["alloc_pages", "alloc_pages"],
        ["alloc_pages", "alloc_pages", "vmalloc"],
    ] == calls(found)  # fmt: skip


def test_a_life_after_the_one_in_which_the_driver_fell() -> None:
    """A driver that falls is given its next life, on a machine that knows nothing of the last."""

    def driver(sim: Simulation) -> None:
        machines.append(sim.machine)
        for _ in range(3):
            sim.cpu.write(sim.linux.kmalloc(64), b"x")
        sim.cpu.write(sim.linux.alloc_pages(1), b"x")

    machines: list[Machine] = []
    found = run(driver, Injector("systematic"))

    assert [["kmalloc"], ["alloc_pages"], []] == calls(found)
    assert [True, True, False] == [outcome.error is not None for outcome in found]
    assert 3 == len({id(machine) for machine in machines})


def test_every_call_that_can_fail_fails() -> None:
    """Each failing-capable call of Linux returns its failure in one life."""

    def driver(sim: Simulation) -> None:
        dev, linux = sim.device(), sim.linux
        small = linux.kmalloc(64)
        ring, _ = linux.dma_alloc_coherent(dev, 64)
        pool, _ = linux.dma_alloc_noncoherent(dev, 64, DMA_TO_DEVICE)
        lives.append([linux.alloc_pages(1), linux.vmalloc(64), small, ring, pool].count(0))
        if small:
            address = linux.dma_map_single(dev, small, 64, DMA_TO_DEVICE)
            lives[-1] += linux.dma_mapping_error(dev, address)
            entries = [ScatterEntry(small, 64)]
            lives[-1] += linux.dma_map_sg(dev, entries, DMA_TO_DEVICE) == 0

    lives: list[int] = []
    found = run(driver, Injector("systematic"))

    assert [1] * 7 + [0] == lives
    assert [None] * 8 == [outcome.error for outcome in found]
    assert {"alloc_pages", "kmalloc", "vmalloc", "dma_alloc_coherent", "dma_alloc_noncoherent",
            "dma_map_page", "dma_map_sg"} == {name for life in calls(found) for name in life}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "rules", "fallen"),
    [
        ("linux_errors:good", [], []),
        ("linux_errors:leaks", ["allocation-leak-at-unbind"], []),
        ("linux_errors:unchecked", [], ["kmalloc at linux_errors.py:55 in unchecked"]),
        ("windows_errors:good", [], []),
        ("windows_errors:leaks", ["adapter-leak-at-unbind"], []),
        ("windows_errors:goes_on", ["device-access-unmapped"], []),
        ("windows_errors:retries", ["device-access-unmapped"], []),
        (
            "windows_errors:uses_null",
            ["adapter-put-while-in-use"],
            ["IoGetDmaAdapter at windows_errors.py:22 in _driver"],
        ),
    ],
)
def test_error_paths_are_tried(
    name: str, rules: list[str], fallen: list[str], tmp_path: Path
) -> None:
    """Each error path of a driver that is wrong is told, with the call that failed and where."""
    output = tmp_path / "t.dmat"
    done = simulate(name, SimulateOptions(inject="systematic", output=str(output)))
    files = [str(tmp_path / f"t-{n}.dmat") for n in range(1, len(done.lives) + 1)]
    again = check_traces(files, CheckOptions())

    turns = [tuple(life.outcome.failed) for life in done.lives]
    assert len(turns) == len(set(turns))
    assert rules == [f.rule for f in done.report.findings]
    assert done.report.findings == again.findings
    for finding in done.report.findings:
        failed = done.lives[finding.trace].outcome.failed
        (proof,) = [e for e in finding.evidence if e.role == "failed"]
        assert str(failed[-1]) in proof.text
    errors = [life.outcome.error for life in done.lives if life.outcome.error]
    told = [e.text.rpartition("a life in which ")[2] for e in errors]
    assert [f"{one} was made to fail" for one in fallen] == told


def test_what_is_wrong_without_failures_is_told_once(tmp_path: Path) -> None:
    """A mistake that has nothing to do with the failures is one finding, of the whole life."""
    path = tmp_path / "mine.py"
    path.write_text(
        "from dmaverify.sim.linux import DMA_TO_DEVICE\n"
        "def mine(sim):\n"
        "    dev, linux = sim.device(), sim.linux\n"
        "    linux.probe(dev)\n"
        "    for _ in range(2):\n"
        "        linux.dma_unmap_single(dev, 0x1000, 64, DMA_TO_DEVICE)\n"
        "    linux.kmalloc(64), linux.kmalloc(64)\n"
        "    linux.remove(dev)\n"
    )
    done = simulate(str(path), SimulateOptions(inject="systematic"))

    assert 3 == len(done.lives)
    (finding,) = done.report.findings
    assert (2, 6) == (finding.trace, finding.occurrences)
    assert "failed" not in {e.role for e in finding.evidence}


def test_windows_calls_fail_in_their_own_way() -> None:
    """Each failing-capable call of Windows returns what its documentation says."""

    def driver(sim: Simulation) -> None:
        nt, made = sim.windows, []
        description = DEVICE_DESCRIPTION(Version=3, Master=True, ScatterGather=True,
                                         MaximumLength=8192, DmaAddressWidth=64)  # fmt: skip
        adapter, _ = nt.IoGetDmaAdapter(sim.device(), description)
        virt = nt.ExAllocatePool2(4096)
        mdl = nt.IoAllocateMdl(virt, 4096) if virt else None
        if adapter is None or mdl is None:
            failures.append("no adapter, pool or MDL")
            return
        ops = adapter.DmaOperations
        try:
            nt.MmProbeAndLockPages(mdl)
        except AccessViolation:
            failures.append("not locked")
            return
        if (0, 0) == ops.AllocateCommonBuffer(adapter, 64):
            failures.append("no common buffer")
        ops.GetScatterGatherList(adapter, None, mdl, mdl.virt, 4096,
                                 lambda d, i, found, c: made.append(found), None, True)  # fmt: skip
        if not made:
            failures.append("no list")
        for one in made:
            ops.PutScatterGatherList(adapter, one, True)
        nt.MmUnlockPages(mdl)

    failures: list[str] = []
    found = run(driver, Injector("systematic"))

    assert all(outcome.error is None for outcome in found)
    assert ["no adapter, pool or MDL"] * 3 + [
        "not locked",
        "no common buffer",
        "no list",
    ] == failures


def test_random_failures_follow_from_the_seed() -> None:
    """The same seed fails the same calls, another one others."""

    def driver(sim: Simulation) -> None:
        outcomes.append([sim.linux.kmalloc(64) != 0 for _ in range(200)])

    outcomes: list[list[bool]] = []
    for seed in (1, 1, 2):
        run(driver, Injector("random", seed, 0.2))

    assert outcomes[0] == outcomes[1]
    assert outcomes[0] != outcomes[2]
    assert 10 < outcomes[0].count(False) < 80


@pytest.mark.parametrize(
    ("fault", "amount", "written", "completed"),
    [
        (DeviceFault.OVERRUN, 2, b"abcd\0\0..", True),
        (DeviceFault.UNDERRUN, 1, b"abc.....", True),
        (DeviceFault.LATE, 0, b"........", True),
        (DeviceFault.WRONG_ADDRESS, 3, b"...abcd.", True),
        (DeviceFault.LOST_COMPLETION, 0, b"abcd....", False),
    ],
)
def test_a_broken_device_does_one_thing_wrong(
    fault: DeviceFault, amount: int, written: bytes, completed: bool
) -> None:
    """Each fault of a device does to the bytes what its name says, once."""
    recorded = Recorded()
    sim, dev = recorded.sim, recorded.sim.device()
    buffer = sim.linux.kmalloc(64)
    sim.cpu.write(buffer, b"." * 8)
    address = sim.linux.dma_map_single(dev, buffer, 8, DMA_FROM_DEVICE)
    dev.break_next(fault, amount)
    transfer = dev.start(address, 4, DMA_FROM_DEVICE)
    dev.finish(transfer, b"abcd")

    assert written == recorded.machine.real.read(buffer & 0xFFFF_FFFFF, 8)
    assert completed == transfer.completed
    dev.catch_up()
    dev.finish(dev.start(address, 4, DMA_FROM_DEVICE), b"ABCD")
    sim.linux.dma_unmap_single(dev, address, 8, DMA_FROM_DEVICE)
    assert b"ABCD" == sim.cpu.read(buffer, 4)


def test_a_users_own_file_is_a_scenario(tmp_path: Path) -> None:
    """A file with one function of one argument can be run by its path."""
    path = tmp_path / "mine.py"
    path.write_text(
        "from dmaverify.sim.linux import DMA_TO_DEVICE\n"
        "def _part(sim):\n    pass\n"
        "def mine(sim):\n"
        '    """Do nothing much.\n\n    Expect: nothing\n    """\n'
        "    _part(sim)\n"
        "    sim.linux.probe(sim.device())\n"
    )

    assert ["mine:mine"] == [s.name for s in scenarios_in(path)]
    assert 5 == main(["simulate", str(path), "--output", "concise"])
