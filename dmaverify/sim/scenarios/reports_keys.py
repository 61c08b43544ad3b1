"""Reported bugs: keys that are dead, given again, of another domain, or without a right."""

from dmaverify.model.kinds import Rights
from dmaverify.sim.hca.objects import Mr, Mw, MwType, SendWr, WrOp, inc_rkey
from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._verbs import EVERYTHING, PAGE, End, ends

REMOTE = Rights.LOCAL_WRITE | Rights.REMOTE_WRITE


def _register(end: End, mr: Mr, key: int) -> int:
    """Register two pages by a work request, and return their key: ib_map_mr_sg(), REG_MR."""
    bus, offset = end.pages(0, 2)
    end.verbs.map_mr_sg(mr, bus, 2 * PAGE - offset, offset=offset, iova=end.memory)
    end.verbs.post_send(end.qp, SendWr(WrOp.REG_MR, (), 1, mr=mr, key=key, access=REMOTE))
    end.wait()
    return mr.rkey


def _invalidate(end: End, key: int) -> None:
    end.verbs.post_send(end.qp, SendWr(WrOp.LOCAL_INV, (), 2, invalidate=key))
    end.wait()


# mlx4: FMRs of RDS


def _fmr_again(a: End, b: End, next_tag: bool) -> None:
    """Map memory for a peer, unmap it as a fence, map it anew for another one."""
    mr = b.verbs.alloc_mr(b.pd, 4)
    first = _register(b, mr, inc_rkey(mr.rkey))
    a.write(b"of the first program")
    a.to_peer(WrOp.RDMA_WRITE, b, at=0, rkey=first)
    a.wait()
    _invalidate(b, first)
    _register(b, mr, inc_rkey(first) if next_tag else first)
    _invalidate(b, mr.rkey)
    b.verbs.dereg_mr(mr)


def mlx4_key_given_again(sim: Simulation) -> None:
    """An unmapped region is mapped again under the key that it had before.

    RDS takes the unmap for a fence: a peer that still has the key reaches what is not its own.

    Class: UAD
    Report: https://git.kernel.org/torvalds/c/bbdc2821db041fb07ffa52e4a0e1ebb5410790e9
    Expect: key-given-again
    """
    with ends(sim) as (a, b):
        _fmr_again(a, b, next_tag=False)


def mlx4_key_given_again_fixed(sim: Simulation) -> None:
    """The count in the key goes on.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _fmr_again(a, b, next_tag=True)


# iser: two regions for a command


def _iser_invalidated(a: End, b: End, looks: bool) -> None:
    """Let the target invalidate the key of the written direction, and take the command anew."""
    verbs = b.verbs
    regions = {"read": verbs.alloc_mr(b.pd, 4), "write": verbs.alloc_mr(b.pd, 4)}
    valid = {}
    for name, mr in regions.items():
        _register(b, mr, inc_rkey(mr.rkey))
        valid[name] = True
    told = regions["write"].rkey
    _invalidate(b, told)  # as if the target had done it with its answer
    if looks:
        valid[next(n for n, mr in regions.items() if mr.rkey == told)] = False
    else:
        valid["read"] = False
    for name, mr in regions.items():
        if not valid[name]:
            live = mr.rkey
            _register(b, mr, inc_rkey(mr.rkey))
            if not looks:
                mr.lkey = live  # it was refused
    for mr in regions.values():
        b.verbs.dereg_mr(mr)


def iser_invalidated_other_direction(sim: Simulation) -> None:
    """The target invalidates one of two keys, and the driver takes the other one for invalid.

    It registers that region anew while it is in use.

    Class: KEY
    Report: https://lore.kernel.org/linux-rdma/20231219072311.40989-1-sergeygo@nvidia.com/
    Expect: fast-registration-of-live-region
    """
    with ends(sim) as (a, b):
        _iser_invalidated(a, b, looks=False)


def iser_invalidated_other_direction_fixed(sim: Simulation) -> None:
    """The driver looks for the region that has the key.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _iser_invalidated(a, b, looks=True)


# ucx: a cache of regions


def _cached_atomic(a: End, b: End, asks_rights: bool) -> None:
    """Look memory up that was registered before, and let the peer count in it."""
    cached = b.register(REMOTE)
    if asks_rights and not cached.access & Rights.REMOTE_ATOMIC:
        b.verbs.dereg_mr(cached)
        cached = b.register(EVERYTHING)
    a.to_peer(WrOp.ATOMIC_FETCH_AND_ADD, b, length=8, rkey=cached.rkey, compare_add=1)
    a.wait()
    b.verbs.dereg_mr(cached)


def ucx_cached_region_without_atomics(sim: Simulation) -> None:
    """A cached region is used for an atomic that it was not registered for.

    Class: KEY
    Report: https://github.com/openucx/ucx/issues/9259
    Expect: hca-access-without-permission
    """
    with ends(sim) as (a, b):
        _cached_atomic(a, b, asks_rights=False)


def ucx_cached_region_without_atomics_fixed(sim: Simulation) -> None:
    """A cached region with fewer rights than are needed is registered anew.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _cached_atomic(a, b, asks_rights=True)


# libevpl: memory that is registered for each device


def _other_domain(a: End, b: End, bound: bool) -> None:
    """Tell a peer the key of memory, before or after it is known which device is used."""
    domains = [b.verbs.alloc_pd(), b.pd]
    regions = [b.register(REMOTE, pd=pd) for pd in domains]
    slot = 1 if bound else 0  # what the connection will be bound to; until then it is 0
    a.to_peer(WrOp.RDMA_WRITE, b, rkey=regions[slot].rkey)
    a.wait()
    for mr in regions:
        b.verbs.dereg_mr(mr)
    b.verbs.dealloc_pd(domains[0])


def libevpl_key_of_other_domain(sim: Simulation) -> None:
    """A peer is told a key before its connection is bound to a device: it is the first device's.

    The domain of the connection has no such key.

    Class: KEY
    Report: https://github.com/chimera-nas/libevpl/pull/89
    Expect: hca-access-other-protection-domain
    """
    with ends(sim) as (a, b):
        _other_domain(a, b, bound=False)


def libevpl_key_of_other_domain_fixed(sim: Simulation) -> None:
    """Keys are told when it is known which device is used.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _other_domain(a, b, bound=True)


# rxe: a window across domains


def _bound(end: End, mr: Mr) -> Mw:
    """Return a window that is bound to a region."""
    window = end.verbs.alloc_mw(end.pd, MwType.TYPE_2A)
    bind = SendWr(WrOp.BIND_MW, (), 1, mw=window, mr=mr, key=inc_rkey(window.rkey),
                  access=Rights.REMOTE_WRITE, bind_addr=end.memory, bind_length=PAGE)  # fmt: skip
    end.verbs.post_send(end.qp, bind)
    end.wait()
    return window


def _window_over_domain(a: End, own: bool) -> None:
    """Bind a window to a region of the same domain, or of another one."""
    pd = a.pd if own else a.verbs.alloc_pd()
    mr = a.register(REMOTE | Rights.MW_BIND, pd=pd)
    a.verbs.dealloc_mw(_bound(a, mr))
    a.verbs.dereg_mr(mr)
    if not own:
        a.verbs.dealloc_pd(pd)


def rxe_window_over_domains(sim: Simulation) -> None:
    """A window is bound to a region of another protection domain.

    The driver did not compare the two.

    Class: KEY
    Report: Debian changelog of linux 6.12.117-1, "RDMA/rxe: Check PDs for memory window binds"
    Expect: wrong-window
    """
    with ends(sim) as (a, _):
        _window_over_domain(a, own=False)


def rxe_window_over_domains_fixed(sim: Simulation) -> None:
    """Region, window and queue pair are of one domain.

    Expect: nothing
    """
    with ends(sim) as (a, _):
        _window_over_domain(a, own=True)


# irdma: a region with windows


def _dereg_with_window(a: End, window_first: bool) -> None:
    mr = a.register(REMOTE | Rights.MW_BIND)
    window = _bound(a, mr)
    if not window_first:
        a.verbs.dereg_mr(mr)  # the HCA says no, and nobody hears it
    a.verbs.dealloc_mw(window)
    if window_first:
        a.verbs.dereg_mr(mr)


def irdma_dereg_with_window(sim: Simulation) -> None:
    """A region is deregistered while a window is bound to it; the failure was not reported.

    Class: UAD
    Report: https://lore.kernel.org/linux-rdma/20220906223244.1119-3-shiraz.saleem@intel.com/
    Expect: deregistration-with-windows
    """
    with ends(sim) as (a, _):
        _dereg_with_window(a, window_first=False)


def irdma_dereg_with_window_fixed(sim: Simulation) -> None:
    """The window is given back first.

    Expect: nothing
    """
    with ends(sim) as (a, _):
        _dereg_with_window(a, window_first=True)


# spdk: a region that is gone for the peer too


def _peer_after_dereg(a: End, b: End, tells: bool) -> None:
    """Let a peer write twice; after the first write the memory is deregistered."""
    mr = b.register(REMOTE)
    for last in (False, True):
        if last and not tells:
            b.verbs.dereg_mr(mr)
        a.to_peer(WrOp.RDMA_WRITE, b, rkey=mr.rkey)
        a.wait()
    if tells:
        b.verbs.dereg_mr(mr)


def spdk_peer_after_deregistration(sim: Simulation) -> None:
    """Memory is deregistered while a peer still writes it.

    Class: UAD
    Report: https://github.com/spdk/spdk/issues/1387
    Expect: hca-access-after-deregistration
    """
    with ends(sim) as (a, b):
        _peer_after_dereg(a, b, tells=False)


def spdk_peer_after_deregistration_fixed(sim: Simulation) -> None:
    """It is deregistered when the peer has said that it is done.

    Expect: nothing
    """
    with ends(sim) as (a, b):
        _peer_after_dereg(a, b, tells=True)
