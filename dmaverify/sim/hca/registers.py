"""The registers of an HCA: what a driver has of it."""

from collections.abc import Callable

from dmaverify.errors import SimError


class Registers:
    """A page of registers. Numbers go in and come out, and time passes.

    Args:
        write: is given (offset, number) of each write.
        read: is given an offset, returns a number.
        work: lets the HCA do what it is at for a while.
    """

    def __init__(self, write: Callable[[int, int], None], read: Callable[[int], int],
                 work: Callable[[], None]) -> None:  # fmt: skip
        self._write, self._read, self._work = write, read, work

    def write(self, offset: int, value: int) -> None:
        """Write a register of 4 or 8 bytes.

        Raises:
            SimError: the value is no number that fits.
        """
        if type(value) is not int or not 0 <= value < 1 << 64:
            raise SimError(f"a register can not hold {value!r}")
        self._write(offset, value)

    def read(self, offset: int) -> int:
        """Return a register."""
        return self._read(offset)

    def wait(self) -> None:
        """Let time pass in which the HCA works."""
        self._work()
