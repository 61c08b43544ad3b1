"""Commands of a block driver, as the trace points of Linux' NVMe driver tell them.

Source: Linux drivers/nvme/host/trace.h, nvme_setup_cmd, nvme_sq and nvme_complete_rq;
drivers/nvme/host/pci.c, nvme_prep_rq() and nvme_handle_cqe().
"""

from dmaverify.model.kinds import EventKind
from dmaverify.sim.linux_iommu import LinuxIommu

K = EventKind


class LinuxNvme(LinuxIommu):
    """Where a command of controller and queue has come to. Each may be called in any context."""

    def nvme_setup_cmd(self, controller: int, queue: int, command: int) -> None:
        """Begin a command: what the task maps next is mapped for it, and is the device's."""
        self._m.tape.add(K.COMMAND_BEGIN, bus_addr=controller, phys_addr=queue, object=command)

    def nvme_handle_cqe(self, controller: int, queue: int) -> None:
        """Take a completion from a queue; whose it is stands in it, and is in no trace."""
        self._m.tape.add(K.COMMAND_ARRIVED, bus_addr=controller, phys_addr=queue)

    def nvme_complete_rq(self, controller: int, queue: int, command: int) -> None:
        """End a command: its mappings ended after its completion was taken, and before this."""
        self._m.tape.add(K.COMMAND_DONE, bus_addr=controller, phys_addr=queue, object=command)
