"""Transfers and registrations of an InfiniBand driver for Windows."""

from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._hca import (
    PAGE,
    Region,
    get_adapter,
    get_list,
    pages_of,
    put_list,
    start,
)
from dmaverify.sim.windows.mdl import MDL
from dmaverify.sim.windows.names import (
    DEVICE_DESCRIPTION_VERSION3,
    LOCK_OPERATION,
    STATUS_SUCCESS,
)

SENT = b"from the application".ljust(256, b".")
RECEIVED = b"from the other side".ljust(256, b".")
LENGTH = 3 * PAGE
OFFSET = 0x200


def per_request(sim: Simulation) -> None:
    """(c) An upper-level protocol maps each request by a list of its own, and puts it.

    Expect: nothing
    """
    hca, adapter = start(sim)
    nt = sim.windows
    for to_device in (True, False, True, False):
        virt = nt.ExAllocatePool2(LENGTH)
        mdl = nt.IoAllocateMdl(virt, LENGTH)
        nt.MmBuildMdlForNonPagedPool(mdl)
        if to_device:
            sim.cpu.write(virt + PAGE, SENT)
        nt.KeFlushIoBuffers(mdl, not to_device)
        made = get_list(sim, adapter, mdl, to_device)
        region = Region(hca, pages_of(made), 0, LENGTH)
        if to_device:
            sim.expect(region.read(len(SENT), PAGE), SENT)
        else:
            region.write(RECEIVED * (LENGTH // len(RECEIVED)))
        put_list(sim, adapter, made, to_device)
        if not to_device:
            sim.expect(sim.cpu.read(virt, LENGTH), RECEIVED * (LENGTH // len(RECEIVED)))
        nt.IoFreeMdl(mdl)
        nt.ExFreePool(virt)
    adapter.DmaOperations.PutDmaAdapter(adapter)
    nt.RemoveDevice(hca)


def _lock(sim: Simulation, virt: int, length: int) -> tuple[MDL, int]:
    """Lock an application's buffer for as long as it is registered."""
    nt = sim.windows
    mdl = nt.IoAllocateMdl(virt, length)
    nt.MmProbeAndLockPages(mdl, 1, LOCK_OPERATION.IoModifyAccess)
    return mdl, nt.MmSecureVirtualMemory(virt, length)


def _unlock(sim: Simulation, mdl: MDL, handle: int) -> None:
    nt = sim.windows
    nt.MmUnsecureVirtualMemory(handle)
    nt.MmUnlockPages(mdl)
    nt.IoFreeMdl(mdl)


def _receive(sim: Simulation, region: Region, virt: int) -> None:
    """Let data come in while the application polls: no call of the kernel in between."""
    for at in (0, PAGE, 2 * PAGE - OFFSET):
        region.write(RECEIVED, at)
        sim.expect(sim.cpu.read(virt + at, len(RECEIVED)), RECEIVED)


def _send(sim: Simulation, region: Region, virt: int) -> None:
    for at in (512, PAGE + 512):
        sim.cpu.write(virt + at, SENT)
        sim.expect(region.read(len(SENT), at), SENT)


def list_held(sim: Simulation) -> None:
    """(d) A registration is a scatter/gather list held for its life; data only comes in.

    Works as long as nothing is bounced and caches see the device: no list is put before the
    application looks.

    Expect: missing-sync-for-cpu
    Outcome: stale on driver-verifier, mask-32, confidential-vm, non-coherent
    """
    hca, adapter = start(sim)
    virt = sim.windows.user_memory(LENGTH, OFFSET)
    mdl, handle = _lock(sim, virt, LENGTH)
    sim.windows.KeFlushIoBuffers(mdl, True)
    made = get_list(sim, adapter, mdl, False)
    _receive(sim, Region(hca, pages_of(made), OFFSET, LENGTH), virt)
    put_list(sim, adapter, made, False)
    _unlock(sim, mdl, handle)
    adapter.DmaOperations.PutDmaAdapter(adapter)
    sim.windows.RemoveDevice(hca)


def list_held_both_ways(sim: Simulation) -> None:
    """(d) The same region is sent from too, and a list has one direction.

    Expect: missing-sync-for-cpu, device-access-wrong-direction
    Outcome: fault on iommu, iommu-lazy, nested; stale on non-coherent;
      stale and lost on driver-verifier, mask-32, confidential-vm
    """
    hca, adapter = start(sim)
    virt = sim.windows.user_memory(LENGTH, OFFSET)
    mdl, handle = _lock(sim, virt, LENGTH)
    sim.windows.KeFlushIoBuffers(mdl, True)
    made = get_list(sim, adapter, mdl, False)
    region = Region(hca, pages_of(made), OFFSET, LENGTH)
    _receive(sim, region, virt)
    _send(sim, region, virt)
    put_list(sim, adapter, made, False)
    _unlock(sim, mdl, handle)
    adapter.DmaOperations.PutDmaAdapter(adapter)
    sim.windows.RemoveDevice(hca)


def mdl_addresses(sim: Simulation) -> None:
    """(e) A registration holds the physical pages of the locked MDL.

    Expect: device-access-unmapped
    Outcome: fault on iommu, iommu-lazy, nested, confidential-vm; lost and foreign on bus-offset;
      lost and foreign on mask-32; stale on non-coherent
    """
    hca = sim.device()
    sim.windows.AddDevice(hca)
    virt = sim.windows.user_memory(LENGTH, OFFSET)
    mdl, handle = _lock(sim, virt, LENGTH)
    pages = [pfn * PAGE for pfn in sim.windows.MmGetMdlPfnArray(mdl)]
    region = Region(hca, pages, OFFSET, LENGTH)
    _receive(sim, region, virt)
    _send(sim, region, virt)
    _unlock(sim, mdl, handle)
    sim.windows.RemoveDevice(hca)


def persistent(sim: Simulation) -> None:
    """(f) A registration turns the locked pages into common buffers, and checks that it can.

    Persistent, both ways, never bounced: a platform that has no such mapping says so at the
    registration. Where caches are not coherent the application would have to flush at each use.

    Expect: nothing
    Outcome: refused on mask-32, confidential-vm; stale on non-coherent
    """
    hca, adapter = start(sim, version=DEVICE_DESCRIPTION_VERSION3)
    nt, ops = sim.windows, adapter.DmaOperations
    virt = nt.user_memory(LENGTH)
    mdl, handle = _lock(sim, virt, LENGTH)
    view = nt.MmGetSystemAddressForMdlSafe(mdl)
    pages: list[int] = []
    for at in range(0, LENGTH, PAGE):
        status, logical = ops.CreateCommonBufferFromMdl(adapter, mdl, at, PAGE)
        if status != STATUS_SUCCESS:
            break
        pages.append(logical)
    if len(pages) * PAGE == LENGTH:
        region = Region(hca, pages, 0, LENGTH)
        _receive(sim, region, virt)
        _send(sim, region, virt)
    for i, logical in enumerate(pages):
        ops.FreeCommonBuffer(adapter, PAGE, logical, view + i * PAGE, True)
    _unlock(sim, mdl, handle)
    ops.PutDmaAdapter(adapter)
    nt.RemoveDevice(hca)


MAD, GRH = 256, 40


def mads_unmapped(sim: Simulation) -> None:
    """(i) Management datagrams are posted with the physical address of their buffers.

    Expect: device-access-unmapped
    Outcome: fault on iommu, iommu-lazy, nested, confidential-vm; lost and foreign on bus-offset;
      lost and foreign on mask-32; stale on non-coherent
    """
    hca = sim.device()
    nt = sim.windows
    nt.AddDevice(hca)
    buffer = nt.ExAllocatePool2(GRH + MAD)
    address = nt.MmGetPhysicalAddress(buffer)
    sim.cpu.read(buffer, GRH + MAD)
    hca.write(address, b"grh".ljust(GRH, b".") + RECEIVED)
    sim.expect(sim.cpu.read(buffer + GRH, MAD), RECEIVED)
    sim.cpu.write(buffer + GRH, SENT)
    sim.expect(hca.read(address + GRH, MAD), SENT)
    nt.ExFreePool(buffer)
    nt.RemoveDevice(hca)


def mads_mapped(sim: Simulation) -> None:
    """(i) Management datagrams are mapped for each send and each receive.

    Expect: nothing
    """
    hca, adapter = start(sim)
    nt = sim.windows
    align = adapter.DmaOperations.GetDmaAlignment(adapter)
    room = -(-(GRH + MAD) // align) * align
    buffer = nt.ExAllocatePool2(room)
    mdl = nt.IoAllocateMdl(buffer, room)
    nt.MmBuildMdlForNonPagedPool(mdl)
    nt.KeFlushIoBuffers(mdl, True)
    made = get_list(sim, adapter, mdl, False)
    hca.write(made.Elements[0].Address, b"grh".ljust(GRH, b".") + RECEIVED)
    put_list(sim, adapter, made, False)
    sim.expect(sim.cpu.read(buffer + GRH, MAD), RECEIVED)
    sim.cpu.write(buffer + GRH, SENT)
    nt.KeFlushIoBuffers(mdl, False)
    made = get_list(sim, adapter, mdl, True)
    sim.expect(hca.read(made.Elements[0].Address + GRH, MAD), SENT)
    put_list(sim, adapter, made, True)
    nt.IoFreeMdl(mdl)
    nt.ExFreePool(buffer)
    adapter.DmaOperations.PutDmaAdapter(adapter)
    nt.RemoveDevice(hca)


def other_adapter(sim: Simulation) -> None:
    """(j) A buffer is mapped with one device's adapter and used by another device.

    Expect: device-access-foreign-mapping
    Outcome: fault on iommu, iommu-lazy, nested
    """
    first, adapter = start(sim)
    second = sim.device("0000:00:05.0")
    sim.windows.AddDevice(second)
    other = get_adapter(sim, second)
    nt = sim.windows
    virt = nt.ExAllocatePool2(LENGTH)
    mdl = nt.IoAllocateMdl(virt, LENGTH)
    nt.MmBuildMdlForNonPagedPool(mdl)
    sim.cpu.write(virt, SENT)
    nt.KeFlushIoBuffers(mdl, False)
    made = get_list(sim, adapter, mdl, True)
    sim.expect(second.read(made.Elements[0].Address, len(SENT)), SENT)
    put_list(sim, adapter, made, True)
    nt.IoFreeMdl(mdl)
    nt.ExFreePool(virt)
    for owner, device in ((other, second), (adapter, first)):
        owner.DmaOperations.PutDmaAdapter(owner)
        nt.RemoveDevice(device)


def list_put_for_each_entry(sim: Simulation) -> None:
    """(k) At the unmap the first list is put once for each entry, and the others never.

    Expect: unmap-of-unmapped, adapter-put-while-in-use
    """
    hca, adapter = start(sim)
    nt = sim.windows
    entries = []
    for _ in range(3):
        virt = nt.ExAllocatePool2(PAGE)
        mdl = nt.IoAllocateMdl(virt, PAGE)
        nt.MmBuildMdlForNonPagedPool(mdl)
        nt.KeFlushIoBuffers(mdl, True)
        entries.append((virt, mdl, get_list(sim, adapter, mdl, False)))
    first = entries[0][2]
    for _ in entries:
        put_list(sim, adapter, first, False)
    adapter.DmaOperations.PutDmaAdapter(adapter)
    nt.RemoveDevice(hca)


def adapter_leaked(sim: Simulation) -> None:
    """(k) The start fails after the adapter was got, and nobody puts it.

    Expect: adapter-leak-at-unbind
    """
    hca, adapter = start(sim)
    virt, logical = adapter.DmaOperations.AllocateCommonBuffer(adapter, PAGE, False)
    adapter.DmaOperations.FreeCommonBuffer(adapter, PAGE, logical, virt, False)
    sim.windows.RemoveDevice(hca)
