"""Failures on purpose: calls that fail though nothing is wrong."""

import random
import sys
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from dmaverify.sim.stop import driver_place, is_driver

LIVES_MOST = 10_000  # lives of one driver

#: A call with the driver's places that lead to it, innermost first: file, line and column.
Stack = tuple[str, tuple[tuple[str, int | None, int | None], ...]]


class Failed(NamedTuple):
    """A call that was made to fail.

    Attributes:
        call: its name.
        place: "file:line in function" of the driver, "" where there is none.
    """

    call: str
    place: str

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.call} at {self.place}" if self.place else self.call


class Injector:
    """Decides which call fails.

    Systematic: each distinct stack of places in the driver that leads to a call that can fail
    fails once, the first time. A driver lives again and again, and in each life one new stack
    fails, so that each way out is taken by itself; a stack that is reached only behind a failure
    gets its turn in a life in which that failure comes again. Random: each call fails with a
    probability, by a seed that is printed.
    Source: Windows driver documentation, "Systematic low resources simulation".

    Args:
        mode: "" for none, "systematic" or "random".
        seed: of the random failures.
        chance: how often a call fails at random, 0 to 1.
        only: names of the calls that may fail; empty: all that can.

    Attributes:
        failed: what failed in this life, in order.
        tell: is told of each failure.
    """

    def __init__(self, mode: str = "", seed: int = 0, chance: float = 0.05,
                 only: frozenset[str] = frozenset()) -> None:  # fmt: skip
        self.mode, self.seed, self.chance, self.only = mode, seed, chance, only
        self.failed: list[Failed] = []
        self.tell: Callable[[Failed], None] = lambda failed: None
        self._lives = 0
        self._once: list[str] = []
        self._random = random.Random(seed)
        self._seen: set[Stack] = set()  # had their turn
        self._behind: dict[Stack, frozenset[Stack]] = {}  # reached behind failures -> those
        self._again: frozenset[Stack] = frozenset()  # fail in this life once more
        self._due: set[Stack] = set()  # of these, have not yet
        self._new: Stack | None = None  # had its turn in this life
        self._straight = True  # there may be stacks left that are reached without a failure

    def begin_life(self) -> bool:
        """Begin another life of the driver; False where no stack is left that could fail.

        The life in which nothing fails comes when all stacks on the straight way have had their
        turn, and before those that lie behind failures.
        """
        systematic = self.mode == "systematic" and self._lives < LIVES_MOST
        self._straight = self._straight and (self._lives == 0 or self._new is not None)
        more, self._again = self._lives == 0 or (systematic and self._straight), frozenset()
        waiting = (s for s in self._behind if s not in self._seen)
        if systematic and not more and (stack := next(waiting, None)) is not None:
            more, self._again = True, self._behind.pop(stack)
        self._lives += more
        self._due, self._new, self.failed = set(self._again), None, []
        return more

    def fail_once(self, call: str) -> None:
        """Let the next call of this name fail, whatever the mode."""
        self._once.append(call)

    def fails(self, call: str) -> bool:
        """Tell whether a call has to fail now.

        Args:
            call: the name of the call that asks.
        """
        if call in self._once:
            self._once.remove(call)
        elif not self.mode or (self.only and call not in self.only) or not self._chosen(call):
            return False
        self.failed.append(Failed(call, driver_place()))
        self.tell(self.failed[-1])
        return True

    def _chosen(self, call: str) -> bool:
        if self.mode == "random":
            return self._random.random() < self.chance
        stack = call, _driver_places()
        if stack in self._due:
            self._due.remove(stack)
            return True
        if stack in self._seen or self._due:
            return False
        if self._new is not None:
            self._behind.setdefault(stack, self._again | {self._new})
            return False
        self._seen.add(stack)
        self._new = stack
        return True


def _driver_places() -> tuple[tuple[str, int | None, int | None], ...]:
    """Return the places in the driver that lead to this call, innermost first."""
    frame, places = sys._getframe(1), []
    while frame is not None:
        code = frame.f_code
        if is_driver(code):
            # By line and column: the same call has several offsets in the code, by how often it
            # was made before.
            where = next(islice(code.co_positions(), frame.f_lasti // 2, None))
            places.append((code.co_filename, where[0], where[2]))
        if frame.f_back is None:
            break
        frame = frame.f_back
    return tuple(places)
