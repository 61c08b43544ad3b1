"""Which device a line of a device log is about, where the line does not say.

Lines about the same page that name a device tell it best; then the mappings of the trace:
the device for which the pages were mapped. Where two devices fit, neither is taken.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from dmaverify.trace._merge import Scout
from dmaverify.trace.devlog import PAGE, DeviceLog

SAMPLE = 4096  # pages of one family of lines that are looked for among the mappings
_CLEAR = 0.9  # share of the votes that settles it
_LEAST = 0.5  # share of the pages that must have been mapped for the device
EDU = "edu@"


def family_pages(log: DeviceLog) -> dict[str, list[int]]:
    """Return a sample of the pages that each family of nameless lines is about, sorted."""
    pages: dict[str, set[int]] = defaultdict(set)
    for access in log.accesses:
        if not access.device:
            pages[access.family].add(access.bus_addr // PAGE)
    found = {}
    for family, members in pages.items():
        ordered = sorted(members)
        found[family] = ordered[:: -(-len(ordered) // SAMPLE)]
    return found


def owners(
    log: DeviceLog, pages: dict[str, list[int]], scout: Scout, devices: Sequence[str]
) -> dict[str, str]:
    """Return the device's name for each family of nameless lines, "" where it is not clear.

    Args:
        log: the device log.
        pages: what `family_pages` gave for it.
        scout: has seen the whole trace.
        devices: device names of the trace by number.
    """
    mapped = scout.mapped_pages()
    found = {}
    for family, sample in pages.items():
        number = _edu(family, log, scout) if family.startswith(EDU) else 0
        if number:
            found[family] = devices[number]
            continue
        found[family] = _by_votes(log.votes.get(family)) or _by_mappings(sample, mapped, devices)
    return found


def _by_votes(votes: Counter[str] | None) -> str:
    if not votes:
        return ""
    name, count = votes.most_common(1)[0]
    return name if count >= votes.total() * _CLEAR else ""


def _by_mappings(sample: list[int], mapped: dict[int, set[int]], devices: Sequence[str]) -> str:
    scores = Counter({d: sum(p in pages for p in sample) for d, pages in mapped.items() if d})
    ranked = scores.most_common(2)
    if not ranked or ranked[0][1] < len(sample) * _LEAST:
        return ""
    if len(ranked) > 1 and ranked[1][1] * 2 > ranked[0][1]:
        return ""
    return devices[ranked[0][0]]


def _edu(family: str, log: DeviceLog, scout: Scout) -> int:
    """Return the number of the device whose registers lie at the family's base, or 0."""
    base = int(family[len(EDU) :], 16)
    for number, _, device, _ in scout.syncs:
        if device and log.syncs.get(number, (0, -1))[1] == base:
            return device
    told: dict[tuple[int, int, int], set[int]] = defaultdict(set)
    for device, address, length, writes in scout.transfers:
        told[address, length, int(bool(writes))].add(device)
    votes: Counter[int] = Counter()
    for access in log.accesses:
        if access.family == family:
            fitting = told.get((access.bus_addr, access.length or 0, int(bool(access.write))), ())
            votes.update(fitting if len(fitting) == 1 else ())
    if not votes:
        return 0
    device, count = votes.most_common(1)[0]
    return device if count >= votes.total() * _CLEAR else 0
