"""Files, includes, the cache, selection, tests in files."""

import subprocess
import sys
from pathlib import Path

import pytest

from dmaverify.errors import UsageError
from dmaverify.lang import builtin, cache, front
from dmaverify.lang.builtin import combine, compile_files, load_builtin, write_program
from dmaverify.lang.errors import CompileError, Diagnostic
from dmaverify.lang.source import Source
from dmaverify.lang.tests import TestEvent, collect, collect_text
from dmaverify.model.events import EventBatch
from dmaverify.model.kinds import EventKind, Flag
from dmaverify.model.program import Program
from tests.unit.lang.helpers import compiled, rule

RULES = Path(__file__).parents[3] / "rules"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "dmaverify"


def write(path: Path, text: str) -> Path:
    """Write a file and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def errors(*paths: Path) -> list[tuple[str, str]]:
    """Return id and text of all errors in some files."""
    with pytest.raises(CompileError) as caught:
        compile_files(paths)
    return [(d.id, d.text) for d in caught.value.diagnostics]


# ---- includes ------------------------------------------------------------------------------------


def test_include_brings_lets_sets_and_rules(tmp_path: Path) -> None:
    """What an included file defines can be named; its rules are compiled once."""
    write(tmp_path / "sub/c.dmar", rule("forbid e.count == LOTS", head="let LOTS = 7\n"))
    head = 'include "sub/c.dmar"\n'
    a = write(tmp_path / "a.dmar", rule("forbid e.count == LOTS", head=head).replace("r:", "a:"))
    b = write(tmp_path / "b.dmar", rule("forbid e.count == LOTS", head=head).replace("r:", "b:"))

    assert {"r", "a", "b"} == {r.id for r in compile_files([a, b]).rules}


def test_includes_have_no_circles(tmp_path: Path) -> None:
    """A file that includes itself through another is refused."""
    a = write(tmp_path / "a.dmar", 'dmarules 1\ninclude "b.dmar"\n')
    write(tmp_path / "b.dmar", 'dmarules 1\ninclude "a.dmar"\n')

    assert errors(a) == [("include", "`a.dmar` includes itself, directly or through others")]


def test_includes_are_not_too_deep(tmp_path: Path) -> None:
    """Includes nest sixteen levels."""
    for i in range(20):
        write(tmp_path / f"{i}.dmar", f'dmarules 1\ninclude "{i + 1}.dmar"\n')

    assert errors(tmp_path / "0.dmar") == [("include", "includes are nested more than 16 deep")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xfe", "not UTF-8 text: byte 0 is 0xff"),
        (b"#" * ((1 << 20) + 1), "larger than 1 MiB: not a rule file"),
    ],
)
def test_unreadable_files(tmp_path: Path, data: bytes, reason: str) -> None:
    """A file that can not be a rule file is refused with the reason."""
    path = tmp_path / "a.dmar"
    path.write_bytes(data)

    assert [("unreadable-file", f"cannot read `{path}`: {reason}")] == errors(path)


def test_missing_file_and_device(tmp_path: Path) -> None:
    """What is not there, or no regular file, is refused."""
    missing = tmp_path / "no.dmar"

    assert [
        ("unreadable-file", f"cannot read `{missing}`: no such file"),
        ("unreadable-file", "cannot read `/dev/zero`: not a regular file"),
    ] == errors(missing, Path("/dev/zero"))


def test_too_many_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of rules of a run has a limit."""
    monkeypatch.setattr(front, "MAX_RULES", 1)
    path = write(
        tmp_path / "a.dmar", rule("forbid true") + rule("forbid true")[11:].replace("r:", "s:")
    )

    assert errors(path) == [("too-many-rules", "more than 1 rules")]


# ---- the cache -----------------------------------------------------------------------------------


def test_warm_run_parses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run takes program and warnings from the cache."""
    path = write(tmp_path / "a.dmar", rule("forbid e.count < 0"))
    cold: list[Diagnostic] = []
    warm: list[Diagnostic] = []
    program = compile_files([path], cold.append)
    monkeypatch.setattr(front, "compile_paths", lambda paths: pytest.fail("compiled again"))

    assert program == compile_files([path], warm.append)
    assert cold == warm
    assert len(warm) == 1


def test_changed_include_is_noticed(tmp_path: Path) -> None:
    """A change in an included file, or a new file that hides another, counts as a change."""
    inner = write(tmp_path / "c.dmar", "dmarules 1\nlet A = 1\n")
    path = write(tmp_path / "a.dmar", rule("forbid e.count == A", head='include "c.dmar"\n'))
    before = compile_files([path])
    write(inner, "dmarules 1\nlet A = 2\n")

    assert before.code != compile_files([path]).code


@pytest.mark.parametrize("damage", [b"", b"x", b"\xff\x00", None])
def test_damaged_cache_is_ignored(tmp_path: Path, own_cache: Path, damage: bytes | None) -> None:
    """A cache file that was cut or changed is compiled anew."""
    path = write(tmp_path / "a.dmar", rule("forbid e.failed"))
    program = compile_files([path])
    (kept,) = own_cache.iterdir()
    data = kept.read_bytes()
    kept.write_bytes(data.replace(b"r.dmar", b"q.dmar")[:-2] if damage is None else damage)

    assert program == compile_files([path])
    assert data == kept.read_bytes()


def test_cache_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be written, rules compile all the same."""
    path = write(tmp_path / "a.dmar", rule("forbid e.failed"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(write(tmp_path / "file", "")))

    assert len(compile_files([path]).rules) == 1


def test_relative_cache_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative $XDG_CACHE_HOME means the default."""
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", "/nowhere")

    assert Path("/nowhere/.cache/dmaverify") == cache.folder()


# ---- the built-in rules --------------------------------------------------------------------------


def test_shipped_program_is_what_the_texts_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program written at build time equals the one compiled from the source tree."""
    from_texts = load_builtin()
    write_program(RULES, tmp_path / "rules")
    monkeypatch.setattr(builtin, "rules_folder", lambda: tmp_path / "rules")

    assert from_texts == load_builtin()
    assert all(r.builtin for r in from_texts.rules)
    assert str(RULES.parent) not in from_texts.to_json()


def test_builtin_rules_stand_alone(tmp_path: Path) -> None:
    """A built-in rule whose file has another name is refused."""
    write(tmp_path / "group/other.dmar", rule("forbid e.failed"))
    with pytest.raises(CompileError) as caught:
        write_program(tmp_path, tmp_path / "out")

    assert [d.id for d in caught.value.diagnostics] == ["file-name"]


# ---- selection -----------------------------------------------------------------------------------


def two() -> list[Program]:
    """Return two programs with a rule each."""
    text = rule('class size\n  forbid e.failed')  # fmt: skip
    return [compiled(text).program, compiled(text.replace("r:", "s:")).program]


@pytest.mark.parametrize(
    ("select", "ignore", "expected"),
    [
        ((), (), ["r", "s"]),
        (("s",), (), ["s"]),
        (("size",), ("r",), ["s"]),
        ((), ("size",), []),
    ],
)
def test_selection(select: tuple[str, ...], ignore: tuple[str, ...], expected: list[str]) -> None:
    """Rules are selected and ignored by id and by class."""
    assert expected == [r.id for r in combine(two(), select, ignore).rules]


def test_unknown_selection_is_told() -> None:
    """A name that no rule has is an error with the nearest one."""
    with pytest.raises(UsageError) as caught:
        combine(two(), select=["sise"])

    assert str(caught.value) == "there is no rule or class `sise`; did you mean `size`?"


def test_same_id_in_two_programs() -> None:
    """An id may be used once in a run."""
    program = two()[0]
    with pytest.raises(UsageError) as caught:
        combine([program, program])

    assert str(caught.value) == "rule `r` at r.dmar:2 has the id of another rule; rename it"


# ---- tests in files ------------------------------------------------------------------------------


def events(body: str) -> tuple[TestEvent, ...]:
    """Return the events of a test."""
    text = rule('forbid true\n  test "t" fails {\n' + body + "\n}")
    return collect_text(Source.of("r.dmar", text))[0].events


def test_events_are_keywords_of_the_batch() -> None:
    """A test's events can be added to a batch as they are, but for the device's name."""
    made = events(
        "@10 us dma_map(device=\"0000:00:04.0\", segments={0x1000+4 KiB, 0x3000+8 KiB},"
        " phys={0x9000, 0xa000}, direction=from_device, type=sg, cpu=1, truncated)\n"
        "dma_free(virt_addr=0xffff8880, null, failed=false)\n"
        "device_limits(max_segment=64 KiB, boundary=0xffff, dma_mask=0xffffffff)\n"
        'mark(text="hello")'
    )  # fmt: skip
    batch = EventBatch(8)
    for event in made:
        values = {**event.values, "device": 1 if "device" in event.values else 0}
        batch.add(event.kind, time=event.time, **values)

    assert [e.time for e in made] == [10_000, 11_000, 12_000, 13_000]
    assert {
        "device": "0000:00:04.0", "sg_bus": [(0x1000, 4096), (0x3000, 8192)], "bus_addr": 0x1000,
        "sg_phys": [0x9000, 0xA000], "phys_addr": 0x9000, "length": 12288, "direction": 2,
        "type": 3, "cpu": 1, "flags": int(Flag.TRUNCATED),
    } == made[0].values  # fmt: skip
    assert {"virt_addr": 0xFFFF8880, "flags": int(Flag.NULL_CPU)} == made[1].values
    assert made[2].values == {"length": 65536, "bus_addr": 0xFFFF, "phys_addr": 0xFFFFFFFF}
    assert (len(batch), batch[0].kind, batch[3].text) == (4, EventKind.DMA_MAP, "hello")


def test_marks_are_indices() -> None:
    """`<- here` marks its event."""
    text = rule('forbid true\n  test "t" fails {\n dma_map()\n dma_map() <- here\n}')
    case = collect_text(Source.of("r.dmar", text))[0]

    assert (case.rule, case.name, case.fails, case.marks) == ("r", "t", True, (1,))


def test_every_builtin_rule_has_both_tests() -> None:
    """Each built-in rule has a test that fires it and one that does not."""
    cases = collect([RULES])
    lacking = [
        r.id
        for r in load_builtin().rules
        if {True, False} != {c.fails for c in cases if c.rule == r.id}
    ]

    assert lacking == []


def examples() -> list[str]:
    """Return the examples of the reference page as whole files."""
    page = (RULES.parent / "docs/reference/rule-language.md").read_text("utf-8")
    blocks = [b.split("```")[0] for b in page.split("```dmar\n")[1:]]
    made = []
    for block in blocks:
        word = block.split()[0]
        if word in ("where", "test"):
            body = block + ("  forbid true" if word == "test" else "")
            made.append(rule(f"where e.length exists\n{body}"))
        else:
            made.append(block if word == "dmarules" else f"dmarules 1\n{block}")
    return made


@pytest.mark.parametrize("text", examples())
def test_examples_of_the_reference_compile(text: str) -> None:
    """What the reference shows is accepted without a warning, tests included."""
    assert compiled(text).warnings == ()
    collect_text(Source.of("r.dmar", text))


def test_building_needs_no_compiled_module() -> None:
    """The built-in rules can be compiled before any extension is."""
    code = (
        "import sys; sys.modules['dmaverify.model.events'] = None\n"
        "from pathlib import Path; from tempfile import mkdtemp\n"
        "from dmaverify.lang.builtin import write_program\n"
        "write_program(Path('rules'), Path(mkdtemp()))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=RULES.parent, check=False)

    assert run.returncode == 0
