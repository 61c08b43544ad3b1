"""Make what follows from the code: pages of the reference, and the output that pages show.

    python docs/generate.py            write it
    python docs/generate.py --check    say what differs, and exit with 1 where something does

The package is taken from this tree where it is built in place, else as it is installed.
"""

import argparse
import difflib
import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields
from enum import IntEnum
from pathlib import Path

ROOT = Path(__file__).parents[1]
if any((ROOT / "dmaverify/model").glob("events.*.so")):
    sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "docs"))

import console  # noqa: E402

from dmaverify.cli.commands import COMMANDS  # noqa: E402
from dmaverify.cli.run import EXIT_CODES, build_parser  # noqa: E402
from dmaverify.lang.front import compile_folder  # noqa: E402
from dmaverify.lang.tests import collect  # noqa: E402
from dmaverify.model.classes import CLASSES  # noqa: E402
from dmaverify.model.fields import (  # noqa: E402
    DEVICE_FIELDS,
    EVENT_FIELDS,
    HCA_OBJECTS,
    KIND_SENTENCES,
    MAPPING_FIELDS,
    MAPPING_OBJECTS,
    NAMED_FIELDS,
    NAMED_OBJECTS,
    TRACE_FIELDS,
    Field,
    Type,
    event_has_device,
    kind_name,
)  # fmt: skip
from dmaverify.model.hca_fields import QP_FIELDS, REGION_FIELDS, WORK_FIELDS  # noqa: E402
from dmaverify.model.kinds import (  # noqa: E402
    AccessSide,
    Arg,
    EventKind,
    MapType,
    MemoryKind,
    Opcode,
    Provenance,
    QpState,
    QpType,
    RegionType,
    Rights,
    WcStatus,
)
from dmaverify.model.platform import EFFECT_NAMES, Effect, Platform  # noqa: E402
from dmaverify.model.program import Rule  # noqa: E402
from dmaverify.model.routines import ARG_WORDS, IRQL_BOUNDS, Routine  # noqa: E402
from dmaverify.pipeline.platforms import built_in  # noqa: E402
from dmaverify.pipeline.profiles import load_groups  # noqa: E402
from dmaverify.pipeline.scenario_matrix import scenario_matrix  # noqa: E402
from dmaverify.report.matrix import SIGNS  # noqa: E402
from dmaverify.trace.events import EVENTS, EventSpec, Slot  # noqa: E402
from dmaverify.trace.native_hca import HCA_FIELDS  # noqa: E402

REFERENCE = ROOT / "docs/reference"
MADE = "<!-- Made by docs/generate.py: change the code, then run it. -->"

GROUPS = {group.name: group.title for group in load_groups()}

#: Kinds of Windows' DMA interface.
WINDOWS = range(EventKind.IRQL, EventKind.DMA_CANCEL + 1)

OBJECTS = {
    "mapping": "the live mapping that the event means: the best fit",
    "ghost": "the mapping that last covered the address and has ended",
    "foreign": "a live mapping of another device at this address",
    "enclosing": "a live mapping of this device that has the address inside it, or that an "
    "access just misses; at a map, one whose pages the IOMMU has just given to the new one",
    "overlap": "a live mapping that shares bytes of memory with the one being made",
    "neighbour": "a live mapping that shares a cache line, but no byte, with the one being made",
}
HCA_WORDS = {
    "region": "the live memory region that the key names",
    "ended_region": "the region that the key named last, and that has ended",
    "queue_pair": "the queue pair that the event names",
    "work": "the posted work request that completes, is touched, or is in the way",
}

SLOT_NAMES = {
    Slot.DEVICE: "device", Slot.BUS_ADDR: "bus_addr", Slot.PHYS_ADDR: "phys_addr",
    Slot.LENGTH: "length", Slot.DIRECTION: "direction", Slot.ATTRS: "skip_sync, mmio",
    Slot.VIRT_ADDR: "virt_addr", Slot.BUS_LIST: "segments", Slot.LENGTH_LIST: "segments",
    Slot.PHYS_LIST: "phys", Slot.FULL_BUS: "bus_entries", Slot.FULL_PHYS: "phys_entries",
    Slot.BUS_PAIR: "bus_entries", Slot.PHYS_PAIR: "phys_entries", Slot.TRUNCATED: "truncated",
    Slot.STATUS: "status", Slot.UNMAPPED: "unmapped", Slot.DMA_MASK: "dma_mask",
    Slot.FORCE: "forced", Slot.FAULT_FLAGS: "direction", Slot.TEXT: "text",
    Slot.OBJECT: "object, transfer", Slot.OPERATION: "kind, direction", Slot.MEMORY: "memory",
    Slot.PFN: "phys_addr, length", Slot.ORDER: "length",
    Slot.ARG: "named numbers",
}  # fmt: skip


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Give the lines of a table."""
    names = list(head)
    yield "| " + " | ".join(names) + " |"
    yield "|" + "---|" * len(names)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def code(words: Iterable[str]) -> str:
    """Return words as code, with commas between."""
    return ", ".join(f"`{word}`" for word in words)


# ---- blocks within pages

_BLOCK = re.compile(r"(<!-- made: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

#: The candidates of the 2005 discussion: what a row is called, and the scenario that it is.
OPENIB = (
    ("(a) physical addresses in rings and descriptors", "openib_rings:physical_address"),
    ("(b) common buffer", "openib_rings:common_buffer"),
    ("(b) the same, taken to be aligned", "openib_rings:common_buffer_taken_as_aligned"),
    ("(b) the same, and it is aligned", "openib_rings:common_buffer_on_page"),
    ("(c) list for each request", "openib_memory:per_request"),
    ("(d) list held for a registration", "openib_memory:list_held"),
    ("(d) the same, used both ways", "openib_memory:list_held_both_ways"),
    ("(e) registration by MDL pages", "openib_memory:mdl_addresses"),
    ("(f) registration by common buffers of its pages", "openib_memory:persistent"),
    ("(g) rings by lists", "openib_rings:scatter_gather"),
    ("(h) page-at-a-time workaround", "openib_rings:page_at_a_time"),
    ("(h) the same, buffers on pages", "openib_rings:page_at_a_time_on_page"),
    ("(i) datagrams without mapping", "openib_memory:mads_unmapped"),
    ("(i) datagrams with mapping", "openib_memory:mads_mapped"),
    ("(j) another device's adapter", "openib_memory:other_adapter"),
)


def openib() -> Iterator[str]:
    """Give the table of the candidates by platform, as `dmaverify matrix` has it."""
    platforms = [p for p in built_in() if not p.recorded]
    rows = []
    for title, scenario in OPENIB:
        report = scenario_matrix(scenario, platforms)
        rows.append([title, *[SIGNS[r.effect][1] for r in report.platforms]])
    yield from table(["", *[p.name for p in platforms]], rows)


MADE_BLOCKS = {"openib": openib}


def with_blocks(text: str) -> str:
    """Return a page with the blocks in it made anew."""
    return _BLOCK.sub(lambda m: m[1] + "\n".join(MADE_BLOCKS[m[2]]()) + "\n" + m[3], text)


# ---- platforms.md


def platforms_page() -> Iterator[str]:
    """Give the page of the platforms, from their files and the dataclass that they fill."""
    yield from ("# Platforms", "", MADE, "")
    yield "What a machine has between a device and memory. `dmaverify matrix TRACE` works out all"
    yield "of them, `--platform NAME` one; [how to](../how-to/platforms.md)."
    yield ""
    usual = {f.name: f.default for f in fields(Platform)}
    yield from table(
        ("platform", "what it is", "keys"),
        ((f"`{p.name}`", p.title, _keys(p, usual)) for p in built_in()),
    )
    yield from ("", "## Keys of a platform's file", "")
    yield "A file is TOML, one platform each; its name ends in `.toml`."
    yield "`name` and `title` are needed."
    yield ""
    said = dict(_ARGUMENT.findall(inspect.getdoc(Platform) or ""))
    yield from table(
        ("key", "usual value", "what it says"),
        (
            (f"`{f.name}`", "" if f.default is MISSING else f"`{_toml(f.default)}`",
             " ".join(said[f.name].split()))
            for f in fields(Platform)
        ),
    )  # fmt: skip
    yield from ("", "## Effects", "")
    yield from table(
        ("effect", "what it means"),
        ((f"`{EFFECT_NAMES[e]}`", EFFECTS[e]) for e in sorted(Effect, reverse=True)),
    )
    yield from ("", "Of several on one platform the first of this list is told.")


_ARGUMENT = re.compile(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", re.MULTILINE | re.DOTALL)

EFFECTS = {
    Effect.BREAKS: "a fault, a stale read, lost or foreign bytes, at a named event",
    Effect.REFUSED: "the platform can not give the mapping, and the driver is told",
    Effect.WORKS_BY_LUCK: "the contract was broken, and nothing came of it",
    Effect.CANNOT_TELL: "the recording lacks what would decide it; `missing` says what",
    Effect.WORKS: "the contract was kept, as far as the recording shows, and nothing went wrong",
}


def _keys(platform: Platform, usual: dict[str, object]) -> str:
    own = [
        f"{name}={_toml(getattr(platform, name))}"
        for name in usual
        if name not in ("name", "title", "order") and getattr(platform, name) != usual[name]
    ]
    return code(own)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, IntEnum):
        return '"' + value.name.lower().replace("_", "-") + '"'
    return hex(value) if isinstance(value, int) and value >= 1 << 32 else str(value)


# ---- cli.md


def cli_page() -> Iterator[str]:
    """Give the page of the command line, from the parser itself."""
    yield from ("# The command line", "", MADE, "")
    yield "Findings go to stdout; errors and the progress bar go to stderr."
    yield from ("`dmaverify --version` shows the version.", "")
    yield from table(
        ("command", "what it does"),
        ((f"[`dmaverify {' '.join(c.words)}`](#dmaverify-{'-'.join(c.words)})", c.sentence)
         for c in COMMANDS),
    )  # fmt: skip
    parser = build_parser()
    for command in COMMANDS:
        where: argparse.ArgumentParser = parser
        for word in command.words:
            where = _inner(where, word)
        yield from ("", f"## dmaverify {' '.join(command.words)}", "")
        yield from _command(where, command.sentence)
    yield from ("", "## Environment", "")
    yield from table(
        ("variable", "effect"),
        (
            ("`NO_COLOR`", "not empty: no colours"),
            ("`FORCE_COLOR`, `CLICOLOR_FORCE`", "not empty: colours, also into a file; `0`: none"),
            ("`COLUMNS`", "the width of the report, 40 to 120"),
            ("`CI`", "not empty: no progress bar"),
            ("`TERM`", "`dumb`: no colours, no progress bar"),
            ("`XDG_CACHE_HOME`", "where compiled rules are kept (`~/.cache`)"),
            ("`DMAVERIFY_DEBUG`", "`1`: an internal error shows where it happened"),
        ),
    )
    yield from (
        "",
        "`--color` wins over `NO_COLOR`, that over the other two, those over the terminal.",
    )
    yield from ("", "## Exit codes", "", *_exit_codes(), "")
    yield "More on them: [exit codes](exit-codes.md)."


def _inner(parser: argparse.ArgumentParser, word: str) -> argparse.ArgumentParser:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found: argparse.ArgumentParser = action.choices[word]
            return found
    raise KeyError(word)


def _command(parser: argparse.ArgumentParser, sentence: str) -> Iterator[str]:
    yield from (f"{sentence[0].upper()}{sentence[1:]}.", "")
    places = [a for a in parser._actions if not a.option_strings]
    yield from ("```text", " ".join([parser.prog, "[OPTIONS]", *map(_place, places)]), "```", "")
    rows = [(f"`{a.metavar}`", a.help or "") for a in places]
    for group in parser._action_groups:
        for action in group._group_actions:
            if action.option_strings and action.dest != "help":
                value = f" {action.metavar}" if action.nargs != 0 and action.metavar else ""
                names = ", ".join(f"`{name}{value}`" for name in action.option_strings)
                rows.append((names, _help(action)))
    yield from table(("argument", "what it is"), rows)
    if parser.epilog:
        yield from ("", "```text", parser.epilog.strip(), "```")


def _place(action: argparse.Action) -> str:
    name = str(action.metavar)
    return {"+": f"{name} [{name} ...]", "*": f"[{name} ...]"}.get(str(action.nargs), name)


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")


def _exit_codes() -> Iterator[str]:
    rows = re.findall(r"^ +(\d)  (.+)$", EXIT_CODES, re.MULTILINE)
    yield from table(("code", "when"), rows)


# ---- rules.md


def rules_page() -> Iterator[str]:
    """Give the catalogue of the built-in rules."""
    folder = ROOT / "rules"
    rules = {r.id: r for r in compile_folder(folder).program.rules}
    tests: dict[str, list[str]] = defaultdict(list)
    for case in collect([folder]):
        tests[case.rule].append(f"{case.name} ({'fails' if case.fails else 'passes'})")
    files = {path.stem: path for path in folder.rglob("*.dmar")}
    yield from ("# The built-in rules", "", MADE, "")
    yield f"There are {len(rules)} rules."
    yield "`dmaverify rules list` lists them, `dmaverify rules explain ID` explains one."
    yield (
        "What a maturity promises, and how a rule is added: [add a built-in "
        "rule](../how-to/add-a-built-in-rule.md)."
    )
    yield from ("", "A rule's *class* is the mistake that it finds; several rules may share one.")
    yield (
        "Where one event breaks several rules, the first class in the order below is "
        "told, the others are consequences."
    )
    yield ""
    rows = (
        (
            f"[`{r.id}`](#{r.id})",
            f"`{r.cls}`",
            r.severity.name.lower(),
            r.maturity.name.lower(),
            code(kind_name(EventKind(k)) for k in r.kinds),
        )
        for r in _in_order(rules.values())
    )
    yield from table(("rule", "class", "severity", "maturity", "events"), rows)
    for group, title in GROUPS.items():
        yield from ("", f"## {title}")
        for name, path in sorted(files.items()):
            if path.parent.name == group and name in rules:
                yield from _rule(rules[name], path, tests[name])


def _in_order(rules: Iterable[Rule]) -> list[Rule]:
    return sorted(rules, key=lambda r: (CLASSES.index(r.cls) if r.cls in CLASSES else 99, r.id))


def _rule(rule: Rule, path: Path, tests: list[str]) -> Iterator[str]:
    text = path.read_text("utf-8")
    yield from ("", f"### {rule.id}", "")
    for paragraph in inspect.cleandoc(rule.explain).split("\n\n"):
        yield from (re.sub(r"(?<=\.) +(?=[A-Z`])", "\n", " ".join(paragraph.split())), "")
    rows = [
        ("class", f"`{rule.cls}`"),
        ("severity", rule.severity.name.lower()),
        ("maturity", rule.maturity.name.lower()),
        ("events", code(kind_name(EventKind(k)) for k in rule.kinds)),
        ("message", f"`{_said(text, 'message')}`"),
    ]
    if rule.hint:
        rows.append(("help", _said(text, "hint")))
    rows += [("needs", f"can not tell where {need.because}") for need in rule.needs]
    for system, name in (("windows", "Driver Verifier"), ("linux", "kernel DMA-API")):
        rows.append((name, code(rule.equivalents.get(system, ())) or "no word for it"))
    rows += [("source", source) for source in rule.source]
    rows += [("test", test) for test in tests]
    place = path.relative_to(ROOT)
    rows.append(("file", f"[`{place}`](../../{place})"))
    yield from table(("", ""), rows)


def _said(text: str, clause: str) -> str:
    found = re.search(rf'^ *{clause} "((?:[^"\\]|\\.)*)"', text, re.MULTILINE)
    return found[1] if found else ""


# ---- events.md


def events_page() -> Iterator[str]:
    """Give the event model: kinds, fields, and the kernel's events."""
    yield from ("# Events, mappings and their fields", "", MADE, "")
    yield "This is what a recording is turned into, and what a rule can ask."
    yield "The names are the same in rules, in the native format and in the JSON report."
    yield from ("", "## Event kinds", "")
    kernel: dict[EventKind, list[str]] = defaultdict(list)
    for spec in EVENTS:
        kernel[spec.kind].append(spec.name)
    yield from table(
        ("kind", "what happened", "read from"),
        ((f"`{kind_name(k)}`", KIND_SENTENCES[k], code(kernel[k]) or _origin(k))
         for k in EventKind),
    )  # fmt: skip
    yield from (
        "",
        "`iommu_attach`, `dev_fault` and `mark` change nothing in the engine and no "
        "built-in rule asks for them.",
        "",
    )
    yield from ("## Fields of an event", "")
    yield "*optional*: the value may be unknown, and a rule has to ask with `exists` first."
    yield (
        "*stored*: it is in the recording, and is a key of the native format and of a rule's test."
    )
    yield "(`null` and `truncated` are written there as bare words.)"
    yield from (
        "The other fields are worked out by the engine, in the world as it was before the event.",
        "",
    )
    yield from _fields(EVENT_FIELDS, kinds=True)
    devices = code(kind_name(k) for k in EventKind if event_has_device(k))
    yield from ("", "`e.device` is the device; these kinds have one:", f"{devices}.")
    yield from ("", "## Mappings", "", "A rule reaches a mapping by what it is to the event:", "")
    yield from table(
        ("path", "what it is"),
        ((f"`e.{name}`", OBJECTS[name]) for name in MAPPING_OBJECTS),
    )
    yield from ("", "Every one of them may be missing, and has these fields:", "")
    yield from _fields(MAPPING_FIELDS)
    yield from ("", "## Regions, queue pairs, work requests", "", "From an event of an HCA:", "")
    yield from table(
        ("path", "what it is"),
        ((f"`e.{name}`", HCA_WORDS[name]) for name in HCA_OBJECTS),
    )
    yield from ("", "Every one of them may be missing. A region has these fields:", "")
    yield from _fields(REGION_FIELDS)
    yield from ("", "And a queue pair these:", "")
    yield from _fields(QP_FIELDS)
    yield from ("", "And a work request these:", "")
    yield from _fields(WORK_FIELDS)
    yield from ("", "## Devices", "", "Of `e.device`, and of `device` in a `needs` clause:", "")
    yield from _fields(DEVICE_FIELDS)
    yield from ("", "## Adapters, map register files and MDLs", "")
    yield "Of `e.adapter`, `e.file` and `e.mdl`, which may be missing. By itself each is a number."
    yield "The table of named numbers below has their keys. At `driver_unbound` the adapter is the"
    yield "oldest one that its device still has."
    for name, obj in NAMED_OBJECTS.items():
        yield from ("", f"`e.{name}`:", "")
        yield from _fields(NAMED_FIELDS[obj])
    yield from ("", "## The recording", "", "Of `trace`:", "")
    yield from _fields(TRACE_FIELDS)
    yield from _types()
    yield from _routines()
    yield from _kernel_events()


def _origin(kind: EventKind) -> str:
    return {
        EventKind.LOST: "the recorder's own words about losses",
        EventKind.DEVICE_LIMITS: "the native format only",
        EventKind.DEV_WRITE: code(["edu_dma_done"]),
        EventKind.LEFT_MAPPED: "made by the engine at `driver_unbound`",
        EventKind.LEFT_REGISTERED: "made by the engine at `dereg_mr`, or at the end",
        EventKind.POSTED_SGE: "made by the engine at a post",
        EventKind.WORK_TOUCHED: "made by the engine at `cpu_read` and `cpu_write`",
    }.get(kind, "the native format only" if kind in WINDOWS else "")


def _fields(fields: Iterable[Field], *, kinds: bool = False) -> Iterator[str]:
    head = ["field", "type", "optional", "what it is", *(["stored", "kinds"] if kinds else [])]
    rows = []
    for field in fields:
        type_ = field.type.name.lower().replace("map_type", "type")
        if field.space:
            type_ += f" ({field.space})"
        row = [f"`{field.name}`", type_, "yes" if field.optional else "", field.sentence]
        if kinds:
            row.append("yes" if field.stored else "")
            row.append(code(kind_name(k) for k in sorted(field.kinds)) or "all")
        rows.append(row)
    yield from table(head, rows)


def _types() -> Iterator[str]:
    yield from ("", "## Types and units", "")
    notes = {
        Type.INT: "a count", Type.ADDR: "an address; its space stands behind it",
        Type.SIZE: "bytes", Type.TIME: "ns of the trace clock", Type.DURATION: "ns",
        Type.BOOL: "`true` or `false`",
        Type.DIRECTION: "`bidirectional`, `to_device`, `from_device`, `none`",
        Type.MAP_TYPE: code(t.name.lower() for t in MapType),
        Type.KIND: "a kind's name",
        Type.MEMORY: code(k.name.lower() for k in MemoryKind),
        Type.PROVENANCE: code(p.name.lower() for p in Provenance),
        Type.ROUTINE: "a routine of Windows' DMA interface, listed below",
        Type.ACTION: code(ARG_WORDS[Arg.ACTION].values()),
        Type.CACHE: code(ARG_WORDS[Arg.CACHE].values()),
        Type.KEY: "a key, in hexadecimal: equal or not",
        Type.RIGHTS: code(r.name.lower() for r in Rights if r.name),
        Type.REGION_TYPE: code(t.name.lower() for t in RegionType),
        Type.SIDE: code(s.name.lower() for s in AccessSide),
        Type.QP_TYPE: code(t.name.lower() for t in QpType),
        Type.QP_STATE: code(s.name.lower() for s in QpState),
        Type.OPCODE: code(o.name.lower() for o in Opcode),
        Type.WC_STATUS: code(s.name.lower() for s in WcStatus),
        Type.TOKEN: "a CPU pointer or its hash: equal or not, nothing else",
        Type.DEVICE: "equal or not; shown by name", Type.TASK: "equal or not; shown by name",
    }  # fmt: skip
    yield from table(
        ("type", "values"),
        ((type_.name.lower().replace("map_type", "type"), notes[type_]) for type_ in Type),
    )


def _routines() -> Iterator[str]:
    yield from ("", "## Windows' DMA interface", "")
    yield "Named numbers that an event may have beside its fields, each under its own key:"
    yield ""
    text = inspect.getsource(Arg)
    said = dict(re.findall(r"^    ([A-Z_]+) = \d+  # (.*)$", text, re.MULTILINE))
    yield from table(
        ("key", "what it is", "words"),
        ((f"`{arg.name.lower()}`", said[arg.name],
          "a routine, below" if arg is Arg.ROUTINE else code(ARG_WORDS.get(arg, {}).values()))
         for arg in Arg),
    )  # fmt: skip
    yield from ("", "Routines, and the lowest and highest IRQL at which each may be called:", "")
    yield from table(
        ("routine", "IRQL"),
        ((f"`{r.name.lower()}`",
          "{}..{}".format(*IRQL_BOUNDS[r]) if r in IRQL_BOUNDS else "not checked")
         for r in Routine),
    )  # fmt: skip


def _kernel_events() -> Iterator[str]:
    yield from ("", "## What the kernel's events become", "")
    yield (
        "An event is known by its name together with the fields that it must have, never "
        "by a kernel version."
    )
    yield (
        "A field is listed by its name in the event's format file and, where the kernel "
        "prints another label, by that too."
    )
    yield from ("Fields of the kernel that are not listed are not read.", "")
    yield from table(
        ("kernel event", "becomes", "type", "fields", "defined in"),
        (
            (f"`{spec.name}`", _becomes(spec), spec.type.name.lower() if spec.type else "",
             ", ".join(f"`{label}` → {_slot(spec, slot)}" for label, slot in spec.fields.items()),
             f"`{spec.source}`" if "/" in spec.source else spec.source)
            for spec in EVENTS
        ),
    )  # fmt: skip
    yield ""
    yield "`edu_dma_done` becomes `dev_write` where its operation says so."
    yield (
        "The three `driver_*` events are kprobes that you make yourself, see [record a "
        "trace](../how-to/record-a-trace.md)."
    )
    yield (
        "The marks `dmaverify: bind DEVICE DRIVER` and `dmaverify: unbind-end DEVICE "
        "DRIVER` stand in for them."
    )


def _slot(spec: EventSpec, slot: Slot) -> str:
    own = {s: name for name, s in HCA_FIELDS.get(spec.kind, {}).items()}
    made = {Slot.SIDE: "side", Slot.INTO: "moves"}
    return own.get(slot) or made.get(slot) or SLOT_NAMES[slot]


def _becomes(spec: EventSpec) -> str:
    return f"`{kind_name(spec.kind)}`" + (" that failed" if spec.failed else "")


MADE_PAGES = {
    "docs/reference/cli.md": cli_page,
    "docs/reference/rules.md": rules_page,
    "docs/reference/events.md": events_page,
    "docs/reference/platforms.md": platforms_page,
}


def pages() -> list[str]:
    """Return the names of all pages that have something made in them, relative to the root."""
    held = [str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md")]
    return sorted({"README.md", *MADE_PAGES, *held})


def make(name: str) -> str:
    """Return the text that a page should have."""
    if name in MADE_PAGES:
        return "\n".join(MADE_PAGES[name]()).rstrip("\n") + "\n"
    return with_blocks(console.refreshed((ROOT / name).read_text("utf-8")))


def difference(name: str) -> str:
    """Return how the page in the tree differs from what the code says, "" where it does not."""
    path = ROOT / name
    held = path.read_text("utf-8") if path.exists() else ""
    lines = difflib.unified_diff(
        held.splitlines(), make(name).splitlines(), name, "the code", lineterm=""
    )
    return "\n".join(lines)


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="change nothing; 1 where pages differ")
    if parser.parse_args().check:
        differences = [d for d in map(difference, pages()) if d]
        print("\n\n".join(differences) or "the pages are as the code")
        return 1 if differences else 0
    for name in pages():
        (ROOT / name).write_text(make(name), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
