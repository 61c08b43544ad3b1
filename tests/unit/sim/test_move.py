"""Memory and caches move the bytes that a slow model moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmaverify.sim._move import LIMIT, Cache, Memory

PAGES = 3
SIZE = PAGES * 4096
BASE = 5 * 4096


class SlowCache:
    """Lines as dictionaries over a bytearray."""

    def __init__(self, memory: bytearray, line: int) -> None:
        self.memory, self.line = memory, line
        self.lines: dict[int, bytearray] = {}
        self.dirty: set[int] = set()

    def _touched(self, start: int, length: int) -> range:
        return range(start // self.line, (start + length - 1) // self.line + 1 if length else 0)

    def fill(self, start: int, length: int) -> None:
        """Have the lines of a range."""
        for i in self._touched(start, length):
            if i not in self.lines:
                self.lines[i] = self.memory[i * self.line : (i + 1) * self.line]

    def read(self, start: int, length: int) -> bytes:
        """Return what the CPU sees."""
        self.fill(start, length)
        return bytes(self.lines[at // self.line][at % self.line]
                     for at in range(start, start + length))  # fmt: skip

    def write(self, start: int, data: bytes) -> None:
        """Put bytes into lines."""
        self.fill(start, len(data))
        for at, value in enumerate(data, start):
            self.lines[at // self.line][at % self.line] = value
        self.dirty.update(self._touched(start, len(data)))

    def clean(self, start: int, length: int) -> None:
        """Write dirty lines back."""
        for i in self._touched(start, length):
            if i in self.dirty:
                self.memory[i * self.line : (i + 1) * self.line] = self.lines[i]
                self.dirty.discard(i)

    def invalidate(self, start: int, length: int) -> None:
        """Forget lines."""
        for i in self._touched(start, length):
            self.lines.pop(i, None)
            self.dirty.discard(i)


RANGES = st.tuples(st.integers(0, SIZE - 1), st.integers(1, 300)).map(
    lambda r: (r[0], min(r[1], SIZE - r[0]))
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["read", "write", "clean", "invalidate", "fill", "device"]), RANGES,
              st.integers(0, 255)),
    max_size=40,
)  # fmt: skip


@given(STEPS, st.sampled_from([4, 16, 64, 128, 4096]))
def test_cache_is_as_the_slow_one(steps: list[tuple[str, tuple[int, int], int]], line: int) -> None:
    """Whatever CPU, device and driver do, both caches and memories hold the same bytes."""
    memory, slow_memory = Memory(), bytearray(SIZE)
    memory.add(BASE // 4096, PAGES)
    cache, slow = Cache(memory, line), SlowCache(slow_memory, line)
    for what, (start, length), value in steps:
        data = bytes((value + i) % 256 for i in range(length))
        if what == "read":
            assert slow.read(start, length) == cache.read(BASE + start, length)
        elif what == "write":
            cache.write(BASE + start, data)
            slow.write(start, data)
        elif what == "device":
            memory.write(BASE + start, data)
            slow_memory[start : start + length] = data
        elif what == "fill":
            cache.prefetch(BASE + start, length)
            slow.fill(start, length)
        else:
            getattr(cache, what)(BASE + start, length)
            getattr(slow, what)(start, length)

    assert bytes(slow_memory) == memory.read(BASE, SIZE)


@given(RANGES, RANGES)
def test_move_is_a_copy(source: tuple[int, int], target: tuple[int, int]) -> None:
    """A move between ranges that share no byte copies; one between others is refused."""
    memory = Memory()
    memory.add(BASE // 4096, PAGES)
    expected = bytearray(i * 7 % 251 for i in range(SIZE))
    memory.write(BASE, expected)
    (a, length), b = source, target[0]
    length = min(length, SIZE - b)
    if a < b + length and b < a + length:
        with pytest.raises(LookupError):
            memory.move(BASE + a, BASE + b, length)
    else:
        memory.move(BASE + a, BASE + b, length)
        expected[b : b + length] = expected[a : a + length]

    assert bytes(expected) == memory.read(BASE, SIZE)


@given(RANGES, st.one_of(st.none(), st.integers(0, 299)))
def test_a_changed_byte_is_found(where: tuple[int, int], at: int | None) -> None:
    """The first byte that is not as it should be is found, on whatever page it lies."""
    memory = Memory()
    memory.add(BASE // 4096, PAGES, 0x0F)
    start, length = where
    data = bytearray(b"\x0f" * length)
    if at is not None and at < length:
        memory.write(BASE + start + at, b"\xf0")
        expected = at
    else:
        expected = -1

    assert expected == memory.unlike(BASE + start, length, 0x0F)
    assert expected == memory.differs(BASE + start, data)


@pytest.mark.parametrize(
    ("start", "length"),
    [(BASE - 1, 1), (BASE - 1, 2), (BASE + SIZE, 1), (BASE + SIZE - 1, 2), (LIMIT, 1),
     (2**64 - 1, 1), (2**64 - 1, 2), (BASE, 2**63), (0, 1)],
)  # fmt: skip
def test_nothing_moves_outside_of_memory(start: int, length: int) -> None:
    """A range that is not wholly in memory is refused, and no byte was touched."""
    memory = Memory()
    memory.add(BASE // 4096, PAGES)
    cache = Cache(memory, 64)

    assert not memory.backed(start, length)
    for call in (memory.read, cache.read, cache.clean, cache.invalidate, cache.prefetch):
        with pytest.raises(LookupError):
            call(start, length)
    with pytest.raises(LookupError):
        memory.fill(start, length, 1)
    if length < 10:
        with pytest.raises(LookupError):
            memory.write(start, b"x" * length)
    assert bytes(SIZE) == memory.read(BASE, SIZE)


def test_memory_has_an_end() -> None:
    """Pages can not be put where no address reaches."""
    with pytest.raises(LookupError):
        Memory().add(LIMIT // 4096, 1)
    with pytest.raises(LookupError):
        Memory().add(2**52, 2**63)


@pytest.mark.parametrize("at", [0, 1, 99, 100, 107, 150, 199, 200, 207, 208, 8191])
def test_guards_are_intact_but_where_a_byte_differs(at: int) -> None:
    """Tags and padding are looked at to the last byte, and what lies between them is not."""
    memory, tag = Memory(), b"DmaVrfy0"
    memory.add(0, 2, 0x0F)
    memory.write(100 - len(tag), tag)
    memory.write(200, tag)
    before = memory.intact(0, 100, 200, 8192, tag, 0x0F)
    memory.write(at, b"x")

    assert before
    assert (100 <= at < 200) == memory.intact(0, 100, 200, 8192, tag, 0x0F)


def test_guards_need_room() -> None:
    """Tags that do not fit between the bounds are no tags."""
    memory = Memory()
    memory.add(0, 1)

    with pytest.raises(LookupError):
        memory.intact(0, 4, 200, 4096, b"DmaVrfy0", 0)
    with pytest.raises(LookupError):
        memory.intact(0, 100, 200, 204, b"DmaVrfy0", 0)
