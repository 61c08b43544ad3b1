"""Each built-in rule: what it must have, what it finds, alone and among all the others."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmaverify.lang import ast
from dmaverify.lang.builtin import combine, compile_files, load_builtin
from dmaverify.lang.errors import Problems
from dmaverify.lang.files import rules_folder
from dmaverify.lang.parse import parse
from dmaverify.lang.source import Source
from dmaverify.lang.tests import TestCase, collect
from dmaverify.model.classes import CLASSES
from dmaverify.model.kinds import Severity
from dmaverify.model.program import Program, Rule
from dmaverify.pipeline.ruletests import play, run

FILES = {path.stem: path for path in sorted(rules_folder().rglob("*.dmar"))}
CATALOGUE = load_builtin()
RULES = {rule.id: rule for rule in CATALOGUE.rules}
CASES = [case for path in FILES.values() for case in collect([path])]
GROUPS = ("access", "api", "bounds", "coherence", "hca", "iommu", "lifetime", "mad", "windows")

#: Classes that no event shows yet.
NEED_ACCESSES = {"mapping-error-not-checked"}

#: The one constant or set of each rule that decides, and a value with which the events of
#: its own failing tests are no mistake any more. Where the device states the limit, its
#: place is taken by a constant. A pattern stands for several that take the same value.
DECIDES = {
    "free-cpu-address-mismatch": ("IGNORED", "1 MiB"),
    "free-size-mismatch": ("TOLERANCE", "1 MiB"),
    "half-sync-of-bounced": ("complete", "{ bidirectional, to_device, from_device }"),
    "invalid-direction": ("valid", "{ bidirectional, to_device, from_device, none }"),
    "sg-entry-count-mismatch": ("SLACK", "1000"),
    "sg-sync-count-mismatch": ("SLACK", "1000"),
    "sync-direction-mismatch": ("both_ways", "{ bidirectional, to_device, from_device }"),
    "unmap-direction-mismatch": (
        "not_compared", "{ none, bidirectional, to_device, from_device }"
    ),
    "unmap-size-mismatch": ("TOLERANCE", "1 MiB"),
    "unmap-type-mismatch": ("interchangeable", "{ unknown, single, sg }"),
    "address-beyond-mask": ("TOLERATED", "1 GiB"),
    "address-wraps": ("SHORT", "0xffff_ffff_ffff_ffff B"),
    "sg-boundary-crossed": ("> e.device.boundary", "> 0xffff_ffff"),
    "sg-segment-too-long": ("> e.device.max_segment", "> 1 MiB"),
    "sync-out-of-range": ("TOLERATED", "1 MiB"),
    "zero-length-mapping": ("SHORTEST", "0 B"),
    "cacheline-mapped-too-often": ("MOST", "8"),
    "overlapping-mappings": ("reads_only", "{ to_device, from_device, bidirectional }"),
    "shared-cacheline": ("reads_only", "{ to_device, from_device, bidirectional }"),
    "iommu-unmap-short": ("TOLERATED", "1 MiB"),
    "allocation-leak-at-unbind": ("ALLOWED", "1"),
    "failed-mapping-used": ("MAPPING_ERROR", "0"),
    "leak-at-unbind": ("ALLOWED", "1"),
    "sync-by-other-device": ("IGNORED", "1 MiB"),
    "sync-of-unmapped": ("NEEDED", "0"),
    "unmap-by-other-device": ("IGNORED", "1 MiB"),
    "unmap-inside-mapping": ("TOLERATED", "1 MiB"),
    "unmap-of-unmapped": ("NEEDED", "0"),
    "device-access-unmapped": ("NEEDED", "0"),
    "device-access-after-unmap": ("IGNORED", "1 MiB"),
    "device-access-foreign-mapping": ("IGNORED", "1 MiB"),
    "device-access-out-of-range": ("TOLERATED", "1 MiB"),
    "device-access-wrong-direction": ("writable", "{ to_device, from_device, bidirectional }"),
    "unmap-during-transfer": ("ALLOWED", "1"),
    "illegal-memory": ("forbidden", "{ rodata, text }"),
    "missing-sync-for-cpu": ("TOLERATED", "1 MiB"),
    "missing-sync-for-device": ("TOLERATED", "1 MiB"),
    "device-access-before-mapping": ("TOLERATED", "1 MiB"),
    "device-access-beside-mapping": ("NEEDED", "0"),
    "cpu-access-while-device-owns": ("TOLERATED", "1 MiB"),
    "cpu-write-during-transfer": ("ALLOWED", "true"),
    "cpu-write-lost": ("TOLERATED", "1 MiB"),
    "device-write-to-dirty-line": ("TOLERATED", "1 MiB"),
    "neighbour-bytes-lost": ("TOLERATED", "1 MiB"),
    "sync-during-transfer": ("ALLOWED", "true"),
    "long-lived-polling": ("MANY", "1000"),
    "iova-mapped-twice": ("IGNORED", "1 MiB"),
    "mapping-without-translation": ("ALLOWED", "true"),
    "page-shared-by-devices": ("reads_only", "{ to_device, from_device, bidirectional }"),
    "freed-while-mapped": ("ALLOWED", "1000"),
    "unmap-before-completion": ("ALLOWED", "1"),
    "resource-is-memory": ("TOLERATED", "1 MiB"),
    "adapter-channel-held-twice": ("MOST", "9"),
    "adapter-leak-at-unbind": ("ALLOWED", "true"),
    "adapter-put-while-in-use": ("ALLOWED", "1000"),
    "adapter-used-after-put": ("ALLOWED", "true"),
    "channel-freed-twice": ("ALLOWED", "true"),
    "flush-mdl-mismatch": ("ALLOWED", "true"),
    "free-cache-type-mismatch": ("not_compared", "{ noncached, cached, write_combined }"),
    "length-past-mdl": ("TOLERATED", "1 MiB"),
    "map-before-flush": ("ALLOWED", "1"),
    "map-register-count-mismatch": ("TOLERATED", "1000"),
    "map-registers-freed-twice": ("ALLOWED", "true"),
    "map-registers-freed-while-mapped": ("ALLOWED", "1"),
    "mapped-past-registers": ("PAGE", "1 MiB"),
    "mdl-without-system-mapping": ("ALLOWED", "true"),
    "misaligned-buffer": ("COARSEST", "1 B"),
    "null-adapter": ("ALLOWED", "true"),
    "obsolete-hal-get-adapter": ("obsolete", "{ flush_dma_buffer }"),
    "pages-unlocked-while-mapped": ("ALLOWED", "1"),
    "request-completed-before-flush": ("ALLOWED", "1"),
    "start-outside-mdl": ("ALLOWED", "true"),
    "too-many-map-registers": ("TOLERATED", "1000"),
    "unknown-device-description": ("NEWEST", "1000"),
    "unlocked-buffer-mapped": ("ALLOWED", "true"),
    "unmap-by-other-adapter": ("ALLOWED", "true"),
    "wrong-address-width": ("WIDEST", "1000"),
    "wrong-channel-release": ("ALLOWED", "true"),
    "wrong-irql": ("SLACK", "10"),
    "cpu-write-beside-buffer": ("TOLERATED", "1 MiB"),
    "mdl-locked-at-wrong-irql": ("SLACK", "10"),
    "io-buffers-not-flushed": ("COHERENT", "1 MiB"),
    "map-registers-used-up": ("TOLERATED", "1000"),
    "no-contiguous-map-registers": ("TOLERATED", "1000"),
    "transfer-context-reused": ("ALLOWED", "true"),
    "vector-element-used-after-free": ("ALLOWED", "true"),
    "vector-freed-while-in-use": ("ALLOWED", "1000"),
    "vector-index-out-of-range": ("SLACK", "1000"),
    "hca-access-unknown-key": ("NEEDED", "0"),
    "hca-access-after-deregistration": ("NEEDED", "0"),
    "hca-access-other-protection-domain": ("ALLOWED", "true"),
    "hca-access-without-permission": ("TOLERATED", "16"),
    "hca-access-out-of-range": ("TOLERATED", "0xffff_ffff_ffff_ffff B"),
    "hca-refuses-valid-range": ("FEWEST", "0 B"),
    "mr-leak-at-exit": ("ALLOWED", "1000"),
    "hca-accepts-invalid-remote-request": ("TOLERATED", "9"),
    "hca-refuses-valid-remote-request": ("FEWEST", "0"),
    "remote-atomic-misaligned": ("TOLERATED", "7"),
    "remote-message-refused": ("TOLERATED", "1"),
    "remote-request-refused": ("TOLERATED", "1"),
    "remote-request-too-long": ("LONGEST", "4 GiB"),
    "completion-queue-too-small": ("SLACK", "1000"),
    "completion-without-work-request": ("ALLOWED", "true"),
    "cpu-access-during-work-request": ("ALLOWED", "true"),
    "deregistration-during-work-request": ("ALLOWED", "1000"),
    "deregistration-with-windows": ("ALLOWED", "1000"),
    "fast-registration-of-live-region": ("ALLOWED", "true"),
    "hca-accepts-invalid-request": ("TOLERATED", "1000"),
    "hca-refuses-valid-request": ("FEWEST", "0"),
    "inline-too-long": ("SLACK", "1 MiB"),
    "key-given-again": ("ALLOWED", "true"),
    "message-too-long": ("LONGEST", "8 GiB"),
    "missing-fence": ("ALLOWED", "1000"),
    "opcode-not-of-queue-pair": (
        "of_.*", "{ send, rdma_read, rdma_write, rdma_write_imm, atomic }"
    ),
    "operation-not-enabled": ("TOLERATED", "16"),
    "overlapping-work-requests": ("ALLOWED", "1000"),
    "post-in-wrong-state": (".*ing", "{ reset, init, rtr, rts, sqd, sqe, err }"),
    "receive-too-small": ("SLACK", "1 MiB"),
    "remote-right-without-local-write": ("TOLERATED", "16"),
    "too-many-list-entries": ("SLACK", "1000"),
    "window-on-other-queue-pair": ("ALLOWED", "true"),
    "work-queue-overflow": ("SLACK", "1000"),
    "wrong-atomic": ("ALIGNED", "1"),
    "wrong-queue-pair-transition": ("after_init", "{ reset, init, rtr, rts, err }"),
    "wrong-window": ("TOLERATED", "3"),
    "address-handle-destroyed-early": ("ALLOWED", "1000"),
    "address-handle-gone": ("ALLOWED", "true"),
    "buffer-unmapped-during-work-request": ("ALLOWED", "true"),
    "completion-after-destroy": ("ALLOWED", "true"),
    "completion-before-doorbell": ("ALLOWED", "true"),
    "completion-out-of-order": ("ALLOWED", "1000"),
    "datagram-header-undefined": ("ALLOWED", "true"),
    "doorbell-beyond-posts": ("SLACK", "1000"),
    "fast-registration-not-allowed": ("TOLERATED", "1000"),
    "fault-behind-valid-key": ("ALLOWED", "true"),
    "hca-access-after-destroy": ("ALLOWED", "true"),
    "key-ended-before-completion": ("ALLOWED", "true"),
    "pages-released-before-fence": ("ALLOWED", "1 MiB"),
    "pages-unmapped-before-invalidation": ("ALLOWED", "true"),
    "pages-unmapped-before-teardown": ("ALLOWED", "true"),
    "parent-destroyed-first": ("ALLOWED", "1000"),
    "payload-polled": ("ALLOWED", "true"),
    "peer-accesses-race": ("ALLOWED", "1000"),
    "peer-atomic-race": ("ALLOWED", "true"),
    "peer-read-race": ("ALLOWED", "true"),
    "peer-write-race": ("ALLOWED", "true"),
    "queue-memory-freed-early": ("ALLOWED", "true"),
    "queue-memory-not-mapped": ("ALLOWED", "1 MiB"),
    "receive-beside-shared-queue": ("ALLOWED", "true"),
    "region-list-with-holes": ("TOLERATED", "1000"),
    "region-list-wraps": ("ALLOWED", "true"),
    "region-takes-part-of-list": ("TOLERATED", "1000"),
    "registered-range-changed-in-use": ("ALLOWED", "1000"),
    "registered-range-changed": ("ALLOWED", "1 MiB"),
    "remote-invalidation-mismatch": ("ALLOWED", "true"),
    "ring-slot-rewritten": ("ALLOWED", "true"),
    "shared-receive-queue-left-early": ("ALLOWED", "true"),
    "shared-receive-queue-overflow": ("SLACK", "1000"),
    "unexpected-status": ("TOLERATED", "true"),
    "window-bound-twice": ("ALLOWED", "true"),
    "work-request-refused": ("ALLOWED", "true"),
    "datagram-not-mapped": ("ALLOWED", "1 MiB"),
    "datagram-room-too-small": ("GRH", "0 B"),
    "datagram-unmapped-early": ("ALLOWED", "true"),
    "datagram-wrong-direction": ("ALLOWED", "1 MiB"),
}  # fmt: skip


#: A rule that counts lets pass what a rule of its own class forbids from the second on.
STRICTER = {
    "cacheline-mapped-too-often: twice": {"overlapping-mappings"},
    "hca-refuses-valid-remote-request: the right was missing": {"hca-access-without-permission"},
    "hca-refuses-valid-remote-request: the region had ended": {"hca-access-after-deregistration"},
    "remote-request-refused: the region is known": {"hca-refuses-valid-remote-request"},
    "hca-refuses-valid-request: its region ended in between": {
        "deregistration-during-work-request"
    },
    "key-ended-before-completion: flushed": {"deregistration-during-work-request"},
    "region-list-with-holes: it was left out": {"region-takes-part-of-list"},
    "registered-range-changed-in-use: after the completion": {"registered-range-changed"},
    "unexpected-status: rxe does": {"hca-access-without-permission"},
    "unexpected-status: the family is not known": {"hca-access-without-permission"},
    "unexpected-status: flushed": {"hca-access-out-of-range"},
    "work-request-refused: flushed": {"hca-access-out-of-range"},
}


#: What an HCA makes of a mistake is a mistake of its own, beside the one that it lets pass.
BESIDE = {
    "hca-accepts-invalid-request": {"hca-access-out-of-range"},
    "hca-accepts-invalid-remote-request": {"hca-access-out-of-range"},
    "unexpected-status": {"hca-access-without-permission"},
}

#: What an HCA says of a mistake that was told before is a consequence of it, and no finding.
FOLLOWS = {
    "key-ended-before-completion: its region ended in between": {
        "deregistration-during-work-request"
    },
    "work-request-refused: behind its region": {"hca-access-out-of-range"},
}


def tree(rule: str) -> ast.File:
    """Return the syntax tree of a rule's file."""
    problems = Problems()
    path = FILES[rule]
    file = parse(Source.of(path.name, path.read_text("utf-8"), path, True), problems)
    problems.check()
    return file


def named(case: TestCase) -> str:
    """Return how a test is called in the output."""
    return f"{case.rule}: {case.name}"


def findings(case: TestCase, program: Program) -> Iterator[Rule]:
    """Give the rule of each finding in a test's events."""
    _, engine = play(case, program)
    for hit in engine.hits():
        if hit.unmet is None:
            yield program.rules[hit.rule]


# ---- what each has ---------------------------------------------------------------------------


def test_one_file_a_rule() -> None:
    """A rule stands alone in a file of its name, and every file holds one."""
    assert sorted(FILES) == sorted(RULES)
    assert len(FILES) == len(list(rules_folder().rglob("*.dmar")))


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_is_complete(rule: Rule) -> None:
    """It says what is wrong, what to do, why, how far it is tried, and where that is written."""
    assert rule.message
    assert rule.hint
    assert len(rule.explain) > 80
    assert rule.source
    assert rule.tags
    assert rule.builtin
    assert rule.kinds
    words = {c.word for c in only_rule(rule.id).clauses if isinstance(c, ast.Named)}
    assert {"maturity", "tags"} <= words


@pytest.mark.parametrize("rule", RULES)
def test_the_folder_is_the_group(rule: str) -> None:
    """Each rule lies in a folder that is also its first tag."""
    group = FILES[rule].parent
    assert group.parent == rules_folder()
    assert group.name in GROUPS
    assert group.name == RULES[rule].tags[0]


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_the_class_is_canonical_or_the_rules_own(rule: Rule) -> None:
    """A class that is in no list can only be the rule's own id."""
    assert rule.cls in CLASSES or rule.cls == rule.id


@pytest.mark.parametrize("name", [c for c in CLASSES if c not in NEED_ACCESSES])
def test_every_class_that_calls_can_show_has_a_rule(name: str) -> None:
    """The catalogue covers what a recording of DMA and IOMMU calls can tell."""
    assert name in {rule.cls for rule in RULES.values()}


def test_no_class_is_excused_that_has_a_rule() -> None:
    """The list of what needs accesses is not longer than it has to be."""
    assert not NEED_ACCESSES & {rule.cls for rule in RULES.values()}
    assert set(CLASSES) >= NEED_ACCESSES


def test_rules_run_in_the_order_of_classes() -> None:
    """What is told first is what the others follow from."""
    order = [CLASSES.index(r.cls) for r in CATALOGUE.rules if r.cls in CLASSES]
    assert sorted(order) == order


@pytest.mark.parametrize("severity", [Severity.WARNING, Severity.NOTE])
def test_canonical_classes_are_errors(severity: Severity) -> None:
    """Only the sharing of cache lines, and unchecked errors, are less."""
    less = {r.cls for r in RULES.values() if r.severity == severity and r.cls in CLASSES}
    assert less <= {"shared-cacheline", "mapping-error-not-checked"}


# ---- what each finds -------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_has_tests_of_both_outcomes(rule: str) -> None:
    """One that fails and says where, and one that passes."""
    mine = [case for case in CASES if case.rule == rule]
    assert any(case.fails and case.marks for case in mine)
    assert any(not case.fails for case in mine)


def test_every_test_passes_alone() -> None:
    """Each test is run with its own rule only."""
    results = run(None)
    assert len(CASES) == len(results)
    assert [] == [r for r in results if not r.passed]


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.fails and named(c) not in FOLLOWS], ids=named
)
def test_a_failing_test_is_one_mistake_to_the_whole_catalogue(case: TestCase) -> None:
    """All rules together tell of its class, and of no other error or warning."""
    found = list(findings(case, CATALOGUE))
    grave = {r.cls for r in found if r.severity > Severity.NOTE}
    assert RULES[case.rule].cls in {r.cls for r in found}
    assert grave - BESIDE.get(case.rule, set()) <= {RULES[case.rule].cls}


@pytest.mark.parametrize("case", [c for c in CASES if named(c) in FOLLOWS], ids=named)
def test_a_verdict_is_one_mistake_to_the_whole_catalogue(case: TestCase) -> None:
    """It is a consequence of what was told before, and that is the only finding."""
    _, engine = play(case, CATALOGUE)
    hits = [h for h in engine.hits() if h.unmet is None]
    after = {CATALOGUE.rules[number].id for h in hits for number, _ in h.consequences}
    assert FOLLOWS[named(case)] == {CATALOGUE.rules[h.rule].id for h in hits}
    assert case.rule in after


def test_what_follows_is_in_the_catalogue() -> None:
    """The list has no test that is not there."""
    assert set(FOLLOWS) <= {named(c) for c in CASES}


@pytest.mark.parametrize("case", [c for c in CASES if not c.fails], ids=named)
def test_a_passing_test_is_no_mistake_to_the_whole_catalogue(case: TestCase) -> None:
    """What one rule lets pass is no error or warning to any other."""
    found = {r.id for r in findings(case, CATALOGUE) if r.severity > Severity.NOTE}
    assert STRICTER.get(named(case), set()) == found


# ---- no fact of the engine is a verdict ------------------------------------------------------


def only_rule(rule: str) -> ast.Rule:
    """Return the tree of a rule."""
    (found,) = [item for item in tree(rule).items if isinstance(item, ast.Rule)]
    return found


def changed(rule: str, tmp_path: Path) -> tuple[Path, str]:
    """Write a copy of a rule under another id, with the constant changed that decides."""
    text = FILES[rule].read_text("utf-8")
    name, value = DECIDES[rule]
    if name.startswith(">"):
        assert 1 == text.count(name)
        text = text.replace(name, value)
    else:
        text, times = re.subn(rf"^((?:let|set) {name} *=).*$", rf"\1 {value}", text, flags=re.M)
        assert times
        assert 1 == times or "*" in name  # a pattern means each of its constants
    copy = f"copy-of-{rule}"
    text = text.replace(f"rule {rule}:", f"rule {copy}:").replace(
        f"  class {RULES[rule].cls}\n", ""
    )
    path = tmp_path / f"{copy}.dmar"
    path.write_text(text, "utf-8")
    return path, copy


@pytest.mark.parametrize("rule", RULES)
def test_a_changed_constant_changes_the_verdict(rule: str, tmp_path: Path) -> None:
    """The engine only offers facts: a user's copy with one other constant finds no mistake."""
    path, copy = changed(rule, tmp_path)
    program = compile_files([path])
    assert [copy] == [r.id for r in program.rules]
    assert not program.rules[0].builtin
    for case in collect([path]):
        if case.fails:
            struck, _ = play(case, combine([program]))
            assert [] == struck


@pytest.mark.parametrize("rule", RULES)
def test_an_unchanged_copy_finds_the_same(rule: str, tmp_path: Path) -> None:
    """A user's copy of a rule under another name comes to the same, beside the rule itself."""
    copy = f"copy-of-{rule}"
    text = FILES[rule].read_text("utf-8").replace(f"rule {rule}:", f"rule {copy}:")
    path = tmp_path / f"{copy}.dmar"
    path.write_text(text, "utf-8")
    program = combine([load_builtin(), compile_files([path])])
    for case in collect([path]):
        _, engine = play(case, program)
        counts = dict(zip([r.id for r in program.rules], engine.rule_counts, strict=True))
        assert counts[rule][1:] == counts[copy][1:]


def test_nothing_is_found_without_rules() -> None:
    """The engine by itself judges nothing: no rule, no hit, whatever happens."""
    for case in CASES:
        _, engine = play(case, Program(b"", ()))
        assert [] == engine.hits()


def test_the_table_of_constants_is_complete() -> None:
    """Each rule has a constant that decides, or a limit that the device states."""
    assert sorted(RULES) == sorted(DECIDES)


def test_the_catalogue_runs_without_a_fault() -> None:
    """No test of any rule drives another into arithmetic that has no result."""
    for case in CASES:
        _, engine = play(case, CATALOGUE)
        assert {0} == {faults for _, _, _, faults in engine.rule_counts}
