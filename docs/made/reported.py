"""docs/reference/reported-bugs.md, from the scenarios that rebuild them."""

from collections.abc import Iterator
from pathlib import Path

from dmaverify.pipeline.platforms import built_in
from dmaverify.pipeline.simulate import SimulateOptions, simulate
from dmaverify.sim.reported import KINDS, Reported, reported
from made.words import MADE, table


def reported_page() -> Iterator[str]:
    """Give the catalogue of the reported bugs."""
    yield from ("# Reported bugs", "", MADE, "")
    bugs = reported()
    wrong = [bug for bug in bugs if bug.fixed]
    yield f"{len(wrong)} bugs that were reported of real drivers and programs, each rebuilt as a"
    yield "small driver on the simulated machine that makes the same mistake."
    yield "A rule finds it from the recording alone."
    yield "The same driver without the mistake, `NAME_fixed`, has no finding."
    yield ""
    yield "`dmaverify simulate NAME --platform PLATFORM` runs one."
    yield "*Found on* are the platforms whose recordings show the mistake."
    yield "*Goes wrong on* are those where bytes or accesses go wrong that do not in the twin."
    yield ""
    kinds = [kind for kind in KINDS if any(bug.kind == kind for bug in wrong)]
    yield from table(
        ("class", "what it is", "bugs"),
        ((kind, KINDS[kind], str(sum(bug.kind == kind for bug in wrong))) for kind in kinds),
    )
    head = ("bug", "what went wrong", "rule", "found on", "goes wrong on", "report")
    for kind in kinds:
        yield from ("", f"## {kind}: {KINDS[kind]}", "")
        yield from table(head, (_row(bug) for bug in wrong if bug.kind == kind))
    yield from ("", "## False alarms", "")
    yield "The kernel's checker warned, and the maintainers found the driver to be right."
    yield ""
    yield from table(
        ("scenario", "what it is", "report"),
        ((_link(bug), bug.scenario.sentence, _reports(bug)) for bug in bugs if not bug.fixed),
    )


def _row(bug: Reported) -> Iterator[str]:
    names = [p.name for p in built_in()]
    expected = {n: bug.scenario.expected_on.get(n, bug.scenario.expected) for n in names}
    on = [n for n in names if expected[n]]
    found = simulate(bug.scenario.name, SimulateOptions(platform=on[0])).report.findings
    yield _link(bug)
    yield bug.scenario.sentence
    yield ", ".join(f"[`{r}`](rules.md#{r})" for r in dict.fromkeys(f.rule for f in found))
    yield "all" if len(on) == len(names) else ", ".join(on)
    yield ", ".join(n for n in names if _harm(bug, n)) or "none of them"
    yield _reports(bug)


def _harm(bug: Reported, platform: str) -> frozenset[str]:
    """Return what goes wrong with the mistake and not without it."""
    fine = bug.fixed.outcomes.get(platform, frozenset()) if bug.fixed else frozenset()
    return bug.scenario.outcomes.get(platform, frozenset()) - fine


def _link(bug: Reported) -> str:
    file = Path(bug.scenario.path).name
    return f"[`{bug.scenario.name}`](../../dmaverify/sim/scenarios/{file})"


def _reports(bug: Reported) -> str:
    named = enumerate(bug.reports, 1)
    return ", ".join(f"[{i}]({r})" if r.startswith("http") else r for i, r in named)
