"""Two translations: the guest's, and the hypervisor's behind it."""

from dmaverify.model.kinds import EventKind
from dmaverify.sim.device import Device
from dmaverify.sim.effects import EffectKind
from dmaverify.sim.linux import DMA_FROM_DEVICE
from tests.unit.sim.machines import Recorded


def started() -> tuple[Recorded, Device]:
    """Return a machine with two translations, and a device with a driver."""
    run = Recorded("nested")
    dev = run.sim.device()
    run.sim.linux.probe(dev)
    return run, dev


def test_a_fault_of_the_second_stage_is_told_with_both_addresses() -> None:
    """The bus address that the device used, and the guest-physical one that the host has not."""
    run, dev = started()
    registers = run.sim.device("0000:00:05.0").registers()
    address = run.sim.linux.dma_map_resource(dev, registers, 64, DMA_FROM_DEVICE)
    dev.write(address + 8, b"ring")
    (fault,) = [e for e in run.events() if e.kind is EventKind.DEV_FAULT]
    (effect,) = run.machine.effects.seen

    assert (address + 8, registers + 8) == (fault.bus_addr, fault.phys_addr)
    assert EffectKind.FAULT is effect.kind
    assert f"bus {address + 8:#x} refused: guest-physical {registers + 8:#x}" in effect.text


def test_a_fault_of_the_first_stage_has_no_guest_address() -> None:
    """Where the guest's own translation refuses, nothing reaches the second one."""
    run, dev = started()
    dev.write(0x1000, b"x")
    (fault,) = [e for e in run.events() if e.kind is EventKind.DEV_FAULT]

    assert fault.flags & 2  # Flag.PHYS_UNKNOWN
    assert "the IOMMU lets nothing through there" in run.machine.effects.seen[0].text


def test_the_host_has_numbers_of_its_own() -> None:
    """Pages that follow each other in the guest do not on the host, and none keeps its number."""
    run, _ = started()
    second = run.machine.bus._second
    assert second is not None
    guest = [0x100000, 0x100001, 0x100002, 0x1000]
    host = [second.host(pfn) for pfn in guest]

    assert host == [second.host(pfn) for pfn in guest]
    assert 4 == len({*host} - {*guest})
    assert host[0] is not None
    assert host[0] + 1 not in host


def test_what_is_touched_by_mistake_is_told_with_the_hosts_address() -> None:
    """Bytes beside a mapping: bus, guest-physical and host-physical address in one line."""
    run, dev = started()
    buffer = run.sim.linux.kmalloc(512)
    address = run.sim.linux.dma_map_single(dev, buffer, 512, DMA_FROM_DEVICE)
    dev.write(address + 512, b"too far")
    (effect,) = run.machine.effects.seen

    assert EffectKind.FOREIGN is effect.kind
    assert "physical 0x100000" in effect.text
    assert ", host-physical 0x2400000" in effect.text
