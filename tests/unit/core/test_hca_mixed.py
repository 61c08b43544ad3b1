"""Recordings that have events of HCAs, of the DMA API and of Windows together."""

from typing import Any

from dmaverify.lang.builtin import load_builtin
from dmaverify.model.kinds import Arg, Direction, EventKind, HcaValue, QpState
from tests.oracle.nouns import Call
from tests.unit.core.calls import fed
from tests.unit.core.test_hca import told

K, V = EventKind, HcaValue
CATALOGUE = load_builtin()
HCA, DISK = 1, 2
BUS, KEY = 0x90000, 0x2601


def dma(kind: EventKind, device: int = HCA, **values: Any) -> Call:
    """Return a call of the DMA API for the region's pages."""
    usual = {"bus_addr": BUS, "length": 0x2000, "direction": Direction.BIDIRECTIONAL, "type": 1,
             "phys_addr": BUS + 0x1000000 if kind is K.DMA_MAP else None}  # fmt: skip
    return Call(kind, device=device, **{**usual, **values})


def hca(kind: EventKind, **values: Any) -> Call:
    """Return an event of the HCA."""
    return Call(kind, device=HCA, site=7, **values)


def connected() -> list[Call]:
    """Return a queue pair that sends."""
    states = (QpState.INIT, QpState.RTR, QpState.RTS)
    return [hca(K.CREATE_QP, object=43, phys_addr=0xA0, type=3),
            *(hca(K.MODIFY_QP, object=43, status=s) for s in states)]  # fmt: skip


def registered() -> list[Call]:
    """Return pages mapped by the DMA API that a key reaches."""
    return [
        Call(K.DRIVER_PROBE, device=HCA), dma(K.DMA_MAP), *connected(),
        hca(K.MAP_MR_SG, object=KEY, bus_addr=0x10000, length=0x2000, sges=[(BUS, 0x2000, 0)],
            hca=[(V.MAPPED, 1)]),
        hca(K.FAST_REG_MR, object=KEY, bus_addr=0x10000, length=0x2000, phys_addr=0xA0,
            direction=7, type=4),
    ]  # fmt: skip


def windows() -> list[Call]:
    """Return a Windows driver of another device that maps and flushes through an adapter."""
    made = {Arg.ADAPTER: 1, Arg.FILE: 1, Arg.MDL: 1}
    return [
        Call(K.DRIVER_PROBE, device=DISK),
        Call(K.ADAPTER_GET, device=DISK, object=1, length=1 << 20, args={Arg.GRANTED: 64}),
        Call(K.MDL_LOCK, object=1, phys_addr=0x500000, length=0x1000),
        Call(K.DMA_MAP, device=DISK, bus_addr=0x500000, phys_addr=0x500000, length=0x1000,
             direction=Direction.TO_DEVICE, type=1, args=made),
        Call(K.DMA_UNMAP, device=DISK, bus_addr=0x500000, length=0x1000,
             direction=Direction.TO_DEVICE, type=1, args=made),
        Call(K.MDL_UNLOCK, object=1),
        Call(K.ADAPTER_PUT, device=DISK, object=1),
    ]  # fmt: skip


def rules(calls: list[Call]) -> list[str]:
    """Return the rules that are broken."""
    return [rule for rule, _ in told(calls)]


def consequences(calls: list[Call]) -> list[str]:
    """Return the rules that what is told led to."""
    names = [r.id for r in CATALOGUE.rules]
    hits = fed(CATALOGUE, calls).hits()
    return [names[number] for h in hits for number, _ in h.consequences]


def test_each_goes_its_own_way() -> None:
    """A healthy HCA and a healthy Windows driver, event by event in turn."""
    one = [*registered(), hca(K.INVALIDATE_MR, object=KEY), dma(K.DMA_UNMAP)]
    two = windows()
    mixed = [c for pair in zip(one, [*two, *[Call(K.IRQL, object=0)] * 9], strict=False)
             for c in pair]  # fmt: skip
    assert len(one) == len(mixed) // 2
    assert [] == rules(two)
    assert [] == rules(mixed)


def test_pages_go_while_a_windows_driver_is_at_work() -> None:
    """Only the HCA's mistake is told, whatever lies in between."""
    calls = [*registered(), *windows(), dma(K.DMA_UNMAP)]
    assert ["pages-unmapped-before-invalidation"] == rules(calls)


def test_the_same_address_of_another_device_is_another_page() -> None:
    """The HCA's pages are looked for among the HCA's own mappings."""
    other = [dma(K.DMA_MAP, DISK), dma(K.DMA_UNMAP, DISK)]
    calls = [*registered(), *other, hca(K.INVALIDATE_MR, object=KEY), dma(K.DMA_UNMAP)]
    assert [] == [r for r in rules(calls) if r.startswith("pages-")]


def test_a_fault_behind_a_valid_key_is_told_in_series() -> None:
    """The key is right and the page is not there: that is what the unmapping led to."""
    access = hca(K.HCA_ACCESS, object=KEY, bus_addr=0x10800, length=64, phys_addr=0xA0,
                 direction=2, type=2, status=2, hca=[(V.QUEUE_PAIR, 43)])  # fmt: skip
    fault = Call(K.DEV_FAULT, device=HCA, bus_addr=BUS + 0x800, direction=Direction.FROM_DEVICE)
    calls = [*registered(), dma(K.DMA_UNMAP), access, fault]

    assert ["pages-unmapped-before-invalidation"] == [
        r for r in rules(calls) if not r.startswith("leak")
    ]
    assert "fault-behind-valid-key" in consequences(calls)
    assert any(r.startswith("device-access") for r in consequences(calls))


def test_a_fault_whose_mapping_is_there_is_told_in_series() -> None:
    """The key is right and the page may be read only: both look-ups are named."""
    one_way = [c if c.kind is not K.DMA_MAP else dma(K.DMA_MAP, direction=Direction.TO_DEVICE)
               for c in registered()]  # fmt: skip
    fault = Call(K.DEV_FAULT, device=HCA, bus_addr=BUS + 0x800, direction=Direction.FROM_DEVICE)

    assert "fault-behind-valid-key" in rules([*one_way, fault])


def test_a_buffer_by_the_key_for_all_memory_is_the_mapping_itself() -> None:
    """What a send names by bus address must stay mapped until its completion was polled."""
    everything = hca(K.REG_MR, object=0x100, phys_addr=0xA0, direction=1, type=3)
    send = hca(K.POST_SEND, object=43, phys_addr=1, type=1, direction=2, sges=[(BUS, 64, 0x100)])
    done = hca(K.CQE, object=43, phys_addr=1, type=1)
    begun = [Call(K.DRIVER_PROBE, device=HCA), dma(K.DMA_MAP), everything, *connected(), send]

    assert ["buffer-unmapped-during-work-request"] == rules([*begun, dma(K.DMA_UNMAP)])
    assert [] == rules([*begun, done, dma(K.DMA_UNMAP)])
