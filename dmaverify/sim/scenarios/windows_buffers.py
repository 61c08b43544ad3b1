"""What Windows drivers map: the part of an MDL, its alignment, and whether its pages stay."""

from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._windows import PAGE, driver
from dmaverify.sim.windows.mdl import MDL


def good(sim: Simulation) -> None:
    """A part of a buffer of an application is mapped by the list, while its pages are locked.

    Expect: nothing
    """
    with driver(sim) as it:
        user = it.nt.user_memory(3 * PAGE)
        mdl = it.nt.IoAllocateMdl(user, 3 * PAGE)
        it.nt.MmProbeAndLockPages(mdl)
        made = it.get(mdl, length=2 * PAGE)
        it.dev.write(made.Elements[0].Address, b"x" * 64)
        it.put(made)
        it.nt.MmUnlockPages(mdl)
        it.nt.IoFreeMdl(mdl)


def not_locked(sim: Simulation) -> None:
    """An application's buffer is mapped after its pages were unlocked.

    Expect: unlocked-buffer-mapped
    """
    with driver(sim) as it:
        mdl = it.nt.IoAllocateMdl(it.nt.user_memory(PAGE), PAGE)
        it.nt.MmProbeAndLockPages(mdl)
        it.nt.MmUnlockPages(mdl)
        it.put(it.get(mdl))


def unlocked_while_mapped(sim: Simulation) -> None:
    """An application's pages are unlocked before the list is put.

    Expect: pages-unlocked-while-mapped
    """
    with driver(sim) as it:
        mdl = it.nt.IoAllocateMdl(it.nt.user_memory(PAGE), PAGE)
        it.nt.MmProbeAndLockPages(mdl)
        made = it.get(mdl)
        it.nt.MmUnlockPages(mdl)
        it.put(made)


def _part(sim: Simulation, offset: int, length: int) -> None:
    """Map a part as it is given: offset from the start of an MDL of 512 bytes amid a page."""
    with driver(sim) as it:
        pool = it.nt.ExAllocatePool2(PAGE)
        mdl = it.nt.IoAllocateMdl(pool + 1024, 512)
        it.nt.MmBuildMdlForNonPagedPool(mdl)
        base = it.channel()
        it.map(base, mdl, offset=offset, length=length)
        it.flush(base, mdl, offset=offset, length=length)
        it.free_registers(base)


def inside(sim: Simulation) -> None:
    """A part of an MDL is mapped that ends where the MDL ends.

    Expect: nothing
    """
    _part(sim, 256, 256)


def starts_before(sim: Simulation) -> None:
    """A transfer begins 64 bytes before its MDL.

    Expect: start-outside-mdl
    """
    _part(sim, -64, 64)


def starts_after(sim: Simulation) -> None:
    """A transfer begins behind its MDL.

    Expect: start-outside-mdl
    """
    _part(sim, 1024, 64)


def ends_after(sim: Simulation) -> None:
    """A transfer begins in its MDL and ends 512 bytes behind it.

    Expect: length-past-mdl
    """
    _part(sim, 256, 768)


def past_the_pages(sim: Simulation) -> None:
    """A transfer in one piece runs from the only page of its MDL into the next.

    Expect: length-past-mdl
    Ends: there is no page of it
    """
    with driver(sim, gathers=False) as it:
        it.map(it.channel(2), it.buffer(), length=PAGE + 512)


def chain_too_short(sim: Simulation) -> None:
    """A list is asked for that is longer than the chain of its two MDLs; it is refused.

    Expect: length-past-mdl
    """
    _chain(sim, 2 * PAGE + 512)


def chain(sim: Simulation) -> None:
    """A list is as long as the chain of its two MDLs.

    Expect: nothing
    """
    _chain(sim, 2 * PAGE)


def _chain(sim: Simulation, length: int) -> None:
    with driver(sim) as it:
        first, second = it.buffer(), it.buffer()
        first.Next = second
        made = it.get(first, length=length)
        if made.Elements:
            it.put(made)


def mapped_again(sim: Simulation) -> None:
    """A buffer is mapped for a second list while the first one lives.

    Expect: overlapping-mappings
    """
    with driver(sim) as it:
        mdl = it.buffer()
        first, second = it.get(mdl), it.get(mdl)
        it.put(second)
        it.put(first)


def nothing_mapped(sim: Simulation) -> None:
    """A list of no bytes is asked for; it is refused.

    Expect: zero-length-mapping
    """
    with driver(sim) as it:
        it.get(it.buffer(), length=0)


def _aligned(sim: Simulation, start: int, length: int) -> None:
    """Map a part of a page of its own, which the adapter may want aligned."""
    with driver(sim) as it:
        pool = it.nt.ExAllocatePool2(PAGE)
        mdl: MDL = it.nt.IoAllocateMdl(pool + start, length)
        it.nt.MmBuildMdlForNonPagedPool(mdl)
        it.put(it.get(mdl))


def aligned(sim: Simulation) -> None:
    """Start and length are whole cache lines.

    Expect: nothing
    """
    _aligned(sim, 128, 512)


def misaligned_start(sim: Simulation) -> None:
    """A buffer begins amid a cache line, which matters where caches are not coherent.

    Expect: nothing
    Expect on non-coherent: misaligned-buffer
    """
    _aligned(sim, 16, 512)


def misaligned_length(sim: Simulation) -> None:
    """A buffer ends amid a cache line, which matters where caches are not coherent.

    Expect: nothing
    Expect on non-coherent: misaligned-buffer
    """
    _aligned(sim, 128, 500)


def _shared(sim: Simulation, mapped: bool) -> None:
    """Make a locked page a common buffer."""
    with driver(sim, version=3) as it:
        mdl = it.nt.IoAllocateMdl(it.nt.user_memory(PAGE), PAGE)
        it.nt.MmProbeAndLockPages(mdl)
        view = it.nt.MmGetSystemAddressForMdlSafe(mdl) if mapped else 0
        status, logical = it.ops.CreateCommonBufferFromMdl(it.adapter, mdl)
        if status == 0:
            it.ops.FreeCommonBuffer(it.adapter, PAGE, logical, view)
        it.nt.MmUnlockPages(mdl)
        it.nt.IoFreeMdl(mdl)


def shared(sim: Simulation) -> None:
    """A locked page with a system mapping becomes a common buffer.

    Expect: nothing
    Outcome: refused on confidential-vm, mask-32
    """
    _shared(sim, mapped=True)


def shared_without_view(sim: Simulation) -> None:
    """A page becomes a common buffer that no system address leads to.

    Expect: mdl-without-system-mapping
    Outcome: refused on confidential-vm, mask-32
    """
    _shared(sim, mapped=False)
