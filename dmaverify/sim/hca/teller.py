"""What the parts of a verbs driver share: its device, its registers, and the tape."""

from typing import Any

from dmaverify.model.kinds import EventKind, Flag, HcaValue
from dmaverify.sim.device import Device
from dmaverify.sim.hca.family import Family
from dmaverify.sim.hca.pages import PageMapper
from dmaverify.sim.hca.registers import Registers
from dmaverify.sim.run import Simulation


class Teller:
    """The root of a verbs driver.

    Args:
        sim: where it runs.
        dev: the HCA as a DMA device.
        registers: the HCA's registers: the only way to it.
        family: which checks the driver makes itself at a post.
    """

    def __init__(self, sim: Simulation, dev: Device, registers: Registers, family: Family) -> None:
        self.sim, self.dev, self.registers, self.family = sim, dev, registers, family
        self.pages: PageMapper = PageMapper(sim.machine, sim.linux, dev)
        self.recording = True

    def enter(self) -> None:
        """Let what the CPU does from here on be recorded as this driver's."""
        self.sim.machine.cpu.device = self.dev.number

    def write(self, virt: int, data: bytes) -> None:
        """Write memory, as a program of this HCA."""
        self.enter()
        self.sim.cpu.write(virt, data)

    def read(self, virt: int, length: int) -> bytes:
        """Return memory, as a program of this HCA reads it."""
        self.enter()
        return self.sim.cpu.read(virt, length)

    def tell(self, kind: EventKind, *, failed: bool = False,
             hca: dict[HcaValue, int] | None = None, **values: Any) -> None:  # fmt: skip
        """Record a verb."""
        if not self.recording:
            return
        if failed:
            values["flags"] = Flag(values.get("flags", 0)) | Flag.FAILED
        if hca:
            values["hca"] = [(int(what), int(value)) for what, value in hca.items()]
        self.sim.machine.tape.add(kind, device=self.dev.number, **values)
