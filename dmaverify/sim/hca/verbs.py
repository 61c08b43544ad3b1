"""A small verbs driver for the simulated HCA, under the names of verbs.

It writes registers and memory, and nothing else reaches the HCA. Each verb records the event
that it stands for. The verbs are made of steps with names of their own (`write_mpt`,
`take_mpt_back`, `pages.unmap`, `write_wqe`, `ring_doorbell`, ...), so that a driver with a
mistake leaves a step out, or takes them in another order.

    with pair(sim) as (a, b):
        pd = a.alloc_pd()
        ...

Source: rdma-core libibverbs/man; Linux include/rdma/ib_verbs.h.
"""

from dmaverify.model.kinds import EventKind
from dmaverify.sim.hca.family import HARDWARE, Family
from dmaverify.sim.hca.hca import Hca
from dmaverify.sim.hca.mads import Mads
from dmaverify.sim.hca.windows_pages import WindowsMapper
from dmaverify.sim.run import Simulation


class Verbs(Mads):
    """The driver of one HCA.

    Args:
        sim: where it runs.
        hca: its HCA; the driver uses its registers only.
        windows: whether it is a driver for Windows, with an adapter.

    Attributes:
        dev: the HCA as a DMA device, for calls of `sim.linux`.
        hardware: the HCA itself, for who plans its faults (`break_next`, `stopped`, `probes`);
            no verb uses it.
        pages: maps memory (`PageMapper`).
        recording: whether verbs are recorded; the bytes move either way.
    """

    def __init__(self, sim: Simulation, hca: Hca, windows: bool = False) -> None:
        super().__init__(sim, hca.device, hca.registers, hca.family)
        if windows:
            self.pages = WindowsMapper(sim, hca.device)
        self.hardware = hca

    def begin(self) -> None:
        """Bind the driver: `probe`, and the memory of commands and doorbell records."""
        self.pages.begin()
        self.enter()
        self.start_commands()

    def end(self) -> None:
        """Unbind it. What was made and not destroyed is left."""
        self.enter()
        self.stop_commands()
        self.pages.end()

    def exit(self) -> None:
        """Let the program end: its kernel takes back what it has left, newest first.

        Source: Linux drivers/infiniband/core/rdma_core.c, uverbs_destroy_ufile_hw().
        """
        self.tell(EventKind.TASK_EXIT)
        self.destroy_all()


def hardware(sim: Simulation, name: str, family: Family = HARDWARE) -> Hca:
    """Return a new HCA that is plugged in under a name, its port not yet connected."""
    return Hca(sim.device(name), sim.machine.tape, family)
