"""What makes two hits the same finding, in this recording and in the next one."""

import hashlib
import re

from dmaverify.findings.context import TraceContext
from dmaverify.model.fields import kind_name
from dmaverify.model.hit import Hit, Witness
from dmaverify.model.kinds import Arg, Flag
from dmaverify.model.program import Rule
from dmaverify.model.routines import routine_name

# Linux Documentation/PCI/sysfs-pci.rst, "Accessing PCI device resources through sysfs":
# domain, bus and slot say where a card is plugged in; the function is a part of the card.
_PCI = re.compile(r"^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.([0-7])$", re.IGNORECASE)
_UNIT_ADDRESS = re.compile(r"^[0-9a-f]+\.", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")


def device_role(name: str) -> str:
    """Return what stays of a device's name when the same card moves to another machine.

    Of a PCI name only the function remains: the two ports of one adapter are different
    roles, the slot is not. Platform devices lose their unit address, others their digits.
    """
    pci = _PCI.match(name)
    if pci:
        return f"pci.{pci[1]}"
    return _DIGITS.sub("", _UNIT_ADDRESS.sub("@.", name))


def size_class(witness: Witness) -> str:
    """Return the power of two that a length fills, "?" where it is unknown."""
    if witness.event.flags & Flag.LENGTH_UNKNOWN:
        return "?"
    return str(witness.event.length.bit_length())


def site(witness: Witness, context: TraceContext) -> str:
    """Return a stand-in for the place in the driver that logged an event.

    Linux traces name no call site, so it is what stays equal from run to run: the kind,
    the device's role, the task without its digits (CPU and worker numbers), the size class;
    and the routine where an event names it.
    """
    event = witness.event
    task = _DIGITS.sub("", context.task_of(witness))
    role = device_role(context.device_name(event.device))
    called = [routine_name(value) for arg, value in event.args if arg is Arg.ROUTINE]
    return "/".join((kind_name(event.kind), *called, role, task, size_class(witness)))


def fingerprint(hit: Hit, rule: Rule, context: TraceContext, ordinal: int = 0) -> str:
    """Return 16 hex digits that name the mistake, free of addresses and event numbers.

    Args:
        hit: the group of hits.
        rule: the rule that they violate.
        context: the trace.
        ordinal: tells devices of one role in one recording apart; 0 is the first.
    """
    birth = site(hit.mappings[0].made, context) if hit.mappings else "-"
    role = device_role(context.device_name(hit.first.event.device))
    parts = [rule.cls, role, birth, site(hit.first, context), size_class(hit.first)]
    if ordinal:
        parts.append(f"#{ordinal}")
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:16]
