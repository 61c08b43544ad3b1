"""Damage to bytes, the same for the same seed."""

import random
from collections.abc import Callable

#: Numbers at which arithmetic of some width goes wrong.
EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 63,
         (1 << 64) - 1)  # fmt: skip


class Mutator:
    """Makes damaged copies.

    Args:
        seed: of the dice.
        words: pieces of the format, put in anywhere.
    """

    def __init__(self, seed: int, words: tuple[bytes, ...]) -> None:
        self._dice = random.Random(seed)
        self._words = words

    def damage(self, data: bytes, other: bytes) -> bytes:
        """Return a copy with one to eight changes; `other` is where foreign pieces come from."""
        copy = bytearray(data)
        for _ in range(1 + self._dice.randrange(8)):
            self._dice.choice(self._ways())(copy, other)
        return bytes(copy)

    def _ways(self) -> tuple[Callable[[bytearray, bytes], None], ...]:
        return (self._flip, self._number, self._cut, self._end, self._twice, self._word,
                self._foreign)  # fmt: skip

    def _range(self, copy: bytearray, most: int) -> slice:
        start = self._dice.randrange(len(copy) + 1)
        return slice(start, start + self._dice.randrange(most + 1))

    def _flip(self, copy: bytearray, other: bytes) -> None:
        if copy:
            copy[self._dice.randrange(len(copy))] ^= 1 << self._dice.randrange(8)

    def _number(self, copy: bytearray, other: bytes) -> None:
        width = self._dice.choice((1, 2, 4, 8))
        data = (self._dice.choice(EDGES) % (1 << 8 * width)).to_bytes(width, "little")
        at = self._dice.randrange(len(copy) + 1)
        copy[at : at + len(data)] = data

    def _cut(self, copy: bytearray, other: bytes) -> None:
        del copy[self._range(copy, 64)]

    def _end(self, copy: bytearray, other: bytes) -> None:
        if self._dice.random() < 0.2:
            del copy[self._dice.randrange(len(copy) + 1) :]

    def _twice(self, copy: bytearray, other: bytes) -> None:
        piece = copy[self._range(copy, 400)]
        copy[self._range(copy, 0)] = piece * (1 + self._dice.randrange(3))

    def _word(self, copy: bytearray, other: bytes) -> None:
        copy[self._range(copy, 8)] = self._dice.choice(self._words)

    def _foreign(self, copy: bytearray, other: bytes) -> None:
        start = self._dice.randrange(len(other) + 1)
        copy[self._range(copy, 200)] = other[start : start + self._dice.randrange(200)]
