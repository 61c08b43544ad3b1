"""Windows drivers whose devices share an IOMMU's addresses."""

from dmaverify.sim.run import Simulation
from dmaverify.sim.scenarios._windows import PAGE, driver


def good(sim: Simulation) -> None:
    """A device leaves its domain when nothing of it is mapped.

    Expect: nothing
    """
    _left(sim, put_first=True)


def left_with_a_list(sim: Simulation) -> None:
    """A device leaves its domain with a list that lives: the next one gets its addresses.

    Expect: nothing
    Expect on iommu, iommu-lazy, nested: iova-mapped-twice
    """
    _left(sim, put_first=False)


def _left(sim: Simulation, put_first: bool) -> None:
    with driver(sim, version=3) as it:
        first = it.get(it.buffer())
        if put_first:
            it.put(first)
        it.ops.LeaveDmaDomain(it.adapter)
        second = it.get(it.buffer(PAGE))
        it.put(second)
        if not put_first:
            it.put(first)
