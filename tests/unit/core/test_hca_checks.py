"""What an HCA's recording is checked for: a table from each check to the rules that make it."""

from collections import Counter
from pathlib import Path

import pytest

from dmaverify.lang.builtin import load_builtin, rules_folder
from dmaverify.lang.tests import collect

#: A check in a sentence, and its rules. Where there is none, why.
CHECKS: dict[str, tuple[str, ...] | str] = {
    "a key that equals no live key, tag included": ("hca-access-unknown-key",),
    "a key of another protection domain": (
        "hca-access-other-protection-domain", "address-handle-gone",
    ),
    "a key whose region is free, invalidated or deregistered": (
        "hca-access-after-deregistration", "key-ended-before-completion",
    ),
    "a range outside its region, sums that wrap included": ("hca-access-out-of-range",),
    "a local write without the right to it": (
        "hca-access-without-permission", "work-request-refused",
    ),
    "a remote access without the right to it": ("hca-access-without-permission",),
    "a remote operation that the queue pair does not allow": ("operation-not-enabled",),
    "remote write or atomic rights without local write": ("remote-right-without-local-write",),
    "an access of no bytes is never flagged": ("hca-access-unknown-key",),
    "an atomic that is not of 8 aligned bytes": ("wrong-atomic",),
    "a receive shorter than its message": ("receive-too-small", "datagram-room-too-small"),
    "a datagram's routing header read though none came": ("datagram-header-undefined",),
    "a message longer than a request may be": ("message-too-long",),
    "too many list entries, inline data too long": ("too-many-list-entries", "inline-too-long"),
    "an opcode not of the queue pair, a post in a wrong state": (
        "opcode-not-of-queue-pair", "post-in-wrong-state", "receive-beside-shared-queue",
    ),
    "a move that the table of states does not have": ("wrong-queue-pair-transition",),
    "a bind that breaks a rule of memory windows": ("wrong-window", "window-bound-twice"),
    "an access outside its window, or on another queue pair": (
        "hca-access-out-of-range", "window-on-other-queue-pair",
    ),
    "the end of a region with windows bound": ("deregistration-with-windows",),
    "a registration of a live region, in another domain, with another index": (
        "fast-registration-of-live-region", "fast-registration-not-allowed",
    ),
    "a region that gets the same tag again": ("key-given-again",),
    "a deregistration while a work request names the key": (
        "deregistration-during-work-request",
    ),
    "pages that go before the command that disables the key is done": (
        "pages-unmapped-before-teardown",
    ),
    "pages that go before the invalidation is seen": ("pages-unmapped-before-invalidation",),
    "a remote invalidation of another key than the request's": ("remote-invalidation-mismatch",),
    "a sent buffer unmapped or rewritten before its completion": (
        "buffer-unmapped-during-work-request", "cpu-access-during-work-request",
        "datagram-unmapped-early",
    ),
    "the CPU in a buffer between post and completion": ("cpu-access-during-work-request",),
    "two work requests in one buffer, one of them a write": (
        "overlapping-work-requests", "missing-fence",
    ),
    "an unsignaled buffer used before a later completion": ("cpu-access-during-work-request",),
    "more posts than a queue holds": ("work-queue-overflow", "shared-receive-queue-overflow"),
    "more completions than a queue holds": ("completion-queue-too-small",),
    "a completion read before its owner bit, a doorbell before its work request":
        "a recording has no barriers: the simulated HCA reads what is there at the doorbell",
    "memory of a ring or doorbell record that goes before its object": (
        "queue-memory-freed-early", "queue-memory-not-mapped",
    ),
    "ring contents read twice": "a recording has one reading: the simulated HCA can read twice",
    "calls of the DMA API that do not fit": (
        "unmap-size-mismatch", "unmap-direction-mismatch", "sg-entry-count-mismatch",
        "unmap-of-unmapped", "leak-at-unbind", "failed-mapping-used", "datagram-not-mapped",
        "datagram-wrong-direction",
    ),
    "a region that does not cover its list": (
        "region-takes-part-of-list", "region-list-with-holes", "region-list-wraps",
    ),
    "an address or length that a peer chose, by a key for everything":
        "where a number comes from is not in a recording: the simulated driver takes it from "
        "the message",
    "the CPU in a mapped buffer without a sync": ("cpu-access-while-device-owns", "missing-sync-for-cpu", "missing-sync-for-device",),
    "a registered range unmapped, forked, copied or released": (
        "registered-range-changed", "registered-range-changed-in-use",
        "pages-released-before-fence",
    ),
    "one completion for each work request, nothing after the end": (
        "completion-without-work-request", "completion-out-of-order",
        "shared-receive-queue-left-early", "hca-access-after-destroy", "parent-destroyed-first",
        "completion-after-destroy",
    ),
}  # fmt: skip
#: Rules of an HCA that are no check of the table: races, verdicts, and what is told beside them.
BESIDE = {
    "peer-write-race", "peer-atomic-race", "peer-read-race", "payload-polled",
    "peer-accesses-race", "ring-slot-rewritten", "doorbell-beyond-posts",
    "completion-before-doorbell", "address-handle-destroyed-early", "fault-behind-valid-key",
    "hca-accepts-invalid-request", "hca-refuses-valid-request", "hca-refuses-valid-range",
    "hca-accepts-invalid-remote-request", "hca-refuses-valid-remote-request",
    "remote-atomic-misaligned", "remote-message-refused", "remote-request-refused",
    "remote-request-too-long",
    "unexpected-status", "mr-leak-at-exit",
}  # fmt: skip
MADE = {name: rules for name, rules in CHECKS.items() if isinstance(rules, tuple)}


def test_every_check_is_there() -> None:
    """Forty checks, three of which no recording can carry."""
    assert (40, 3) == (len(CHECKS), len(CHECKS) - len(MADE))
    assert all(len(why) > 20 for why in CHECKS.values() if isinstance(why, str))


@pytest.mark.parametrize("check", MADE)
def test_a_check_has_rules_with_both_tests(check: str) -> None:
    """Each rule of a check is built in, fires where it should and is quiet where it should."""
    known = {rule.id for rule in load_builtin().rules}
    cases = Counter((c.rule, c.fails) for c in collect([rules_folder()]))
    for rule in MADE[check]:
        assert rule in known
        assert cases[rule, True]
        assert cases[rule, False]


def test_every_rule_of_an_hca_is_in_the_table() -> None:
    """A new rule says which check it makes."""
    folder = Path(rules_folder())
    files = {f.stem for group in ("hca", "mad") for f in (folder / group).glob("*.dmar")}
    named = BESIDE | {rule for rules in MADE.values() for rule in rules}

    assert files <= named
    assert named - files <= {rule.id for rule in load_builtin().rules}
