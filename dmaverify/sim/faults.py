"""Failures on purpose: calls that fail though nothing is wrong, and devices that do wrong."""

import random
import sys

from dmaverify.sim.stop import is_driver


class Injector:
    """Decides which call fails.

    Systematic: each distinct stack of driver lines that makes a call that can fail fails once,
    the first time. Random: each call fails with a probability, by a seed that is printed.
    Source: Windows driver documentation, "Systematic low resources simulation".

    Args:
        mode: "" for none, "systematic" or "random".
        seed: of the random failures.
        chance: how often a call fails at random, 0 to 1.
        only: names of the calls that may fail; empty: all that can.
    """

    def __init__(self, mode: str = "", seed: int = 0, chance: float = 0.05,
                 only: frozenset[str] = frozenset()) -> None:  # fmt: skip
        self.mode, self.seed, self.chance, self.only = mode, seed, chance, only
        self.failed: list[str] = []  # what failed, in order, for people
        self.budget: int | None = None  # how many more may fail; None: any number
        self._once: list[str] = []
        self._seen: set[tuple[str, tuple[tuple[str, int], ...]]] = set()
        self._random = random.Random(seed)

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
            self.failed.append(call)
            return True
        if not self.mode or (self.only and call not in self.only) or self.budget == 0:
            return False
        if self.mode == "random":
            failing = self._random.random() < self.chance
        else:
            key = call, _driver_stack()
            failing = key not in self._seen
            self._seen.add(key)
        if failing:
            self.failed.append(call)
            if self.budget is not None:
                self.budget -= 1
        return failing


def _driver_stack() -> tuple[tuple[str, int], ...]:
    """Return the lines of the driver that lead to this call, innermost first."""
    frame, lines = sys._getframe(2), []
    while frame is not None:
        if is_driver(frame.f_code):
            lines.append((frame.f_code.co_filename, frame.f_lineno))
        if frame.f_back is None:
            break
        frame = frame.f_back
    return tuple(lines)
