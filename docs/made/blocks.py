"""Tables within pages that are made from runs: between `<!-- made: NAME -->` and `<!-- end -->`."""

import re
from collections.abc import Iterable, Iterator

from dmaverify.pipeline.platforms import built_in
from dmaverify.pipeline.scenario_matrix import scenario_matrix
from dmaverify.report.matrix import SIGNS
from dmaverify.sim.hca.family import FAMILIES
from dmaverify.sim.scenarios._statuses import MISTAKES, Ending, run_mistake
from made.words import table

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


#: The same with an HCA that fetches its work from the rings, and moves bytes by its own tables.
OPENIB_HCA = (
    ("(a) physical addresses of rings", "openib_hca:rings_physical"),
    ("(b) rings in common buffers", "openib_hca:rings_in_common_buffers"),
    ("(d) list held for a registration", "openib_hca:region_by_list"),
    ("(e) registration by MDL pages", "openib_hca:region_physical"),
    ("(f) registration by common buffers of its pages", "openib_hca:region_persistent"),
    ("(g) rings by lists", "openib_hca:rings_by_list"),
    ("(h) page-at-a-time workaround", "openib_hca:rings_page_at_a_time"),
    ("(h) the same, buffers on pages", "openib_hca:rings_page_at_a_time_on_page"),
    ("Linux: rings by `dma_alloc_coherent`", "hca_memory:rings_coherent"),
    ("Linux: rings of a program, `dma_map_sg` both ways", "hca_memory:rings_by_list"),
    ("Linux: registration, `dma_map_sg` both ways", "hca_memory:region_by_list"),
    ("Linux: registration by physical addresses", "hca_memory:region_physical"),
    ("Linux: datagrams on QP1, mapped", "hca_good:mads_qp1"),
)


def openib(scenarios: Iterable[tuple[str, str]] = OPENIB) -> Iterator[str]:
    """Give the table of the candidates by platform, as `dmaverify matrix` has it."""
    platforms = [p for p in built_in() if not p.recorded]
    rows = []
    for title, scenario in scenarios:
        report = scenario_matrix(scenario, platforms)
        rows.append([title, *[SIGNS[r.effect][1] for r in report.platforms]])
    yield from table(["", *[p.name for p in platforms]], rows)


def hca_statuses() -> Iterator[str]:
    """Give the table of mistakes by families of HCAs, from runs of each."""
    rows = []
    for mistake in MISTAKES:
        row = [mistake.title, "asked" if mistake.asked else "asks"]
        for family in FAMILIES.values():
            if mistake.window and not family.has_windows:
                row.append("no windows")
                continue
            ended = run_mistake(mistake, family)
            row.append(", ".join(f"`{w}`" if w.isupper() else w for w in _ways(ended)))
        rows.append(row)
    yield from table(["mistake", "made by the end that", *FAMILIES], rows)


def _ways(ended: Ending) -> Iterator[str]:
    """Give the words of a cell: the own status, the peer's, and events."""
    if ended.own:
        yield ended.own
    if ended.peer:
        yield f"peer: `{ended.peer}`"
    yield from ended.events
    if not ended.own and not ended.peer:
        yield "nothing"


MADE_BLOCKS = {
    "openib": openib, "openib-hca": lambda: openib(OPENIB_HCA), "hca-statuses": hca_statuses,
}  # fmt: skip


def with_blocks(text: str) -> str:
    """Return a page with the blocks in it made anew."""
    return _BLOCK.sub(lambda m: m[1] + "\n".join(MADE_BLOCKS[m[2]]()) + "\n" + m[3], text)
