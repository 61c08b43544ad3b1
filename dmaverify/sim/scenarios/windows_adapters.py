"""Adapters of Windows drivers: how they are got, used and given back."""

from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._windows import KEEP_OBJECT, PAGE, driver
from dmaverify.sim.windows.names import DEVICE_DESCRIPTION


def good(sim: Simulation) -> None:
    """All that comes from an adapter goes back before it is put, once.

    Expect: nothing
    """
    with driver(sim) as it:
        virt, logical = it.ops.AllocateCommonBuffer(it.adapter, PAGE)
        mdl = it.buffer()
        it.put(it.get(mdl))
        it.free(mdl)
        base = it.channel()
        it.free_registers(base)
        it.channel(action=KEEP_OBJECT)
        with it.nt.at_dispatch():
            it.ops.FreeAdapterChannel(it.adapter)
        it.ops.FreeCommonBuffer(it.adapter, PAGE, logical, virt)


def common_buffer_freed_twice(sim: Simulation) -> None:
    """A common buffer is freed twice.

    Expect: unmap-of-unmapped
    """
    with driver(sim) as it:
        virt, logical = it.ops.AllocateCommonBuffer(it.adapter, PAGE)
        for _ in range(2):
            it.ops.FreeCommonBuffer(it.adapter, PAGE, logical, virt)


def common_buffer_freed_as_another(sim: Simulation) -> None:
    """A common buffer is allocated cached and freed as one that is not.

    Expect: free-cache-type-mismatch
    """
    with driver(sim) as it:
        virt, logical = it.ops.AllocateCommonBuffer(it.adapter, PAGE, True)
        it.ops.FreeCommonBuffer(it.adapter, PAGE, logical, virt, False)


def put_with_common_buffer(sim: Simulation) -> None:
    """An adapter is put while a common buffer of it is there.

    Expect: adapter-put-while-in-use
    """
    with driver(sim) as it:
        it.ops.AllocateCommonBuffer(it.adapter, PAGE)


def put_with_channel(sim: Simulation) -> None:
    """An adapter is put while its channel is kept.

    Expect: adapter-put-while-in-use
    """
    with driver(sim) as it:
        it.channel(action=KEEP_OBJECT)


def put_with_registers(sim: Simulation) -> None:
    """An adapter is put while map registers of it are kept.

    Expect: adapter-put-while-in-use
    """
    with driver(sim) as it:
        it.channel(registers=4)


def put_with_list(sim: Simulation) -> None:
    """An adapter is put while a scatter/gather list of it is there.

    Expect: adapter-put-while-in-use
    """
    with driver(sim) as it:
        it.get(it.buffer())


def got_twice_put_once(sim: Simulation) -> None:
    """A driver gets the adapter anew for each of two starts, and puts the last one.

    Expect: adapter-leak-at-unbind
    """
    with driver(sim) as it:
        again, _ = it.nt.IoGetDmaAdapter(it.dev, it.adapter.description)
        assert again is not None
        it.adapter, it.ops = again, again.DmaOperations


def used_after_put(sim: Simulation) -> None:
    """A driver asks an adapter that it has put for its alignment.

    Expect: adapter-used-after-put
    """
    with driver(sim) as it:
        it.ops.PutDmaAdapter(it.adapter)
        it.ops.GetDmaAlignment(it.adapter)


def null_adapter(sim: Simulation) -> None:
    """A driver passes NULL for its adapter, as drivers before Windows 2000 could.

    Expect: null-adapter
    Ends: GetDmaAlignment is called with a NULL adapter
    """
    with driver(sim) as it:
        it.ops.PutDmaAdapter(it.adapter)
        it.ops.GetDmaAlignment(None)


def obsolete(sim: Simulation) -> None:
    """A driver gets its adapter from HalGetAdapter.

    Expect: obsolete-hal-get-adapter
    """
    dev, nt = sim.device(), sim.windows
    nt.AddDevice(dev)
    adapter, _ = nt.HalGetAdapter(dev, DEVICE_DESCRIPTION(
        Version=2, Master=True, ScatterGather=True, MaximumLength=PAGE, Dma64BitAddresses=True,
    ))  # fmt: skip
    assert adapter is not None
    adapter.DmaOperations.PutDmaAdapter(adapter)
    nt.RemoveDevice(dev)


def unknown_version(sim: Simulation) -> None:
    """A device description names a version that nobody knows; the driver then gives up.

    Expect: unknown-device-description
    """
    dev, nt = sim.device(), sim.windows
    nt.AddDevice(dev)
    adapter, _ = nt.IoGetDmaAdapter(dev, DEVICE_DESCRIPTION(Version=7, MaximumLength=PAGE))
    assert adapter is None
    nt.RemoveDevice(dev)
