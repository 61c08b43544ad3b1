"""Windows and fast registrations: keys that work requests make. Each mistake has a twin."""

from dmaverify.model.kinds import Rights
from dmaverify.sim.hca.objects import Mr, Mw, MwType, SendWr, WrOp, inc_rkey
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import EVERYTHING, PAGE, End, ends


def _bind(end: End, window: Mw, mr: Mr, at: int, length: int,
          access: int = Rights.REMOTE_WRITE) -> None:  # fmt: skip
    """Bind a window to a part of an end's memory, and wait for it."""
    end.verbs.post_send(end.qp, SendWr(
        WrOp.BIND_MW, wr_id=9, mw=window, mr=mr, key=inc_rkey(window.rkey), access=access,
        bind_addr=end.memory + at, bind_length=length,
    ))  # fmt: skip
    end.wait()


def _unbind(end: End, window: Mw) -> None:
    end.verbs.post_send(end.qp, SendWr(WrOp.LOCAL_INV, wr_id=8, invalidate=window.rkey))
    end.wait()


def _window(sim: Simulation, rights: int, at: int, length: int = PAGE) -> None:
    """Bind a window to a region of the third page."""
    with ends(sim) as (_, b):
        mr = b.register(rights, 2 * PAGE, PAGE)
        window = b.verbs.alloc_mw(b.pd)
        _bind(b, window, mr, at, length)
        b.verbs.dealloc_mw(window)
        b.verbs.dereg_mr(mr)


def window_inside(sim: Simulation) -> None:
    """A window lies in a region that allows windows and may be written.

    Expect: nothing
    """
    _window(sim, EVERYTHING, 2 * PAGE)


def window_without_right(sim: Simulation) -> None:
    """A window is bound to a region that does not allow windows.

    Expect: wrong-window
    """
    _window(sim, EVERYTHING & ~Rights.MW_BIND, 2 * PAGE)


def window_past_region(sim: Simulation) -> None:
    """A window ends behind its region.

    Expect: wrong-window
    """
    _window(sim, EVERYTHING, 2 * PAGE + 64)


def window_to_write_in_read_only(sim: Simulation) -> None:
    """A window gives a peer the right to write what its own side may not write.

    Expect: wrong-window
    """
    _window(sim, Rights.MW_BIND | Rights.REMOTE_READ, 2 * PAGE)


def window_kept(sim: Simulation) -> None:
    """A region is deregistered while a window is bound to it; the HCA refuses.

    Expect: deregistration-with-windows
    """
    with ends(sim) as (_, b):
        mr, window = b.register(EVERYTHING), b.verbs.alloc_mw(b.pd)
        _bind(b, window, mr, 0, PAGE)
        b.verbs.dereg_mr(mr)
        _unbind(b, window)
        b.verbs.dealloc_mw(window)


def window_unbound(sim: Simulation) -> None:
    """A window is invalidated, and then its region is deregistered.

    Expect: nothing
    """
    with ends(sim) as (_, b):
        mr, window = b.register(EVERYTHING), b.verbs.alloc_mw(b.pd)
        _bind(b, window, mr, 0, PAGE)
        _unbind(b, window)
        b.verbs.dereg_mr(mr)
        b.verbs.dealloc_mw(window)


def _two_pairs(sim: Simulation, mw_type: MwType) -> None:
    """Bind a window on one queue pair, and let a peer use it on another."""
    with ends(sim) as (a, b):
        other_a, other_b = (e.verbs.create_qp(e.pd, e.cq) for e in (a, b))
        a.verbs.to_rts(other_a, other_b.number)
        b.verbs.to_rts(other_b, other_a.number)
        window = b.verbs.alloc_mw(b.pd, mw_type)
        _bind(b, window, b.mr, 2 * PAGE, PAGE)
        a.write()
        a.verbs.post_send(other_a, SendWr(WrOp.RDMA_WRITE, (a.sge(0, 64),), 5, rkey=window.rkey,
                                          remote_addr=b.memory + 2 * PAGE))  # fmt: skip
        a.wait()
        _unbind(b, window)
        b.verbs.dealloc_mw(window)
        a.verbs.destroy_qp(other_a)
        b.verbs.destroy_qp(other_b)


def window_2b_elsewhere(sim: Simulation) -> None:
    """A window of type 2B is used on a queue pair on which it was not bound.

    Expect: window-on-other-queue-pair
    """
    _two_pairs(sim, MwType.TYPE_2B)


def window_2a_elsewhere(sim: Simulation) -> None:
    """A window of type 2A is used on another queue pair of its domain.

    Expect: nothing
    """
    _two_pairs(sim, MwType.TYPE_2A)


def _register(end: End, region: Mr, key: int, wr_id: int = 3) -> None:
    """Register the third page by a work request."""
    pages, offset = end.pages(2 * PAGE, 2)
    end.verbs.map_mr_sg(region, pages, PAGE, offset=offset)
    end.verbs.post_send(end.qp, SendWr(WrOp.REG_MR, wr_id=wr_id, mr=region, key=key,
                                       access=EVERYTHING))  # fmt: skip
    end.wait()


def _twice(sim: Simulation, *, invalidated: bool, new_tag: bool) -> None:
    """Register a region two times."""
    with ends(sim) as (_, b):
        region = b.verbs.alloc_mr(b.pd, 2)
        key = inc_rkey(region.lkey)
        _register(b, region, key)
        if invalidated:
            b.verbs.post_send(b.qp, SendWr(WrOp.LOCAL_INV, wr_id=4, invalidate=key))
            b.wait()
        _register(b, region, inc_rkey(key) if new_tag else key)
        if not invalidated:
            region.lkey = key  # the second registration was refused
        b.verbs.dereg_mr(region)


def registered_anew(sim: Simulation) -> None:
    """A region is invalidated and registered again with another tag.

    Expect: nothing
    """
    _twice(sim, invalidated=True, new_tag=True)


def registered_with_old_tag(sim: Simulation) -> None:
    """A region is invalidated and registered again with the tag that it had.

    Expect: key-given-again
    """
    _twice(sim, invalidated=True, new_tag=False)


def registered_while_live(sim: Simulation) -> None:
    """A region is registered again while its key is good; the HCA refuses.

    Expect: fast-registration-of-live-region
    """
    _twice(sim, invalidated=False, new_tag=True)


def used_after_invalidation(sim: Simulation) -> None:
    """A peer writes by a key that was invalidated.

    Expect: hca-access-after-deregistration
    """
    with ends(sim) as (a, b):
        region = b.verbs.alloc_mr(b.pd, 2)
        key = inc_rkey(region.lkey)
        _register(b, region, key)
        b.verbs.post_send(b.qp, SendWr(WrOp.LOCAL_INV, wr_id=4, invalidate=key))
        b.wait()
        a.write()
        a.send(WrOp.RDMA_WRITE, length=64, remote_addr=region.addr, rkey=key)
        a.wait()
        b.verbs.dereg_mr(region)
