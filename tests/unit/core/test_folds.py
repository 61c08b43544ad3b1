"""Memory of an HCA: what its device does there follows from the error about it."""

from typing import Any

from dmaverify.lang.builtin import load_builtin
from dmaverify.model.kinds import Direction, EventKind
from tests.oracle.nouns import Call
from tests.unit.core.calls import fed
from tests.unit.core.test_hca_mixed import BUS, DISK, HCA, connected, dma, hca

K = EventKind
CATALOGUE = load_builtin()
PROBES = [Call(K.DRIVER_PROBE, device=HCA), Call(K.DRIVER_PROBE, device=DISK)]
QP_RING, POSTED, WC_DONE = 3, 1, 2
IN = Direction.FROM_DEVICE


def found(calls: list[Call]) -> list[tuple[str, list[str]]]:
    """Return (rule, rules of its consequences) of each finding of the catalogue."""
    names = [r.id for r in CATALOGUE.rules]
    hits = [h for h in fed(CATALOGUE, calls).hits() if h.unmet is None]
    return [(names[h.rule], [names[number] for number, _ in h.consequences]) for h in hits]


def ring(**values: Any) -> Call:
    """Return where the HCA is told that a ring of queue pair 43 lies."""
    usual = {"object": 43, "bus_addr": BUS, "length": 0x2000, "type": QP_RING}
    return hca(K.QUEUE_MEMORY, **{**usual, **values})


def datagram(step: int = POSTED, **values: Any) -> Call:
    """Return a step of the room for a datagram."""
    usual = {"object": 1, "type": step, "phys_addr": 7, "bus_addr": BUS, "length": 296}
    return hca(K.MAD_RECV, **{**usual, **values})


def reach(at: int = BUS, length: int = 64, kind: EventKind = K.DEV_WRITE) -> Call:
    """Return an access of the HCA."""
    return Call(kind, device=HCA, bus_addr=at, length=length, direction=IN)


def test_a_ring_without_a_mapping() -> None:
    """An access anywhere in it is the same mistake; one behind it is another."""
    calls = [*PROBES, *connected(), ring(), reach(BUS + 0x1040)]
    assert [("queue-memory-not-mapped", ["device-access-unmapped"])] == found(calls)

    behind = found([*calls, reach(BUS + 0x8000)])
    assert ["queue-memory-not-mapped", "device-access-unmapped"] == [rule for rule, _ in behind]


def test_a_right_ring_explains_nothing() -> None:
    """Where the mapping ends after its queue pair, an access is a finding."""
    calls = [*PROBES, *connected(), dma(K.DMA_MAP), ring(), hca(K.DESTROY_QP, object=43),
             dma(K.DMA_UNMAP), reach()]  # fmt: skip
    assert [("device-access-after-unmap", [])] == found(calls)


def test_another_mistake_of_the_queue_pair_explains_no_access() -> None:
    """A queue pair that was told for a post does not take what its ring's memory is told for."""
    wrong = hca(K.POST_SEND, object=43, phys_addr=1, type=1, direction=2, sges=[(1, 64, 0x99)])
    calls = [*PROBES, *connected(), dma(K.DMA_MAP), ring(), wrong, hca(K.DESTROY_QP, object=43),
             dma(K.DMA_UNMAP), reach()]  # fmt: skip
    assert ("device-access-after-unmap", []) in found(calls)


def test_a_ring_that_is_freed_early() -> None:
    """An access after that, and the IOMMU's word of it, are consequences."""
    calls = [*PROBES, *connected(), dma(K.DMA_MAP), ring(), dma(K.DMA_UNMAP)]
    fault = reach(BUS + 0x40, kind=K.DEV_FAULT)
    (finding,) = found([*calls, fault, reach(BUS + 0x40)])
    assert "queue-memory-freed-early" == finding[0]
    assert {"device-access-after-unmap", "fault-behind-valid-key"} <= set(finding[1])


def test_a_new_mapping_at_a_freed_ring() -> None:
    """What goes wrong with it is a mistake of its own."""
    again = [dma(K.DMA_MAP, direction=Direction.TO_DEVICE), reach()]
    calls = [*PROBES, *connected(), dma(K.DMA_MAP), ring(), dma(K.DMA_UNMAP)]
    told = [rule for rule, _ in found([*calls, *again])]
    assert ["queue-memory-freed-early", "device-access-wrong-direction"] == told


def test_a_datagram_of_which_another_device_has_the_address() -> None:
    """The room is the HCA's until it completes, whoever is mapped there."""
    mapped = dma(K.DMA_MAP, length=296, direction=IN)
    calls = [*PROBES, mapped, datagram(), dma(K.DMA_UNMAP, length=296, direction=IN),
             dma(K.DMA_MAP, DISK), reach()]  # fmt: skip
    assert [("datagram-unmapped-early", ["device-access-foreign-mapping"])] == found(calls)

    later = found([*calls, datagram(WC_DONE), reach(BUS + 64)])
    assert ["datagram-unmapped-early", "device-access-foreign-mapping"] == [r for r, _ in later]


def test_a_buffer_of_which_another_device_has_the_address() -> None:
    """So with a posted buffer by the key of all memory, until its completion."""
    everything = hca(K.REG_MR, object=0x100, phys_addr=0xA0, direction=1, type=3)
    post = hca(K.POST_RECV, object=43, phys_addr=7, sges=[(BUS, 64, 0x100)])
    done = hca(K.CQE, object=43, phys_addr=7, type=11)
    calls = [*PROBES, dma(K.DMA_MAP), everything, *connected(), post, dma(K.DMA_UNMAP),
             dma(K.DMA_MAP, DISK)]  # fmt: skip
    early = "buffer-unmapped-during-work-request"
    assert [(early, ["device-access-foreign-mapping"])] == found([*calls, reach()])
    assert [early, "device-access-foreign-mapping"] == [r for r, _ in found([*calls, done, reach()])]


def test_two_datagrams_are_two_mistakes() -> None:
    """Both are of one agent, and each is told."""
    other = {"phys_addr": 8, "bus_addr": BUS + 0x10000}
    mapped = dma(K.DMA_MAP, length=296, direction=Direction.TO_DEVICE)
    told = [rule for rule, _ in found([*PROBES, mapped, datagram(), datagram(**other)])]
    assert ["datagram-wrong-direction", "datagram-not-mapped"] == told


def test_one_unmapping_is_one_mistake() -> None:
    """Room for a datagram that is a posted buffer too is taken from the HCA once."""
    everything = hca(K.REG_MR, object=0x100, phys_addr=0xA0, direction=1, type=3)
    post = hca(K.POST_RECV, object=43, phys_addr=7, sges=[(BUS, 296, 0x100)])
    calls = [*PROBES, dma(K.DMA_MAP, length=296, direction=IN), everything, *connected(), post,
             datagram(), dma(K.DMA_UNMAP, length=296, direction=IN)]  # fmt: skip
    assert [("datagram-unmapped-early", ["buffer-unmapped-during-work-request"])] == found(calls)


def test_the_key_of_all_memory_is_not_to_blame() -> None:
    """A buffer that is unmapped too early says nothing of the next mistake with its key."""
    everything = hca(K.REG_MR, object=0x100, phys_addr=0xA0, direction=1, type=3)
    send = hca(K.POST_SEND, object=43, phys_addr=1, type=1, direction=2, sges=[(BUS, 64, 0x100)])
    gone = hca(K.DEREG_MR, object=0x100)
    calls = [*PROBES, dma(K.DMA_MAP), everything, *connected(), send, dma(K.DMA_UNMAP), gone]
    told = [rule for rule, _ in found(calls)]
    assert ["buffer-unmapped-during-work-request", "deregistration-during-work-request"] == told
