"""The driver's side of commands, translation entries and doorbell records."""

import struct

from dmaverify.errors import SimError
from dmaverify.model.kinds import EventKind, HcaObject
from dmaverify.sim.hca.layout import (
    MTT_ROOM,
    PRESENT,
    R_INDEX,
    R_MAILBOX,
    R_OPCODE,
    R_STATUS,
    Command,
    CommandStatus,
)
from dmaverify.sim.hca.teller import Teller
from dmaverify.sim.memory import PAGE

RECORD_BYTES = 64  # a doorbell record has a cache line of its own


class Commands(Teller):
    """Gives commands, by a mailbox that the HCA fetches."""

    _mailbox = _mailbox_bus = _records = _records_bus = 0
    _next_mtt = 1

    def start_commands(self) -> None:
        """Allocate the mailbox and the page of doorbell records."""
        self._mailbox, self._mailbox_bus = self.pages.take_shared(PAGE)
        self._records, self._records_bus = self.pages.take_shared(PAGE)
        if not self._mailbox or not self._records:
            raise SimError("there is no memory for the commands of an HCA")
        self._free_records = list(range(0, PAGE, RECORD_BYTES))

    def stop_commands(self) -> None:
        """Give both back."""
        self.pages.give_shared(PAGE, self._records, self._records_bus)
        self.pages.give_shared(PAGE, self._mailbox, self._mailbox_bus)

    def command(self, op: Command, index: int, mailbox: bytes = b"") -> CommandStatus:
        """Give the HCA a command and return what its status register says.

        Args:
            op: the command.
            index: what it is about: a queue's number, a key's index, a count.
            mailbox: what the HCA is to fetch.
        """
        if mailbox:
            self.write(self._mailbox, mailbox)
        self.registers.write(R_MAILBOX, self._mailbox_bus)
        self.registers.write(R_INDEX, index)
        self.registers.write(R_OPCODE, int(op))
        return CommandStatus(self.registers.read(R_STATUS))

    def tear_down(self, what: HcaObject, number: int, op: Command, index: int,
                  mailbox: bytes = b"") -> CommandStatus:  # fmt: skip
        """Tell the HCA to stop using an object, and record that it was told, and has done so."""
        self.tell(EventKind.TEARDOWN, object=number, type=what)
        status = self.command(op, index, mailbox)
        self.tell(EventKind.TEARDOWN_DONE, failed=status is not CommandStatus.OK, object=number,
                  type=what)  # fmt: skip
        return status

    def write_mtt(self, bus: list[int], at: int = 0) -> int:
        """Give the HCA translation entries and return the number of the first.

        Args:
            bus: bus address of each page.
            at: the first entry, 0 for new ones.
        """
        first = at or self.reserve_mtt(len(bus))
        for done in range(0, len(bus), MTT_ROOM):
            part = bus[done : done + MTT_ROOM]
            head = struct.pack(">2I", first + done, 0)
            body = struct.pack(f">{len(part)}Q", *(page | PRESENT for page in part))
            self.command(Command.WRITE_MTT, len(part), head + body)
        return first

    def reserve_mtt(self, count: int) -> int:
        """Return the number of the first of so many entries that nobody has."""
        first, self._next_mtt = self._next_mtt, self._next_mtt + count
        return first

    def take_record(self) -> tuple[int, int]:
        """Return (CPU address, bus address) of a doorbell record, zeroed."""
        if not self._free_records:
            raise SimError("the driver has no doorbell record left")
        at = self._free_records.pop(0)
        self.write(self._records + at, bytes(8))
        return self._records + at, self._records_bus + at

    def give_record(self, virt: int) -> None:
        """Give a doorbell record back; the HCA must be done with what names it."""
        self._free_records.append(virt - self._records)

    def write_record(self, virt: int, count: int) -> None:
        """Write a counter into a doorbell record."""
        self.write(virt, struct.pack(">I", count & 0xFFFF_FFFF))
