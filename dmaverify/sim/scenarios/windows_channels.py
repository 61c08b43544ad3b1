"""Channels and map registers of Windows drivers: packets, one after the other."""

from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._windows import KEEP_OBJECT, KEEP_REGISTERS, PAGE, driver
from dmaverify.sim.windows.adapter import RegisterFile


def good(sim: Simulation) -> None:
    """Two packets by all map registers that there are, each flushed before its registers go.

    Expect: nothing
    """
    with driver(sim) as it:
        for _ in range(2):
            mdl, base = it.buffer(), it.channel(it.registers)
            it.dev.write(it.map(base, mdl), b"x" * PAGE)
            it.flush(base, mdl)
            it.free_registers(base, it.registers)
            sim.expect(sim.cpu.read(mdl.virt, 1), b"x")
            it.free(mdl)


def channel_freed_twice(sim: Simulation) -> None:
    """A channel is freed twice.

    Expect: channel-freed-twice
    """
    with driver(sim) as it:
        it.channel(action=KEEP_OBJECT)
        with it.nt.at_dispatch():
            it.ops.FreeAdapterChannel(it.adapter)
            it.ops.FreeAdapterChannel(it.adapter)


def registers_freed_twice(sim: Simulation) -> None:
    """Map registers are freed twice.

    Expect: map-registers-freed-twice
    """
    with driver(sim) as it:
        base = it.channel()
        it.free_registers(base)
        it.free_registers(base)


def more_registers_freed(sim: Simulation) -> None:
    """Three map registers are freed where two were allocated.

    Expect: map-register-count-mismatch
    """
    with driver(sim) as it:
        it.free_registers(it.channel(2), 3)


def released_the_wrong_way(sim: Simulation) -> None:
    """AdapterControl keeps the map registers, and the driver frees the channel.

    Expect: wrong-channel-release
    """
    with driver(sim) as it:
        it.channel(action=KEEP_REGISTERS)
        with it.nt.at_dispatch():
            it.ops.FreeAdapterChannel(it.adapter)


def second_channel(sim: Simulation) -> None:
    """A second channel is asked for from inside AdapterControl, while the first is held.

    Expect: adapter-channel-held-twice
    """
    with driver(sim) as it:
        granted: list[RegisterFile] = []

        def control(device: object, irp: object, base: RegisterFile, context: object) -> int:
            granted.append(base)
            if len(granted) == 1:
                it.ops.AllocateAdapterChannel(it.adapter, it.dev, 1, control)
            return KEEP_REGISTERS

        with it.nt.at_dispatch():
            it.ops.AllocateAdapterChannel(it.adapter, it.dev, 1, control)
            for base in granted:
                it.ops.FreeMapRegisters(it.adapter, base, 1)


def too_many_registers(sim: Simulation) -> None:
    """More map registers are asked for than the adapter has for a transfer; they are refused.

    Expect: too-many-map-registers
    """
    with driver(sim) as it, it.nt.at_dispatch():
        it.ops.AllocateAdapterChannel(it.adapter, it.dev, it.registers + 1, lambda *given: 1)


def registers_freed_while_mapped(sim: Simulation) -> None:
    """Map registers are freed before the flush, which comes too late.

    Expect: map-registers-freed-while-mapped
    """
    with driver(sim) as it:
        mdl, base = it.buffer(), it.channel()
        it.map(base, mdl)
        it.free_registers(base)
        it.flush(base, mdl)


def not_flushed(sim: Simulation) -> None:
    """A second packet is mapped by the one map register of the first, which is not flushed.

    Expect: mapped-past-registers
    """
    with driver(sim) as it:
        first, second, base = it.buffer(), it.buffer(), it.channel()
        it.map(base, first)
        it.map(base, second)
        it.flush(base, first)
        it.flush(base, second)
        it.free_registers(base)


def completed_before_flush(sim: Simulation) -> None:
    """A request is completed while its buffer is mapped, and its pages go with it.

    Expect: request-completed-before-flush
    """
    with driver(sim) as it:
        irp, base = it.nt.request(it.nt.user_memory(PAGE), PAGE), it.channel()
        mdl = irp.MdlAddress
        assert mdl is not None
        it.map(base, mdl)
        it.nt.IoCompleteRequest(irp)
        it.flush(base, mdl)
        it.free_registers(base)


def completed_after_flush(sim: Simulation) -> None:
    """A request is completed when its buffer has been flushed.

    Expect: nothing
    """
    with driver(sim) as it:
        irp, base = it.nt.request(it.nt.user_memory(PAGE), PAGE), it.channel()
        mdl = irp.MdlAddress
        assert mdl is not None
        it.map(base, mdl)
        it.flush(base, mdl)
        it.nt.IoCompleteRequest(irp)
        it.free_registers(base)


def flush_past_mapping(sim: Simulation) -> None:
    """A flush is for a page more than what was mapped.

    Expect: unmap-size-mismatch
    """
    with driver(sim) as it:
        mdl, base = it.buffer(), it.channel()
        it.map(base, mdl)
        it.flush(base, mdl, length=2 * PAGE)
        it.free_registers(base)


def flush_twice(sim: Simulation) -> None:
    """A buffer is flushed that is not mapped any more.

    Expect: unmap-of-unmapped
    """
    with driver(sim) as it:
        mdl, base = it.buffer(), it.channel()
        it.map(base, mdl)
        it.flush(base, mdl)
        it.flush(base, mdl)
        it.free_registers(base)


def flush_of_unused_register(sim: Simulation) -> None:
    """Map registers are flushed that nothing was ever mapped by.

    Expect: unmap-of-unmapped
    """
    with driver(sim) as it:
        mdl, base = it.buffer(), it.channel()
        it.flush(base, mdl)
        it.free_registers(base)


def list_put_twice(sim: Simulation) -> None:
    """A scatter/gather list is put twice.

    Expect: unmap-of-unmapped
    """
    with driver(sim) as it:
        made = it.get(it.buffer())
        it.put(made)
        it.put(made)
