"""What the compiler makes: instructions, slots, order."""

import pytest

from dmaverify.lang.builtin import combine
from dmaverify.lang.front import compile_sources
from dmaverify.lang.show import show, text_of
from dmaverify.lang.source import Source
from dmaverify.model.classes import class_order
from dmaverify.model.program import INSTRUCTION, Op, Program, Shown
from tests.oracle import vm
from tests.unit.lang.helpers import compiled, diagnostics, rule


def ops(text: str) -> list[str]:
    """Return the operations of a program."""
    code = compiled(text).program.code
    return [Op(i[0]).name for i in INSTRUCTION.iter_unpack(code)]


def test_comparison_with_a_constant_is_one_instruction() -> None:
    """A field against a constant is compared and jumped on at once, whichever side it stands."""
    end = ["HOLDS", "VIOLATED", "NOT_APPLICABLE"]

    assert ["FGE", *end] == ops(rule("require e.count < 3"))
    assert ["FLT", *end] == ops(rule("forbid 3 > e.count"))
    assert ["FNIN", *end] == ops(rule("require e.type in {single, sg}"))
    assert ["FNE", *end] == ops(rule("forbid e.failed"))
    assert ["XMISS", *end] == ops(rule("require e.mapping exists"))


def test_listing_of_a_rule() -> None:
    """The listing names fields and targets."""
    text = rule(
        "where e.mapping exists\n  except e.failed because \"b\"\n"
        "  require e.count <= e.mapping.count + LOTS\n"
        "  needs trace.lost == 0 because \"lost\"\n  report once per e.mapping, e.device",
        head="let LOTS = 70000\n",
    )  # fmt: skip
    expected = """\
rule r: error on dma_unmap
   0  if mapping missing -> 9
   1  if event.failed != 0 -> 9
   2  r0 = event.count
   3  r1 = mapping.count
   4  r2 = 0x11170
   5  r1 = r1 + r2
   6  if r1 < r0 -> 8
   7  HOLDS
   8  VIOLATED
   9  NOT_APPLICABLE
needs: lost
  10  if trace.lost != 0 -> 12
  11  HOLDS
  12  VIOLATED
message: m
group: mapping, device"""

    assert expected == show(compiled(text).program)


def test_guard_is_for_its_kind_alone() -> None:
    """A pattern's guard is skipped for events of the other kinds."""
    text = rule("forbid true", on="dma_map(e.failed), dma_unmap as e")
    program = compiled(text).program
    worlds = [{(0, 23): kind, (0, 11): failed} for kind in (3, 4) for failed in (0, 1)]

    assert [vm.run(program, 0, lambda o, n, w=w: w[o, n])[0] for w in worlds] == [
        "not-applicable",
        "violated",
        "violated",
        "violated",
    ]


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ((0x1000, 0x100), (0x1000, 0x100), "holds"),
        ((0x1000, 0x100), (0x10FF, 1), "holds"),
        ((0x1000, 0x100), (0x10FF, 2), "violated"),
        ((0x1000, 0x100), (0xFFF, 2), "violated"),
        ((0x1000, 0x100), (0x1100, 0), "holds"),
        ((0x1000, 0x100), (0x1101, 0), "violated"),
        ((0x1000, 0x100), (0x2000, 1), "violated"),
        ((2**64 - 16, 16), (2**64 - 8, 8), "holds"),
        ((2**64 - 16, 16), (2**64 - 8, 9), "violated"),
        ((0, 2**64 - 1), (2**64 - 1, 2**64 - 1), "violated"),
    ],
)
def test_covers(outer: tuple[int, int], inner: tuple[int, int], expected: str) -> None:
    """A range covers another if each byte is in it, up to the last byte of the space."""
    # outer |_______|   inner    |__|
    world = {(1, 0): 1, (1, 1): outer[0], (1, 3): outer[1], (0, 1): inner[0], (0, 3): inner[1]}
    text = rule("where e.range exists and e.mapping.range exists\n"
                "  require e.mapping.range covers e.range")  # fmt: skip

    assert expected == vm.run(compiled(text).program, 0, lambda o, n: world[o, n])[0]


def test_difference_below_zero_is_a_fault() -> None:
    """`a - b > c` is computed as it is written."""
    world = {(0, 8): 1, (0, 7): 2}
    program = compiled(rule("forbid e.count - e.cpu > 3")).program

    assert vm.run(program, 0, lambda o, n: world[o, n])[0] == "fault"


def test_message_shares_slots() -> None:
    """Equal values of message and hint are shown once, whatever their format."""
    text = rule("forbid true").replace(
        '"m"', r'"{e.count} \"{{{e.count:hex}}}\" {e.length}"' + '\n  hint "{e.length}"'
    )
    made = compiled(text).program.rules[0]

    assert text_of(made.message) == '{0} "{{0:hex}}" {1}'
    assert [p.slot for p in made.hint if isinstance(p, Shown)] == [1]


def test_missing_value_can_be_shown() -> None:
    """A field that may be missing can stand in a message, but not be computed with."""
    assert diagnostics(rule("forbid true").replace('"m"', '"{e.mapping.length}"')) == ()
    assert [
        d.id for d in diagnostics(rule("forbid true").replace('"m"', '"{e.length + 1 B}"'))
    ] == ["maybe-missing"]


@pytest.mark.parametrize(
    "clauses",
    [
        "where e.length exists\n  forbid e.length == 0",
        "require e.length exists and e.length > 0 B",
        "require not e.length exists or e.length > 0 B",
        "require e.length exists implies e.length > 0 B",
        "require not (not e.length exists) implies e.length > 0 B",
        'except not e.length exists because "b"\n  forbid e.length == 0',
        "require e.length exists\n  require e.length > 0 B",
        "forbid not e.length exists\n  require e.length > 0 B",
        "where e.mapping.length exists\n  forbid e.mapping.count == 0",
        "where (e.length exists and e.failed) or (e.failed and e.length exists)\n"
        "  forbid e.length == 0",
    ],
)
def test_exists_guards(clauses: str) -> None:
    """What `exists` has shown may be used after it."""
    assert [d for d in diagnostics(rule(clauses)) if d.severity == "error"] == []


@pytest.mark.parametrize(
    "clauses",
    [
        "require e.length exists or e.length > 0 B",
        "require not e.length exists and e.length > 0 B",
        "require e.length exists implies e.failed\n  require e.length > 0 B",
        "where e.length exists or e.failed\n  forbid e.length == 0",
        'except e.length exists because "b"\n  forbid e.length == 0',
        "require e.length > 0 B and e.length exists",
        "where e.mapping exists\n  forbid e.mapping.length == 0",
        "where e.ghost.length exists\n  forbid e.mapping.length == 0",
    ],
)
def test_exists_that_guards_nothing(clauses: str) -> None:
    """What may be missing at a place can not be used there."""
    assert {"maybe-missing"} == {d.id for d in diagnostics(rule(clauses)) if d.severity == "error"}


def source(name: str, cls: str, builtin: bool) -> Source:
    """Return a file with one rule of a class."""
    body = f'on dma_map\n forbid e.failed\n class {cls}\n message "m"'
    text = f"dmarules 1\nrule {name}: note {{\n {body}\n}}\n"
    return Source.of(f"{name}.dmar", text, builtin=builtin)


def test_rules_run_in_the_order_of_classes() -> None:
    """Built-in rules run in the order of their classes, users' rules after them as written."""
    last, first = "leak-at-unbind", "failed-mapping-used"
    assert class_order(first) < class_order(last)
    files = [source("u", first, False), source("a", last, True), source("b", first, True)]

    assert [r.id for r in compile_sources(files).program.rules] == ["b", "a", "u"]


def test_program_survives_json() -> None:
    """A program read back from JSON is the same."""
    program = compiled(rule("forbid true").replace('"m"', '"{e.count:hex}"')).program

    assert program == Program.from_json(program.to_json())


def test_combined_programs_keep_their_meaning() -> None:
    """Relocated rules have the same outcomes; needs move with them."""
    a = compile_sources([source("a", "x", True)]).program
    text = rule('where e.count > 1\n  forbid e.failed\n  needs trace.lost == 0 because "b"')
    b = compiled(text).program
    both = combine([a, b])
    world = {(0, 8): 2, (0, 11): 1, (9, 1): 5}

    assert [r.id for r in both.rules] == ["a", "r"]
    assert vm.run(both, both.rules[1].entry, lambda o, n: world[o, n])[0] == "violated"
    need = both.rules[1].needs[0]
    assert vm.run(both, need.entry, lambda o, n: world[o, n])[0] == "violated"
    world[9, 1] = 0
    assert vm.run(both, need.entry, lambda o, n: world[o, n])[0] == "holds"
