"""What Windows' routines promise, and what they do with a driver that breaks the promise."""

import pytest

from dmaverify.errors import SimError
from dmaverify.sim.windows import names as nt_names
from dmaverify.sim.windows.adapter import DMA_ADAPTER, RegisterFile
from dmaverify.sim.windows.mdl import MDL, AccessViolation
from dmaverify.sim.windows.names import (
    DEVICE_DESCRIPTION,
    IO_ALLOCATION_ACTION,
    SCATTER_GATHER_LIST,
    STATUS_BUFFER_TOO_SMALL,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_NONE_MAPPED,
    STATUS_SUCCESS,
)
from dmaverify.sim.windows.operations3 import DMA_TRANSFER_CONTEXT
from tests.unit.sim.machines import PLATFORMS, Recorded

PAGE = 4096


def adapter_on(run: Recorded, *, version: int = 2, length: int = 1 << 20,
               gathers: bool = True) -> DMA_ADAPTER:  # fmt: skip
    """Return an adapter of the machine's device."""
    dev = run.sim.device()
    run.sim.windows.AddDevice(dev)
    found, _ = run.sim.windows.IoGetDmaAdapter(dev, DEVICE_DESCRIPTION(
        Version=version, Master=True, ScatterGather=gathers, MaximumLength=length,
        Dma64BitAddresses=version < 3, DmaAddressWidth=64 if version == 3 else 0,
    ))  # fmt: skip
    assert found is not None
    return found


def buffer_of(run: Recorded, length: int) -> tuple[int, MDL]:
    """Return pool memory and its MDL."""
    nt = run.sim.windows
    virt = nt.ExAllocatePool2(length)
    mdl = nt.IoAllocateMdl(virt, length)
    nt.MmBuildMdlForNonPagedPool(mdl)
    return virt, mdl


def get(run: Recorded, adapter: DMA_ADAPTER, mdl: MDL, found: list[SCATTER_GATHER_LIST],
        write: bool = False) -> int:  # fmt: skip
    """Ask for a list; it is added to `found` when it is granted."""
    status: int = adapter.DmaOperations.GetScatterGatherList(
        adapter, adapter.device, mdl, mdl.virt, mdl.length,
        lambda dev, irp, made, context: found.append(made), None, write,
    )  # fmt: skip
    return status


@pytest.mark.parametrize(("version", "has_v3"), [(0, False), (1, False), (2, False), (3, True)])
def test_a_version_has_its_table(version: int, has_v3: bool) -> None:
    """Routines of version 3 are in the table of version 3 only."""
    adapter = adapter_on(Recorded(), version=version)

    assert has_v3 == hasattr(adapter.DmaOperations, "MapTransferEx")
    assert adapter.Version == 1


@pytest.mark.parametrize("version", [-1, 4, 255])
def test_an_unknown_version_gets_no_adapter(version: int) -> None:
    """IoGetDmaAdapter returns NULL for a version that it does not know."""
    run = Recorded()
    description = DEVICE_DESCRIPTION(Version=version, Master=True)

    assert (None, 0) == run.sim.windows.IoGetDmaAdapter(run.sim.device(), description)


@pytest.mark.parametrize(("cut", "expected"), [(0, 258), (1, 1), (2, 2), (-2, 129)])
def test_map_registers_can_be_cut(cut: int, expected: int) -> None:
    """The count that a driver gets can be made smaller than what it wished for."""
    run = Recorded()
    run.sim.windows.registers_cut = cut

    assert expected == adapter_on(run).registers


def test_a_list_waits_for_map_registers() -> None:
    """A list that finds no map registers is made when another one is put."""
    run = Recorded("driver-verifier")
    run.sim.windows.registers_cut = 2
    adapter, found = adapter_on(run), []
    first, second = buffer_of(run, 2 * PAGE)[1], buffer_of(run, PAGE)[1]

    assert STATUS_SUCCESS == get(run, adapter, first, found)
    assert STATUS_SUCCESS == get(run, adapter, second, found)
    assert 1 == len(found)
    adapter.DmaOperations.PutScatterGatherList(adapter, found[0], False)
    assert 2 == len(found)
    assert 1 == adapter.longest_run()


def test_more_registers_than_granted_are_refused() -> None:
    """No routine is run for a request that can never be met."""
    run = Recorded()
    run.sim.windows.registers_cut = 1
    adapter, found = adapter_on(run), []

    assert STATUS_INSUFFICIENT_RESOURCES == get(run, adapter, buffer_of(run, 2 * PAGE)[1], found)
    assert STATUS_INSUFFICIENT_RESOURCES == adapter.DmaOperations.AllocateAdapterChannel(
        adapter, adapter.device, 2, lambda *given: found.append(given) or 2
    )
    assert [] == found


def test_a_list_longer_than_its_chain_is_refused() -> None:
    """The MDL chain has to hold what is mapped."""
    run = Recorded()
    adapter = adapter_on(run)
    _, mdl = buffer_of(run, 100)
    status = adapter.DmaOperations.GetScatterGatherList(
        adapter, adapter.device, mdl, mdl.virt, 101, lambda *given: None, None, True
    )

    assert STATUS_BUFFER_TOO_SMALL == status


def test_a_chain_is_one_transfer() -> None:
    """Chained MDLs are mapped one after the other."""
    run = Recorded("iommu")
    adapter, found = adapter_on(run), []
    virt, mdl = buffer_of(run, 100)
    other, mdl.Next = buffer_of(run, 50)
    run.sim.cpu.write(virt, b"a" * 100)
    run.sim.cpu.write(other, b"b" * 50)
    adapter.DmaOperations.GetScatterGatherList(
        adapter, adapter.device, mdl, mdl.virt + 90, 60,
        lambda dev, irp, made, context: found.append(made), None, True,
    )  # fmt: skip
    dev = adapter.device

    seen = b"".join(dev.read(e.Address, e.Length) for e in found[0].Elements)
    assert b"a" * 10 + b"b" * 50 == seen


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_device_without_gathering_gets_one_piece(platform: str) -> None:
    """MapTransfer gives a device that can not gather one piece, over scattered pages too."""
    run = Recorded(platform)
    adapter = adapter_on(run, gathers=False)
    ops, data = adapter.DmaOperations, bytes(range(256)) * 48
    virt, mdl = buffer_of(run, len(data))
    run.sim.cpu.write(virt, data)
    run.sim.windows.KeFlushIoBuffers(mdl, False)
    held: list[RegisterFile] = []
    ops.AllocateAdapterChannel(
        adapter, adapter.device, 4,
        lambda dev, irp, base, context: held.append(base) or IO_ALLOCATION_ACTION.KeepObject,
    )  # fmt: skip
    logical, length = ops.MapTransfer(adapter, mdl, held[0], virt, len(data), True)

    assert len(data) == length
    assert data == adapter.device.read(logical, length)
    assert ops.FlushAdapterBuffers(adapter, mdl, held[0], virt, len(data), True)
    ops.FreeAdapterChannel(adapter)
    assert 0 == adapter.held
    assert () == run.effects()


def test_forced_bouncing_has_no_ceiling() -> None:
    """Under the verifier every page of a transfer has its own guarded buffer, the 500th too."""
    run = Recorded("driver-verifier")
    adapter, found = adapter_on(run, length=1 << 22), []
    virt, mdl = buffer_of(run, 500 * PAGE)
    get(run, adapter, mdl, found)
    element = found[0].Elements[-1]
    adapter.device.write(element.Address, b"x" * PAGE)

    assert 500 == len(found[0].Elements)
    assert bytes(PAGE) == run.sim.cpu.read(virt + 499 * PAGE, PAGE)
    adapter.DmaOperations.PutScatterGatherList(adapter, found[0], False)
    assert b"x" * PAGE == run.sim.cpu.read(virt + 499 * PAGE, PAGE)


@pytest.mark.parametrize(
    ("offset", "data"), [(-1, b"x"), (-8, b"x"), (-4000, b"x"), (100, b"x"), (107, b"x"), (5000, b"x")]
)  # fmt: skip
def test_guards_are_looked_at_when_a_list_is_put(offset: int, data: bytes) -> None:
    """A byte in a tag or in the padding, on either side, is seen at the flush."""
    run = Recorded("driver-verifier")
    adapter, found = adapter_on(run), []
    get(run, adapter, buffer_of(run, 100)[1], found)
    run.machine.real.write(found[0].Elements[0].Address + offset, data)
    adapter.DmaOperations.PutScatterGatherList(adapter, found[0], False)

    assert ("guard",) == run.effects()
    assert f"offset {offset}" in run.machine.effects.seen[0].text


def test_free_registers_are_looked_at() -> None:
    """A write into a bounce buffer that nobody holds is seen on demand, and at its next use."""
    for ask in (True, False):
        run = Recorded("driver-verifier")
        adapter, found = adapter_on(run), []
        _, mdl = buffer_of(run, 100)
        get(run, adapter, mdl, found)
        adapter.DmaOperations.PutScatterGatherList(adapter, found[0], False)
        run.machine.real.write(found[0].Elements[0].Address + 50, b"late")
        if ask:
            run.sim.windows.verify()
        else:
            get(run, adapter, mdl, found)

        assert ("guard",) == run.effects()


@pytest.mark.parametrize(("at_end", "aligned"), [(True, False), (False, True)])
def test_both_placements_of_common_buffers(at_end: bool, aligned: bool) -> None:
    """A common buffer begins at a page, or ends with its pages; its guards hold either way."""
    run = Recorded("driver-verifier")
    run.machine.common.at_end = at_end
    adapter = adapter_on(run)
    virt, logical = adapter.DmaOperations.AllocateCommonBuffer(adapter, PAGE)
    run.sim.cpu.write(virt, b"x" * PAGE)

    assert aligned == (logical % PAGE == 0)
    assert b"x" * PAGE == adapter.device.read(logical, PAGE)
    adapter.DmaOperations.FreeCommonBuffer(adapter, PAGE, logical, virt)
    assert () == run.effects()


def test_a_common_buffer_has_guards() -> None:
    """One byte past a common buffer is seen when it is freed."""
    run = Recorded("driver-verifier")
    adapter = adapter_on(run)
    virt, logical = adapter.DmaOperations.AllocateCommonBuffer(adapter, 100)
    run.sim.cpu.write(virt + 100, b"x")
    adapter.DmaOperations.FreeCommonBuffer(adapter, 100, logical, virt)

    assert ("guard",) == run.effects()


def test_the_listing_counts_both_sides() -> None:
    """What `!dma` shows can be had at any moment, with the history of calls."""
    run = Recorded()
    adapter, found = adapter_on(run), []
    get(run, adapter, buffer_of(run, 3 * PAGE)[1], found)
    text = run.sim.windows.listing()

    assert "map registers: 1 mapped, 3 allocated, 258 max" in text
    assert "scatter/gather lists: 1 allocated, 0 freed" in text
    assert f"bytes mapped since last flush: {3 * PAGE}" in text
    assert "GetScatterGatherList" in text
    assert "test_windows.py" in text
    adapter.DmaOperations.PutScatterGatherList(adapter, found[0], False)
    adapter.DmaOperations.PutScatterGatherList(adapter, found[0], False)
    assert "scatter/gather lists: 1 allocated, 2 freed" in run.sim.windows.listing()


def test_a_null_adapter_ends_the_driver() -> None:
    """A call with a NULL adapter is where a real system stops."""
    adapter = adapter_on(Recorded())

    with pytest.raises(SimError, match="NULL adapter"):
        adapter.DmaOperations.PutDmaAdapter(None)


def test_vectors_give_common_buffers_of_one_size() -> None:
    """Elements of a vector are common buffers, each freed once."""
    run = Recorded("iommu")
    adapter = adapter_on(run, version=3)
    ops = adapter.DmaOperations
    status, vector = ops.AllocateCommonBufferVector(adapter, 0, 0, 1, 0, 0, 3, 512)
    pairs = [ops.GetCommonBufferFromVectorByIndex(adapter, vector, i) for i in range(3)]

    assert STATUS_SUCCESS == status
    assert 3 == len({logical for _, logical in pairs})
    assert (0, 0) == ops.GetCommonBufferFromVectorByIndex(adapter, vector, 3)
    for i in (0, 1, 1, 2, 7):
        ops.FreeCommonBufferFromVector(adapter, vector, i)
    ops.FreeCommonBufferVector(adapter, vector)
    assert 3 == run.kinds().count("dma_free")  # what is not there is not freed
    assert {} == adapter.buffers


def test_a_waiting_channel_can_be_cancelled() -> None:
    """A request that was cancelled before it was granted never runs its routine."""
    run = Recorded()
    run.sim.windows.registers_cut = 1
    adapter = adapter_on(run, version=3)
    ops, first, second = adapter.DmaOperations, DMA_TRANSFER_CONTEXT(), DMA_TRANSFER_CONTEXT()
    ran: list[object] = []

    def control(dev: object, irp: object, base: object, context: object) -> int:
        ran.append(context)
        return IO_ALLOCATION_ACTION.DeallocateObjectKeepRegisters

    for name, context in (("first", first), ("second", second)):
        ops.InitializeDmaTransferContext(adapter, context)
        ops.AllocateAdapterChannelEx(adapter, adapter.device, context, 1, 0, control, name)
    assert not ops.CancelAdapterChannel(adapter, adapter.device, first)
    assert ops.CancelAdapterChannel(adapter, adapter.device, second)
    ops.FreeMapRegisters(adapter, first.file, 1)

    assert ["first"] == ran


@pytest.mark.parametrize(
    ("platform", "copied"),
    [("flat", False), ("iommu", False), ("driver-verifier", True), ("mask-32", True)],
)
def test_an_mdl_of_a_list_tells_of_a_copy(platform: str, copied: bool) -> None:
    """BuildMdlFromScatterGatherList gives the original where nothing was copied."""
    run = Recorded(platform)
    adapter, found = adapter_on(run), []
    _, mdl = buffer_of(run, PAGE)
    get(run, adapter, mdl, found)
    build = adapter.DmaOperations.BuildMdlFromScatterGatherList
    status, made = build(adapter, found[0], mdl)
    again, _ = build(adapter, found[0], mdl)

    assert STATUS_SUCCESS == status
    assert copied == (made is not mdl)
    assert (STATUS_NONE_MAPPED if copied else STATUS_SUCCESS) == again


@pytest.mark.parametrize("platform", PLATFORMS)
def test_persistent_mappings_are_given_or_refused(platform: str) -> None:
    """CreateCommonBufferFromMdl says no where the platform would have to bounce."""
    run = Recorded(platform)
    adapter, nt = adapter_on(run, version=3), run.sim.windows
    virt = nt.user_memory(2 * PAGE)
    mdl = nt.IoAllocateMdl(virt, 2 * PAGE)
    nt.MmProbeAndLockPages(mdl)
    nt.MmGetSystemAddressForMdlSafe(mdl)
    whole, _ = adapter.DmaOperations.CreateCommonBufferFromMdl(adapter, mdl)
    page, _ = adapter.DmaOperations.CreateCommonBufferFromMdl(adapter, mdl, PAGE, PAGE)
    remapped = platform in ("iommu", "iommu-lazy", "nested")
    refused = platform in ("mask-32", "confidential-vm")

    assert (STATUS_SUCCESS if remapped else STATUS_INSUFFICIENT_RESOURCES) == whole
    assert (STATUS_INSUFFICIENT_RESOURCES if refused else STATUS_SUCCESS) == page


def test_an_unlocked_mdl_has_no_pages() -> None:
    """An MDL that was never locked or built can not be mapped or used."""
    run = Recorded()
    adapter, nt = adapter_on(run), run.sim.windows
    mdl = nt.IoAllocateMdl(nt.user_memory(PAGE), PAGE)

    with pytest.raises(SimError, match="lock or build"):
        get(run, adapter, mdl, [])
    with pytest.raises(SimError, match="lock or build"):
        nt.MmMapLockedPagesSpecifyCache(mdl)
    with pytest.raises(AccessViolation):
        nt.MmProbeAndLockPages(nt.IoAllocateMdl(0x1000, PAGE))


def test_pool_pages_do_not_follow_each_other() -> None:
    """A physical address is good for one page, not for the next."""
    run = Recorded()
    nt = run.sim.windows
    virt = nt.ExAllocatePool2(2 * PAGE)

    assert nt.MmGetPhysicalAddress(virt) + PAGE != nt.MmGetPhysicalAddress(virt + PAGE)
    assert 0 == nt.MmGetPhysicalAddress(0x1234)


def test_irql_goes_up_and_down() -> None:
    """Callbacks run at DISPATCH_LEVEL, and the level is what it was afterwards."""
    run = Recorded()
    nt, adapter = run.sim.windows, adapter_on(run)
    levels: list[int] = []
    adapter.DmaOperations.AllocateAdapterChannel(
        adapter, adapter.device, 1, lambda *given: levels.append(nt.irql) or 2
    )

    assert [nt_names.DISPATCH_LEVEL] == levels
    assert nt_names.PASSIVE_LEVEL == nt.irql
    with nt.at_dispatch(), pytest.raises(SimError, match="down"):
        nt.KeRaiseIrql(nt_names.PASSIVE_LEVEL)
    with pytest.raises(SimError, match="up"):
        nt.KeLowerIrql(nt_names.DISPATCH_LEVEL)


def test_unknown_calls_are_told() -> None:
    """A call that the system does not have is no silent nothing."""
    with pytest.raises(AttributeError, match="HalAllocateCommonBuffer"):
        Recorded().sim.windows.HalAllocateCommonBuffer()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_domain_is_shared(platform: str) -> None:
    """Devices that joined one domain use the same logical addresses; without one there is none."""
    run = Recorded(platform)
    adapter = adapter_on(run, version=3)
    ops, second = adapter.DmaOperations, run.sim.device("0000:00:05.0")
    description = DEVICE_DESCRIPTION(Version=3, Master=True, ScatterGather=True,
                                     MaximumLength=PAGE, DmaAddressWidth=64)  # fmt: skip
    other, _ = run.sim.windows.IoGetDmaAdapter(second, description)
    assert other is not None
    domain = ops.GetDmaDomain(adapter)
    translates = platform in ("iommu", "iommu-lazy", "nested")

    assert translates == (domain is not None)
    assert translates == (ops.JoinDmaDomain(other, domain) == STATUS_SUCCESS)
    status, logical, virt = ops.AllocateDomainCommonBuffer(adapter, domain, None, 512)
    run.sim.cpu.write(virt, b"shared")
    assert STATUS_SUCCESS == status
    assert b"shared" == second.read(logical, 6)
    ops.LeaveDmaDomain(other)
    second.read(logical, 6)
    assert translates == (second.errors == 1)


def test_an_adapter_tells_what_it_can() -> None:
    """The width is the device's, the limit of elements that of its map registers."""
    run = Recorded()
    adapter = adapter_on(run, version=3, length=PAGE)
    status, info = adapter.DmaOperations.GetDmaAdapterInfo(adapter)

    assert STATUS_SUCCESS == status
    assert (3, 64) == (info.ScatterGatherLimit, info.DmaAddressWidth)


def test_a_list_into_too_small_a_buffer_is_refused() -> None:
    """BuildScatterGatherListEx needs the room that GetDmaTransferInfo tells."""
    run = Recorded()
    adapter = adapter_on(run, version=3)
    ops, (_, mdl) = adapter.DmaOperations, buffer_of(run, 2 * PAGE)
    _, info = ops.GetDmaTransferInfo(adapter, mdl, 0, 2 * PAGE, True)
    size, context = info.ScatterGatherListSize, DMA_TRANSFER_CONTEXT()
    given = (adapter, adapter.device, context, mdl, 0, 2 * PAGE, 0, None, None, True)

    assert (STATUS_BUFFER_TOO_SMALL, None) == ops.BuildScatterGatherListEx(*given, size - 1)
    status, made = ops.BuildScatterGatherListEx(*given, size)
    assert STATUS_SUCCESS == status
    assert 2 * PAGE == sum(e.Length for e in made.Elements)


@pytest.mark.parametrize("version", [2, 3])
def test_version_3_looks_after_caches(version: int) -> None:
    """Without a flush of the driver's a device reads old bytes by version 2, and new ones by 3."""
    run = Recorded("non-coherent")
    adapter, found = adapter_on(run, version=version), []
    virt, mdl = buffer_of(run, PAGE)
    run.sim.cpu.write(virt, b"new")
    get(run, adapter, mdl, found, write=True)

    seen = adapter.device.read(found[0].Elements[0].Address, 3)
    assert (b"new" if version == 3 else b"\0\0\0") == seen


def test_dma_operations_are_complete() -> None:
    """The tables have every member that the documentation lists for their version."""
    first = [
        "PutDmaAdapter",
        "AllocateCommonBuffer",
        "FreeCommonBuffer",
        "AllocateAdapterChannel",
        "FlushAdapterBuffers",
        "FreeAdapterChannel",
        "FreeMapRegisters",
        "MapTransfer",
        "GetDmaAlignment",
        "ReadDmaCounter",
        "GetScatterGatherList",
        "PutScatterGatherList",
        "CalculateScatterGatherList",
        "BuildScatterGatherList",
        "BuildMdlFromScatterGatherList",
    ]
    third = [
        "GetDmaAdapterInfo",
        "GetDmaTransferInfo",
        "InitializeDmaTransferContext",
        "AllocateCommonBufferEx",
        "AllocateAdapterChannelEx",
        "ConfigureAdapterChannel",
        "CancelAdapterChannel",
        "MapTransferEx",
        "GetScatterGatherListEx",
        "BuildScatterGatherListEx",
        "FlushAdapterBuffersEx",
        "FreeAdapterObject",
        "CancelMappedTransfer",
        "AllocateDomainCommonBuffer",
        "FlushDmaBuffer",
        "JoinDmaDomain",
        "LeaveDmaDomain",
        "GetDmaDomain",
        "AllocateCommonBufferWithBounds",
        "AllocateCommonBufferVector",
        "GetCommonBufferFromVectorByIndex",
        "FreeCommonBufferFromVector",
        "FreeCommonBufferVector",
        "CreateCommonBufferFromMdl",
    ]
    old = adapter_on(Recorded(), version=2).DmaOperations
    new = adapter_on(Recorded(), version=3).DmaOperations

    assert [] == [n for n in first if not hasattr(old, n)]
    assert [] == [n for n in first + third if not hasattr(new, n)]
