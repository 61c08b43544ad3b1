"""Numbers, blocks and compression of the container."""

import zlib

import pytest
import zstandard

from dmaverify.trace.dat_sections import Cursor, CutShortError, Unpacker


def test_numbers_in_both_orders() -> None:
    """A number has the file's byte order."""
    data = bytes(range(1, 9))

    assert 0x0807060504030201 == Cursor.over(data, "<").number(8)
    assert 0x0102 == Cursor.over(data, ">").number(2)


def test_nothing_behind_the_end() -> None:
    """What claims to be longer than the file is cut short, however long it claims to be."""
    for claim in (5, 1 << 40, (1 << 64) - 1):
        cursor = Cursor.over(claim.to_bytes(8, "little") + b"1234", "<")
        with pytest.raises(CutShortError):
            cursor.block(8)
    with pytest.raises(CutShortError):
        Cursor.over(b"no end", "<").name()


@pytest.mark.parametrize("method", ["zlib", "zstd"])
def test_unpack(method: str) -> None:
    """A block becomes what it was, once more with the same memory."""
    plain = b"page" * 5000
    packed = zlib.compress(plain) if method == "zlib" else zstandard.compress(plain)
    unpacker = Unpacker(method)

    assert [plain, plain] == [unpacker.unpack(packed, len(plain)) for _ in range(2)]


@pytest.mark.parametrize("method", ["zlib", "zstd", "lz4"])
@pytest.mark.parametrize("size", [10, 19_999, 20_001, 1 << 25])
def test_wrong_size_or_data(method: str, size: int) -> None:
    """A block that does not become what it claims is refused."""
    plain = b"page" * 5000
    packed = zlib.compress(plain) if method == "zlib" else zstandard.compress(plain)
    for data in (packed, packed[:-3], b"", b"garbage of no kind"):
        with pytest.raises(ValueError, match=r"."):
            Unpacker(method).unpack(data, size)


def test_a_small_block_does_not_become_a_large_one() -> None:
    """A frame that claims more than its section is not even begun."""
    bomb = zstandard.compress(bytes(1 << 26))

    with pytest.raises(ValueError, match="another size"):
        Unpacker("zstd").unpack(bomb, 4096)
