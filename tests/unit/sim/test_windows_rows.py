"""What a Windows driver's calls leave on the tape, and what they do where they are wrong."""

from pathlib import Path

import pytest

from dmaverify.cli import main
from dmaverify.errors import SimError
from dmaverify.model.kinds import Arg, Direction, EventKind, Flag
from dmaverify.model.routines import Routine
from dmaverify.pipeline.simulate import SimulateOptions, simulate
from dmaverify.sim.run import Pressure
from dmaverify.sim.scenario import built_in
from dmaverify.sim.scenarios._windows import KEEP_OBJECT, PAGE, Driver, driver
from dmaverify.sim.windows.names import DEVICE_DESCRIPTION
from dmaverify.sim.windows.operations3 import DMA_TRANSFER_CONTEXT
from tests.unit.sim.machines import Recorded

K = EventKind
DESCRIPTION = DEVICE_DESCRIPTION(Version=2, Master=True, ScatterGather=True,
                                 MaximumLength=15 * PAGE, Dma64BitAddresses=True)  # fmt: skip


def started(platform: str = "flat") -> tuple[Recorded, Driver]:
    """Return a machine and a driver on it; only what comes later is of interest."""
    run = Recorded(platform)
    return run, Driver(run.sim, DESCRIPTION)


def test_a_call_is_told_before_what_it_does() -> None:
    """A list: the level, the call, the mapping with all that it is made of, the level."""
    run, it = started()
    mdl = it.buffer()
    before = len(run.events())
    it.put(it.get(mdl, write=True), write=True)
    rows = run.events()[before:]

    assert [
        K.IO_FLUSH,
        K.IRQL, K.DMA_CALL, K.DMA_MAP, K.IRQL, K.IRQL, K.DMA_CALL, K.DMA_UNMAP, K.IRQL,
    ] == [e.kind for e in rows]  # fmt: skip
    assert [1, 2, 1, 0, 0, 2, 1, 0, 0] == [e.object for e in rows]
    assert {
        Arg.ADAPTER: 1, Arg.ROUTINE: Routine.GET_SCATTER_GATHER_LIST, Arg.FILE: 1, Arg.MDL: 1,
        Arg.REGISTERS: 1, Arg.OFFSET: 0, Arg.MDL_LENGTH: PAGE,
    } == dict(rows[3].args or {})  # fmt: skip
    assert Routine.PUT_SCATTER_GATHER_LIST == dict(rows[7].args or {})[Arg.ROUTINE]
    assert PAGE == rows[2].length


def test_linux_drivers_have_none_of_it() -> None:
    """No row of a Linux driver is of Windows' kinds, or has named numbers."""
    for scenario in built_in():
        if not scenario.name.startswith("linux_"):
            continue
        run = Recorded()
        scenario.function(run.sim)
        assert not [e for e in run.events() if e.kind >= K.IRQL or e.args], scenario.name


@pytest.mark.parametrize(
    ("length", "seen"), [(PAGE, b"xxxx"), (512, b"xx\0\0"), (512 + 1024, b"xxx\0")]
)
def test_a_flush_brings_back_what_it_names(length: int, seen: bytes) -> None:
    """Of a double buffer the part that is flushed is copied, and no more."""
    run, it = started("driver-verifier")
    mdl, base = it.buffer(), it.channel()
    it.dev.write(it.map(base, mdl), b"x" * PAGE)
    it.flush(base, mdl, length=length)
    places = (0, 511, 1024, PAGE - 1)

    assert seen == b"".join(run.sim.cpu.read(mdl.virt + at, 1) for at in places)


def test_a_flush_is_told_as_it_is_given() -> None:
    """Several mappings end by one flush, each with its part; what is too much is with the last."""
    run, it = started("driver-verifier")
    mdl, base = it.buffer(2 * PAGE), it.channel(2)
    it.map(base, mdl, offset=0)
    it.map(base, mdl, offset=PAGE)
    it.flush(base, mdl, length=2 * PAGE + 64, write=True)
    ends = [e for e in run.events() if e.kind is K.DMA_UNMAP]

    assert [(0, PAGE), (PAGE, PAGE + 64)] == [
        (dict(e.args or {})[Arg.OFFSET], e.length) for e in ends
    ]
    assert [Direction.TO_DEVICE] * 2 == [e.direction for e in ends]


def test_a_flush_of_nothing_has_no_address() -> None:
    """What is not mapped has no bus address to be told."""
    run, it = started()
    it.flush(it.channel(), it.buffer())
    (end,) = [e for e in run.events() if e.kind is K.DMA_UNMAP]

    assert end.flags & Flag.BUS_UNKNOWN


def test_the_life_of_a_channel() -> None:
    """Asked for, granted, kept, freed: one number all along."""
    run, it = started()
    base = it.channel(2, KEEP_OBJECT)
    with it.nt.at_dispatch():
        it.ops.FreeAdapterChannel(it.adapter)
    rows = [e for e in run.events() if K.CHANNEL_ALLOCATE <= e.kind <= K.CHANNEL_CANCEL]

    assert [K.CHANNEL_ALLOCATE, K.CHANNEL_GRANTED, K.CHANNEL_ACTION, K.CHANNEL_FREE] == [
        e.kind for e in rows
    ]
    assert {base.number} == {e.object for e in rows}
    assert KEEP_OBJECT == dict(rows[2].args or {})[Arg.ACTION]


def test_a_request_that_waits_has_its_number_already() -> None:
    """It can be cancelled by it; then it is never granted."""
    run = Recorded()
    with driver(run.sim, version=3) as it, it.nt.at_dispatch():
        first, second = DMA_TRANSFER_CONTEXT(), DMA_TRANSFER_CONTEXT()
        ops, adapter = it.ops, it.adapter
        ops.AllocateAdapterChannelEx(adapter, it.dev, first, it.registers)
        ops.AllocateAdapterChannelEx(adapter, it.dev, second, 1, 0, lambda *given: 2)
        assert ops.CancelAdapterChannel(adapter, it.dev, second)
        assert not ops.CancelAdapterChannel(adapter, it.dev, second)
        ops.FreeAdapterObject(adapter, 2)
    rows = [(e.kind, e.object, e.status) for e in run.events()
            if e.kind in (K.CHANNEL_ALLOCATE, K.CHANNEL_GRANTED, K.CHANNEL_CANCEL)]  # fmt: skip

    assert [
        (K.CHANNEL_ALLOCATE, 1, 0), (K.CHANNEL_GRANTED, 1, 0), (K.CHANNEL_ALLOCATE, 2, 0),
        (K.CHANNEL_CANCEL, 2, 1), (K.CHANNEL_CANCEL, 2, 0),
    ] == rows  # fmt: skip


@pytest.mark.parametrize(
    ("version", "width", "failed"), [(0, 64, False), (2, 64, False), (3, 0, False), (9, 0, True)]
)
def test_an_adapter_is_told_as_it_was_asked_for(version: int, width: int, failed: bool) -> None:
    """Version and width are the description's; what is granted is told where there is one."""
    run = Recorded()
    description = DEVICE_DESCRIPTION(Version=version, Dma64BitAddresses=True, MaximumLength=PAGE)
    run.sim.windows.IoGetDmaAdapter(run.sim.device(), description)
    call, got = run.events()

    assert K.DMA_CALL is call.kind
    args = dict(got.args or {})
    assert (version, width, PAGE) == (args[Arg.VERSION], args[Arg.WIDTH], got.length)
    assert failed == bool(got.flags & Flag.FAILED)
    assert failed == (Arg.GRANTED not in args)


def test_queries_for_physical_addresses_are_told() -> None:
    """Both ways to learn where memory lies are on the tape, with the address that was given."""
    run, it = started()
    mdl = it.buffer()
    address = it.nt.MmGetPhysicalAddress(mdl.virt + 8)
    it.nt.MmGetMdlPfnArray(mdl)
    asked = [e for e in run.events() if e.kind is K.PHYS_QUERY]

    assert [address, address - 8] == [e.phys_addr for e in asked]
    assert [PAGE - 8, PAGE] == [e.length for e in asked]


def test_a_null_base_ends_the_driver() -> None:
    """Where no map registers were granted, there is nothing to map by."""
    _, it = started()
    with pytest.raises(SimError, match="MapTransfer is given None as MapRegisterBase"):
        it.ops.MapTransfer(it.adapter, it.buffer(), None, 0, PAGE, True)


@pytest.mark.parametrize(("cut", "given"), [(1, 1), (2, 2), (-2, 2048), (0, 4096)])
def test_map_registers_are_cut_on_demand(cut: int, given: int) -> None:
    """`--map-registers` is a most, or half of what is asked for."""
    done = simulate("windows_transfers:no_cache_flush", SimulateOptions(pressure=Pressure(cut)))

    assert f"{given} max" in done.outcome.listing


@pytest.mark.parametrize(("partial", "mapped"), [(False, 2 * PAGE), (True, PAGE)])
def test_partial_transfers_on_demand(partial: bool, mapped: int, tmp_path: Path) -> None:
    """`--partial` lets MapTransferEx map half of what it is asked for."""
    path = tmp_path / "mine.py"
    path.write_text(
        "from dmaverify.sim.scenarios._windows import driver\n"
        "from dmaverify.sim.windows.operations3 import DMA_TRANSFER_CONTEXT\n"
        "def mine(sim):\n"
        "    with driver(sim, version=3) as it, it.nt.at_dispatch():\n"
        "        ops, mdl, context = it.ops, it.buffer(8192), DMA_TRANSFER_CONTEXT()\n"
        "        _, base = ops.AllocateAdapterChannelEx(it.adapter, it.dev, context, 2)\n"
        "        _, length, _ = ops.MapTransferEx(it.adapter, mdl, base, 0, 0, 8192, True)\n"
        "        ops.FlushAdapterBuffersEx(it.adapter, mdl, base, 0, length, True)\n"
        "        ops.FreeAdapterObject(it.adapter, 2)\n"
    )
    pressure = Pressure(partial=partial)
    done = simulate(str(path), SimulateOptions(pressure=pressure))

    assert done.outcome.error is None
    assert f"FlushAdapterBuffersEx(0x0, {mapped:#x})" in done.outcome.listing
    assert () == done.report.findings
    assert 0 == main(["simulate", "windows_transfers:version_3", "--partial"])


@pytest.mark.parametrize(("where", "found"), [("page", False), ("end", True), ("", False)])
def test_common_buffers_begin_where_it_is_asked(where: str, found: bool) -> None:
    """`--common-buffers` places them on pages, or at the end of them, on any platform."""
    name = "openib_rings:common_buffer_taken_as_aligned"
    done = simulate(name, SimulateOptions(pressure=Pressure(common_buffers=where)))

    assert found == bool(done.report.findings)
    assert 0 == main(["simulate", name, "--platform", "driver-verifier", "--common-buffers", "page"])


def test_the_listing_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    """`--dma` shows counters and the history at the end; a driver without adapters has none."""
    assert 0 == main(["simulate", "windows_adapters:good", "--dma", "--output", "concise"])
    shown = capsys.readouterr().err

    assert "adapter 1 of 0000:00:04.0" in shown
    assert "common buffers: 1 allocated, 1 freed" in shown
    assert "AllocateCommonBuffer(0x1000) windows_adapters.py:" in shown
    assert 0 == main(["simulate", "linux_unmap:good", "--dma", "--output", "concise"])
    assert "no adapter\n" == capsys.readouterr().err


@pytest.mark.parametrize("words", [["--map-registers", "0"], ["--map-registers", "some"]])
def test_a_wrong_count_is_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A count is a number from 1, or `half`."""
    assert 2 == main(["simulate", "windows_adapters:good", *words])
    assert "is neither 'half' nor a number from 1" in capsys.readouterr().err
