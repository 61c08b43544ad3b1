"""What Linux' calls do on each machine."""

import pytest

from dmaverify.errors import SimError
from dmaverify.sim.linux import (
    DMA_BIDIRECTIONAL,
    DMA_FROM_DEVICE,
    DMA_MAPPING_ERROR,
    DMA_NONE,
    DMA_TO_DEVICE,
    ScatterEntry,
)
from dmaverify.sim.memory import DIRECT, PAGE
from tests.unit.sim.machines import PLATFORMS, Recorded

SIZE = 1500
DATA = bytes(i * 7 % 256 for i in range(SIZE))


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("direction", [DMA_FROM_DEVICE, DMA_BIDIRECTIONAL])
def test_what_the_device_writes_is_there_after_the_unmap(platform: str, direction: int) -> None:
    """On every machine a driver that keeps the contract gets its bytes."""
    run = Recorded(platform)
    linux, dev = run.sim.linux, run.sim.device()
    buffer = linux.kmalloc(SIZE)
    address = linux.dma_map_single(dev, buffer, SIZE, direction)
    assert dev.write(address, DATA)
    linux.dma_unmap_single(dev, address, SIZE, direction)

    assert DATA == run.sim.cpu.read(buffer, SIZE)
    assert () == run.effects()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_the_cpu_wrote_is_read_by_the_device(platform: str) -> None:
    """On every machine the device reads what was written before the map, and before a sync."""
    run = Recorded(platform)
    linux, dev = run.sim.linux, run.sim.device()
    buffer = linux.kmalloc(SIZE)
    run.sim.cpu.write(buffer, DATA)
    address = linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)

    assert DATA == dev.read(address, SIZE)
    linux.dma_sync_single_for_cpu(dev, address, SIZE, DMA_TO_DEVICE)
    run.sim.cpu.write(buffer, DATA[::-1])
    linux.dma_sync_single_for_device(dev, address, SIZE, DMA_TO_DEVICE)
    assert DATA[::-1] == dev.read(address, SIZE)
    linux.dma_unmap_single(dev, address, SIZE, DMA_TO_DEVICE)
    assert () == run.effects()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_partial_sync_hands_over_its_bytes_only(platform: str) -> None:
    """A sync of 100 bytes makes those right; the rest is as old as the machine keeps it."""
    run = Recorded(platform)
    linux, dev = run.sim.linux, run.sim.device()
    buffer = linux.kmalloc(SIZE)
    address = linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
    dev.write(address, DATA)
    linux.dma_sync_single_for_cpu(dev, address, 100, DMA_FROM_DEVICE)

    assert DATA[:100] == run.sim.cpu.read(buffer, 100)
    assert () == run.effects()
    late = run.sim.cpu.read(buffer + 128, 100)
    hides = platform in ("driver-verifier", "confidential-vm", "mask-32", "non-coherent")
    assert hides == (late != DATA[128:228])
    assert (("stale",) if hides else ()) == run.effects()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_lists_are_mapped_entry_by_entry(platform: str) -> None:
    """Each entry of a list is where the device is told."""
    run = Recorded(platform)
    linux, dev = run.sim.linux, run.sim.device()
    entries = [ScatterEntry(linux.kmalloc(n), n) for n in (64, 1000, 2000, 8192)]

    assert 4 == linux.dma_map_sg(dev, entries, DMA_FROM_DEVICE)
    for i, entry in enumerate(entries):
        dev.write(entry.dma_address, bytes([i + 1]) * entry.dma_length)
    linux.dma_unmap_sg(dev, entries, DMA_FROM_DEVICE)
    for i, entry in enumerate(entries):
        assert bytes([i + 1]) * entry.length == run.sim.cpu.read(entry.virt, entry.length)
    assert () == run.effects()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_iommu_joins_whole_pages(platform: str) -> None:
    """Pages of a list follow each other behind an IOMMU, as far as a segment may be long."""
    run = Recorded(platform)
    linux, dev = run.sim.linux, run.sim.device()
    linux.dma_set_max_seg_size(dev, 3 * 4096)
    entries = [ScatterEntry(linux.alloc_pages(1), 4096) for _ in range(4)]
    joins = platform in ("iommu", "iommu-lazy", "nested")

    assert (2 if joins else 4) == linux.dma_map_sg(dev, entries, DMA_FROM_DEVICE)
    assert ([12288, 4096, 0, 0] if joins else [4096] * 4) == [e.dma_length for e in entries]
    pages = [bytes([i + 1]) * 4096 for i in range(4)]
    told = [e for e in entries if e.dma_length]
    data = b"".join(pages)
    for entry in told:
        dev.write(entry.dma_address, data[: entry.dma_length])
        data = data[entry.dma_length :]
    linux.dma_sync_sg_for_cpu(dev, entries, DMA_FROM_DEVICE)
    assert pages == [run.sim.cpu.read(e.virt, 4096) for e in entries]
    linux.dma_unmap_sg(dev, entries, DMA_FROM_DEVICE)
    assert () == run.effects()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_coherent_memory_needs_no_sync(platform: str) -> None:
    """CPU and device see each other's bytes at once."""
    run = Recorded(platform)
    linux, dev = run.sim.linux, run.sim.device()
    ring, address = linux.dma_alloc_coherent(dev, SIZE)
    run.sim.cpu.write(ring, DATA)

    assert DATA == dev.read(address, SIZE)
    dev.write(address, DATA[::-1])
    assert DATA[::-1] == run.sim.cpu.read(ring, SIZE)
    linux.dma_free_coherent(dev, SIZE, ring, address)
    assert () == run.effects()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_noncoherent_memory_needs_syncs(platform: str) -> None:
    """Memory of dma_alloc_noncoherent is right with syncs, wherever caches are."""
    run = Recorded(platform)
    linux, dev = run.sim.linux, run.sim.device()
    memory, address = linux.dma_alloc_noncoherent(dev, SIZE, DMA_BIDIRECTIONAL)
    run.sim.cpu.write(memory, DATA)
    linux.dma_sync_single_for_device(dev, address, SIZE, DMA_BIDIRECTIONAL)

    assert DATA == dev.read(address, SIZE)
    dev.write(address, DATA[::-1])
    linux.dma_sync_single_for_cpu(dev, address, SIZE, DMA_BIDIRECTIONAL)
    assert DATA[::-1] == run.sim.cpu.read(memory, SIZE)
    linux.dma_free_noncoherent(dev, SIZE, memory, address, DMA_BIDIRECTIONAL)
    assert () == run.effects()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_pages_are_the_same_memory_by_their_number(platform: str) -> None:
    """dma_alloc_pages gives a page frame, and all of it goes back."""
    run = Recorded(platform)
    linux, dev = run.sim.linux, run.sim.device()
    assert 0 == linux.dma_set_mask_and_coherent(dev, (1 << 64) - 1)
    page, address = linux.dma_alloc_pages(dev, SIZE, DMA_BIDIRECTIONAL)
    run.sim.cpu.write(DIRECT + page * PAGE, DATA)
    linux.dma_sync_single_for_device(dev, address, SIZE, DMA_BIDIRECTIONAL)

    assert DATA == dev.read(address, SIZE)
    linux.dma_free_pages(dev, SIZE, page, address, DMA_BIDIRECTIONAL)
    assert () == run.effects()
    assert ["dma_alloc", "dma_free"] == [k for k in run.kinds() if k.startswith("dma_") and "sync" not in k]


def test_a_strict_iommu_forgets_at_once_and_a_lazy_one_does_not() -> None:
    """Behind a lazy IOMMU a late write gets through for 10 ms, or for 256 unmaps."""
    for platform, wait_ns, others, through in (
        ("iommu", 0, 0, False), ("iommu-lazy", 0, 0, True), ("iommu-lazy", 11_000_000, 0, False),
        ("iommu-lazy", 0, 200, True), ("iommu-lazy", 0, 256, False),
    ):  # fmt: skip
        run = Recorded(platform)
        linux, dev = run.sim.linux, run.sim.device()
        buffer, other = linux.kmalloc(SIZE), linux.kmalloc(SIZE)
        address = linux.dma_map_single(dev, buffer, SIZE, DMA_FROM_DEVICE)
        linux.dma_unmap_single(dev, address, SIZE, DMA_FROM_DEVICE)
        for _ in range(others):
            more = linux.dma_map_single(dev, other, SIZE, DMA_FROM_DEVICE)
            assert more != address
            linux.dma_unmap_single(dev, more, SIZE, DMA_FROM_DEVICE)
        run.sim.sleep(wait_ns)

        assert through == dev.write(address, DATA), (platform, wait_ns, others)


def test_a_device_that_reaches_little_is_bounced() -> None:
    """dma_set_mask decides what is bounced, on a machine without an IOMMU."""
    run = Recorded("flat")
    linux, dev = run.sim.linux, run.sim.device()
    buffer = linux.kmalloc(SIZE)
    wide = linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)
    linux.dma_unmap_single(dev, wide, SIZE, DMA_TO_DEVICE)

    assert wide > 0xFFFF_FFFF
    assert -5 == linux.dma_set_mask(dev, 0xFFFF)
    assert 0 == linux.dma_set_mask(dev, 0xFFFF_FFFF)
    assert linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE) <= 0xFFFF_FFFF
    assert 1 == run.kinds().count("bounce")


def test_a_machine_that_can_not_map_says_so() -> None:
    """A 32-bit device behind a bus that begins above 4 GiB gets no mapping at all."""
    run = Recorded("bus-offset")
    linux, dev = run.sim.linux, run.sim.device()
    linux.dma_set_mask(dev, 0xFFFF_FFFF)
    buffer = linux.kmalloc(SIZE)

    assert DMA_MAPPING_ERROR == linux.dma_map_single(dev, buffer, SIZE, DMA_TO_DEVICE)
    assert 0 == linux.dma_map_sg(dev, [ScatterEntry(buffer, SIZE)], DMA_TO_DEVICE)
    assert (0, DMA_MAPPING_ERROR) == linux.dma_alloc_coherent(dev, SIZE)
    assert ("refused",) == run.effects()


def test_an_iommu_runs_out_of_addresses() -> None:
    """A driver that never unmaps gets no mapping in the end, and the machine goes on."""
    run = Recorded("iommu")
    linux, dev = run.sim.linux, run.sim.device()
    page = linux.alloc_pages(1024)
    found = 0
    while linux.dma_map_single(dev, page, 1024 * 4096, DMA_TO_DEVICE) != DMA_MAPPING_ERROR:
        found += 1

    assert 512 == found


@pytest.mark.parametrize("platform", ["iommu", "nested"])
def test_bus_addresses_are_never_physical_ones(platform: str) -> None:
    """Behind an IOMMU no bus address lies where memory is."""
    run = Recorded(platform)
    linux, dev = run.sim.linux, run.sim.device()
    for _ in range(50):
        address = linux.dma_map_single(dev, linux.kmalloc(SIZE), SIZE, DMA_TO_DEVICE)

        assert not run.machine.real.backed(address, 1)


def test_two_devices_have_their_own_bus_addresses() -> None:
    """Behind an IOMMU equal addresses of two devices mean different memory."""
    run = Recorded("iommu")
    linux, first, second = run.sim.linux, run.sim.device("a"), run.sim.device("b")
    one, two = linux.kmalloc(SIZE), linux.kmalloc(SIZE)
    at = linux.dma_map_single(first, one, SIZE, DMA_FROM_DEVICE)

    assert at >> 12 == linux.dma_map_single(second, two, SIZE, DMA_FROM_DEVICE) >> 12
    first.write(at, DATA)
    linux.dma_unmap_single(first, at, SIZE, DMA_FROM_DEVICE)
    assert DATA == run.sim.cpu.read(one, SIZE)
    assert bytes(SIZE) == run.sim.cpu.read(two, SIZE)


def test_memory_is_given_again() -> None:
    """Freed memory comes back empty, and its old pages are not taken for the new ones."""
    run = Recorded("non-coherent")
    linux = run.sim.linux
    for size in (64, 4096, 3 * 4096):
        first = linux.kmalloc(size)
        run.sim.cpu.write(first, b"x" * size)
        linux.kfree(first)
        second = linux.kmalloc(size)

        assert first == second
        assert bytes(size) == run.sim.cpu.read(second, size) or size < 4096
    assert () == run.effects()


@pytest.mark.parametrize(
    "call",
    [
        lambda sim: sim.linux.kfree(0x1234),
        lambda sim: sim.linux.kmalloc(0),
        lambda sim: sim.linux.kmalloc(-1),
        lambda sim: sim.linux.dma_alloc_coherent(sim.device(), 0),
        lambda sim: sim.linux.dma_map_single(sim.device(), 0x1234, 64, DMA_TO_DEVICE),
        lambda sim: sim.linux.dma_map_sg(sim.device(), [], DMA_TO_DEVICE),
        lambda sim: sim.cpu.read(0, 1),
        lambda sim: sim.cpu.write(0, b"x"),
        lambda sim: sim.device().read(2**64 - 1, 2),
        lambda sim: sim.device().write(0, b""),
        lambda sim: sim.sleep(-1),
    ],
)
def test_misuse_is_told(call: object) -> None:
    """What no machine could do raises, and names what was asked for."""
    with pytest.raises(SimError):
        call(Recorded().sim)  # type: ignore[operator]


def test_no_direction_is_recorded_and_refused() -> None:
    """A mapping without a direction is a mistake, not a crash."""
    run = Recorded()
    linux = run.sim.linux

    assert DMA_MAPPING_ERROR == linux.dma_map_single(
        run.sim.device(), linux.kmalloc(64), 64, DMA_NONE
    )
    assert "dma_map" == run.kinds()[-1]
