"""Platforms from files: what makes one, what does not, and which of them a command line means."""

from pathlib import Path

import pytest

from dmaverify.errors import UsageError
from dmaverify.model.platform import Bounce, Translation
from dmaverify.pipeline.platforms import HOME, built_in, choose, read_platform

MINE = 'name = "mine"\ntitle = "my board"\n'


def written(folder: Path, text: str | bytes, name: str = "mine") -> Path:
    """Return a platform's file."""
    path = folder / f"{name}.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_each_built_in_platform_has_the_name_of_its_file() -> None:
    """And the place that it asks for in a table."""
    assert sorted(p.stem for p in HOME.glob("*.toml")) == sorted(p.name for p in built_in())
    assert "as-recorded" == built_in()[0].name


def test_a_file_tells_what_differs_from_the_usual(tmp_path: Path) -> None:
    """Each key has its value, the others are those of a PC without an IOMMU."""
    text = MINE + 'translation = "nested"\nbounce = "above-width"\naddress_width = 36\n'
    platform = read_platform(written(tmp_path, text))

    assert (Translation.NESTED, Bounce.ABOVE_WIDTH) == (platform.translation, platform.bounce)
    assert (1 << 36) - 1 == platform.highest
    assert platform.coherent


@pytest.mark.parametrize(("text", "said"), [
    ("", "needs a name"),
    ('name = "mine"', "needs a title"),
    (b"\xff\xfe\x00", "byte 0 is not UTF-8"),
    (MINE + "x = " + "[" * 100_000, "nested too deeply"),
    (MINE + "#" * (1 << 20), "more than 1,048,576 bytes"),
    (MINE + 'translation = ["iommu"]', "translation is one of none, iommu, nested"),
    (MINE + "line_bytes = 1e3", "line_bytes is a number from 4 to 4096"),
    (MINE + "line_bytes = 48", "line_bytes is a power of two"),
    (MINE + "bus_offset = true", "bus_offset is a number"),
    (MINE + "bus_offset = 99999999999999999999999", "bus_offset is a number"),
    (MINE + "[coherent]\na = 1", "coherent is true or false"),
    (MINE + "width = 3", "a platform has no 'width'"),
    (MINE + "width", "mine.toml: "),
    ('name = "all"\ntitle = "x"', "not 'all'"),
    ('name = "a\\u001b[31mb"\ntitle = "x"', "small letters"),
    ('name = "' + "n" * 500 + '"\ntitle = "x"', "up to 40 small letters"),
    ('name = "x"\ntitle = "two\\nlines"', "title is a phrase"),
    ('name = "x"\ntitle = "' + "t" * 500 + '"', "title is a phrase"),
])  # fmt: skip
def test_a_bad_file_is_told_with_its_place(tmp_path: Path, text: str | bytes, said: str) -> None:
    """What is wrong, and in which file; never an internal error."""
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as told:
        read_platform(path)

    assert str(told.value).startswith(f"{path}: ")
    assert said in str(told.value)


def test_one_name_is_one_platform(tmp_path: Path) -> None:
    """The same may be asked for twice; two that share a name can not be told apart."""
    same = choose(["flat", "all", "flat"])
    other = written(tmp_path, 'name = "flat"\ntitle = "another"', "flat")

    assert [p.name for p in built_in() if p.name != "flat"] == [p.name for p in same][1:]
    with pytest.raises(UsageError, match="two different platforms have the name 'flat'"):
        choose(["flat", str(other)])


def test_a_run_has_room_for_sixteen(tmp_path: Path) -> None:
    """More are refused, not dropped."""
    files = [str(written(tmp_path, f'name = "p{i}"\ntitle = "x"', f"p{i}")) for i in range(17)]

    assert 16 == len(choose(files[:16]))
    with pytest.raises(UsageError, match="17 platforms in one run; 16 at most"):
        choose(files)
