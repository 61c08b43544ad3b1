"""The address picture."""

from dmaverify.model.finding import Range
from dmaverify.report.paint import painter
from dmaverify.report.picture import picture
from dmaverify.report.theme import ASCII, UNICODE


def draw(*ranges: Range, width: int = 75, plain: bool = False) -> list[str]:
    """Return a picture as plain lines."""
    paint = painter(colour=False, only_ascii=plain)
    lines = picture(ranges, width, ASCII if plain else UNICODE)
    return [paint(line).removesuffix("\n") for line in lines]


def test_bytes_past_the_end_are_shaded() -> None:
    """What lies past the mapping is shaded and counted."""
    drawn = draw(
        Range("mapping", "mapping #1  4096 B", 0xFFFE1000, 4096),
        Range("sync", "sync 128 B", 0xFFFE1FC0, 128),
    )

    assert [
        "bus 0xfffe1000                                         0xfffe2040",
        "    ├───────────────── mapping #1  4096 B ──────────────────┤",
        "                                             sync 128 B ├────▓▓▓┤ 64 B past",
    ] == drawn


def test_a_short_unmap_leaves_bytes() -> None:
    """An unmap that ends early is told with what stays mapped."""
    drawn = draw(Range("mapping", "m", 0x1000, 64), Range("unmap", "u", 0x1000, 16))

    assert drawn[-1].endswith("┤ 48 B left")
    assert "▓" not in "".join(drawn)


def test_shared_bytes_of_an_overlap_are_shaded() -> None:
    """A map over a live mapping has the shared bytes shaded, not the others."""
    drawn = draw(
        Range("overlap", "mapping #1", 0x1000, 256, "physical"),
        Range("map", "map 256 B", 0x10C0, 256, "physical"),
    )

    assert drawn[0].startswith("phys 0x1000")
    assert "├▓▓▓▓▓▓▓────" in drawn[-1]
    assert drawn[-1].endswith("┤ 64 B shared")


def test_before_and_elsewhere_have_their_own_words() -> None:
    """An access that begins too early, and one that misses altogether."""
    mapping = Range("mapping", "m", 0x1000, 64)

    assert draw(mapping, Range("sync", "s", 0xFF0, 32))[-1].endswith(" 16 B before")
    assert draw(mapping, Range("sync", "s", 0x9000, 32))[-1].endswith(" 32 B outside")


def test_equal_ranges_are_not_drawn() -> None:
    """A picture of one range, or of equal ones, would say nothing."""
    one = Range("mapping", "mapping #1", 0x1000, 64)

    assert [] == draw()
    assert [] == draw(one)
    assert [] == draw(one, Range("unmap", "unmap 64 B", 0x1000, 64))


def test_a_wide_gap_is_folded() -> None:
    """Empty space between far ranges takes little room and is marked."""
    drawn = draw(Range("mapping", "m", 0, 64), Range("sync", "s", 2**63, 64))

    assert "┄" in drawn[0]
    assert drawn[1].count("─") > 20


def test_ascii_picture_has_only_ascii() -> None:
    """Where a stream has no box characters the same picture is drawn with ASCII."""
    drawn = draw(Range("mapping", "m", 0, 64), Range("sync", "s é", 32, 64), plain=True)

    assert "".join(drawn).isascii()
    assert "#" in drawn[-1]
