"""I/O requests as far as DMA sees them: a locked MDL that comes with one, and goes with it."""

from dataclasses import dataclass

from dmaverify.model.kinds import Arg, EventKind
from dmaverify.sim.machine import Machine
from dmaverify.sim.windows.mdl import MDL, MemoryManager
from dmaverify.sim.windows.names import LOCK_OPERATION, STATUS_SUCCESS


@dataclass(slots=True, eq=False)
class IRP:
    """A request for direct I/O.

    Args:
        number: its number in the run, from 1.
        MdlAddress: the caller's buffer, locked by the I/O manager; None for no bytes.
    """

    number: int
    MdlAddress: MDL | None


class Requests:
    """What the I/O manager does around a driver.

    Args:
        machine: where it runs.
        mm: what locks the buffers.
    """

    def __init__(self, machine: Machine, mm: MemoryManager) -> None:
        self._m, self._mm = machine, mm
        self._made = 0

    def request(self, buffer: int, length: int,
                operation: int = LOCK_OPERATION.IoModifyAccess) -> IRP:  # fmt: skip
        """Return a request that reaches the driver with its caller's buffer, locked.

        Source: Windows driver documentation, "Using Direct I/O".

        Args:
            buffer: virtual address of the caller's buffer.
            length: bytes; for none there is no MDL.
            operation: what the driver may do with the buffer.

        Raises:
            AccessViolation: there is no such memory.
        """
        mdl = self._mm.IoAllocateMdl(buffer, length) if length else None
        if mdl is not None:
            self._mm.MmProbeAndLockPages(mdl, 1, operation)
        self._made += 1
        return IRP(self._made, mdl)

    def complete(self, irp: IRP, status: int = STATUS_SUCCESS) -> None:
        """Let a request go back to its caller: the buffer is unlocked, and no longer the driver's.

        IRQL <= DISPATCH_LEVEL. Source: Windows driver documentation, IoCompleteRequest.
        """
        mdl = irp.MdlAddress
        self._m.tape.add(
            EventKind.REQUEST_COMPLETE, 0, object=irp.number, status=status & 0x7FFF_FFFF,
            args={Arg.MDL: mdl.number} if mdl else None,
        )  # fmt: skip
        if mdl is not None:
            self._mm.MmUnlockPages(mdl)
            self._mm.IoFreeMdl(mdl)
        irp.MdlAddress = None
