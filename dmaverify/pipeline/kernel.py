"""What the kernel's own checker said, beside what was found here: the same, nothing, more."""

from collections.abc import Sequence

from dmaverify.model.finding import Finding, Notice
from dmaverify.model.kinds import Severity
from dmaverify.trace.klog import KernelLog, KernelVerdict

_QUOTED = 160  # characters of a line that are shown


def kernel_notices(log: KernelLog, findings: Sequence[Finding]) -> list[Notice]:
    """Return what the kernel log adds: how far the kernel agrees, and what it lost.

    Args:
        log: the kernel log.
        findings: what was found in the trace of the same run.
    """
    wrong = [f for f in findings if f.severity >= Severity.WARNING]
    told: set[int] = set()
    same: list[KernelVerdict] = []
    more: list[KernelVerdict] = []
    for verdict in log.verdicts:
        matching = {i for i, f in enumerate(wrong) if _same(verdict, f)}
        told |= matching
        (same if matching else more).append(verdict)
    notices = _told("kernel-says-the-same", "the same", "", same)
    notices += _told("kernel-says-more", "more", ", which the trace does not show", more)
    silent = [f for i, f in enumerate(wrong) if i not in told]
    if silent:
        notices.append(_silent_notice(log, silent))
    if log.lost:
        text = (
            f"The kernel log left lines out ({_short(log.lost[0])}); what it lacks proves nothing."
        )
        notices.append(Notice("kernel-log-incomplete", text, len(log.lost)))
    return notices


def _same(verdict: KernelVerdict, finding: Finding) -> bool:
    if verdict.device and finding.device != verdict.device:
        return False
    words = finding.equivalents.get("linux", ())
    return verdict.cls == finding.cls or any(w in verdict.text for w in words)


def _by_class(verdicts: Sequence[KernelVerdict]) -> dict[tuple[str, str], list[KernelVerdict]]:
    groups: dict[tuple[str, str], list[KernelVerdict]] = {}
    for verdict in verdicts:
        groups.setdefault((verdict.device, verdict.cls), []).append(verdict)
    return groups


def _told(id_: str, says: str, shown: str, verdicts: Sequence[KernelVerdict]) -> list[Notice]:
    """Return a notice for each device and class, with the first line of the log about it."""
    return [
        Notice(
            id_,
            f"The kernel says {says} of {device or 'a device'} ({cls}){shown}: "
            f"line {group[0].line} of its log, {_short(group[0].text)}",
            len(group),
        )
        for (device, cls), group in _by_class(verdicts).items()
    ]


def _silent_notice(log: KernelLog, findings: Sequence[Finding]) -> Notice:
    classes = ", ".join(dict.fromkeys(f.cls for f in findings))
    if log.debugging_enabled:
        why = "its checker was on"
    elif log.disabled:
        why = f"its checker was off ({_short(log.disabled)})"
    else:
        why = "its log does not say that its checker was on (CONFIG_DMA_API_DEBUG)"
    text = f"The kernel's checker says nothing of {classes}; {why}."
    return Notice("kernel-says-nothing", text, len(findings))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…"
