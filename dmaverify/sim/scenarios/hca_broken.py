"""HCAs that are broken themselves; the driver does everything right."""

from dmaverify.model.kinds import Rights
from dmaverify.sim.hca.objects import RecvWr, SendWr, Sge, WrOp
from dmaverify.sim.hca.state import HcaFault
from dmaverify.sim.linux import DMA_FROM_DEVICE, DMA_TO_DEVICE
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import PAGE, TEXT, ends


def refuses_range(sim: Simulation) -> None:
    """The HCA finds a range outside its region that lies inside.

    Expect: hca-refuses-valid-range
    """
    with ends(sim) as (a, b):
        b.verbs.hardware.break_next(HcaFault.REFUSES_RANGE)
        a.write()
        a.to_peer(WrOp.RDMA_WRITE, b)
        a.wait()


def refuses_key(sim: Simulation) -> None:
    """The HCA ends a send with a protection error, and its key is good.

    Expect: hca-refuses-valid-request
    """
    with ends(sim) as (a, b):
        b.recv()
        a.verbs.hardware.break_next(HcaFault.REFUSES)
        a.write()
        a.send()
        a.wait()


def takes_old_key(sim: Simulation) -> None:
    """The HCA looks a key up without its tag, and the send by an old key succeeds.

    Expect: hca-access-unknown-key, hca-accepts-invalid-request
    """
    with ends(sim) as (a, b):
        b.recv()
        a.verbs.hardware.break_next(HcaFault.NO_TAG)
        a.write()
        a.send(key=a.mr.lkey + 1)
        a.wait()
        b.wait()


def long_message(sim: Simulation) -> None:
    """The HCA takes a message that is longer than its receive, and writes behind it.

    Expect: receive-too-small
    """
    with ends(sim) as (a, b):
        b.recv(length=256)
        b.verbs.hardware.break_next(HcaFault.LONG_RECEIVE)
        a.write()
        a.send()
        a.wait()
        b.wait()


def message_refused(sim: Simulation) -> None:
    """A message is longer than its receive, and the HCA says so to both.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        b.recv(length=256)
        a.write()
        a.send()
        a.wait()
        b.wait()


def completes_twice(sim: Simulation) -> None:
    """The HCA writes a completion two times.

    Expect: completion-without-work-request
    """
    with ends(sim) as (a, b):
        b.recv()
        a.verbs.hardware.break_next(HcaFault.TWICE)
        a.write()
        a.send()
        a.wait(2)
        b.wait()


def completion_lost(sim: Simulation) -> None:
    """The HCA writes no completion; a program that waits for it touches nothing.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        b.recv()
        a.verbs.hardware.break_next(HcaFault.LOST_COMPLETION)
        b.verbs.hardware.break_next(HcaFault.LOST_COMPLETION)
        a.write()
        a.send()
        a.wait()


def completion_before_data(sim: Simulation) -> None:
    """The HCA says that a message is there, and brings it later: the program finds nothing.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        b.recv()
        b.verbs.hardware.break_next(HcaFault.LATE)
        a.write()
        b.verbs.hardware.stopped = True
        a.send()
        b.verbs.hardware.stopped = False
        b.wait()


def _receive(sim: Simulation, fault: HcaFault | None, amount: int = 0) -> None:
    """Let a kernel driver receive into a buffer of its own, which it unmaps when told."""
    with ends(sim) as (a, b):
        everything = b.verbs.get_dma_mr(b.pd, Rights.LOCAL_WRITE)
        page = sim.linux.alloc_pages(1)
        target = page + 1024
        into = sim.linux.dma_map_single(b.verbs.dev, target, len(TEXT), DMA_FROM_DEVICE)
        b.verbs.post_recv(b.qp, RecvWr((Sge(into, len(TEXT), everything.lkey),), 1))
        if fault is not None:
            b.verbs.hardware.break_next(fault, amount)
        a.write()
        a.send()
        b.verbs.hardware.stopped = True
        b.wait(1)
        sim.linux.dma_unmap_single(b.verbs.dev, into, len(TEXT), DMA_FROM_DEVICE)
        b.verbs.hardware.stopped = False
        a.wait()
        b.wait(1)
        b.verbs.dereg_mr(everything)
        sim.linux.kfree(page)


def writes_past_message(sim: Simulation) -> None:
    """The HCA writes 16 bytes more than the message has.

    Expect: device-access-out-of-range
    Outcome: foreign and guard on driver-verifier, confidential-vm, mask-32
    """
    _receive(sim, HcaFault.OVERRUN, 16)


def writes_late(sim: Simulation) -> None:
    """The HCA says that a message is there, and writes it when its buffer is unmapped.

    Expect: device-access-after-unmap
    Outcome: fault on iommu, nested; foreign and guard on driver-verifier, confidential-vm,
      mask-32
    """
    _receive(sim, HcaFault.LATE)


def writes_in_time(sim: Simulation) -> None:
    """The HCA writes a message, and then says so.

    Expect: nothing
    """
    _receive(sim, None)


def _ask(sim: Simulation, *, polled: bool) -> None:
    """Send a request, get the answer, and unmap the request's buffer.

    The request's acknowledgement is lost, so that the HCA reads the buffer once more.
    Source: Linux commit 01bb35c89d90, "xprtrdma: RPC completion should wait for Send completion".
    """
    with ends(sim) as (a, b):
        everything = a.verbs.get_dma_mr(a.pd, Rights.LOCAL_WRITE)
        source = sim.linux.kmalloc(PAGE)
        a.verbs.write(source, TEXT)
        out = sim.linux.dma_map_single(a.verbs.dev, source, PAGE, DMA_TO_DEVICE)
        b.recv()
        a.recv()
        a.verbs.hardware.break_next(HcaFault.RETRANSMIT)
        request = SendWr(WrOp.SEND, (Sge(out, len(TEXT), everything.lkey),), 1)
        a.verbs.post_send(a.qp, request)
        a.verbs.hardware.stopped = True
        b.wait()
        b.send()
        a.wait()
        if polled:
            a.verbs.hardware.stopped = False
            a.wait()
        sim.linux.dma_unmap_single(a.verbs.dev, out, PAGE, DMA_TO_DEVICE)
        a.verbs.hardware.stopped = False
        a.wait()
        a.verbs.dereg_mr(everything)
        sim.linux.kfree(source)


def sent_again_after_unmap(sim: Simulation) -> None:
    """The answer to a request is there, its buffer is unmapped, and the HCA sends once more.

    Expect: buffer-unmapped-during-work-request
    Outcome: fault on iommu, nested; foreign on driver-verifier, confidential-vm, mask-32
    """
    _ask(sim, polled=False)


def sent_again_before_unmap(sim: Simulation) -> None:
    """The buffer of a request is unmapped when its own completion was polled.

    Expect: nothing
    """
    _ask(sim, polled=True)
