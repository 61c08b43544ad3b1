"""The certificate: a verdict for each group of rules, and what it rests on."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from dmaverify.errors import TraceError
from dmaverify.model.finding import Finding, Notice, TraceInfo
from dmaverify.model.kinds import Severity
from dmaverify.model.profile import Profile


class GroupVerdict(Enum):
    """What comes of one group; the values are the words in the file."""

    FAIL = "fail"  # it found an error
    CAN_NOT_TELL = "can not tell"  # it would have found one, but the recording lacks what decides
    PASS = "pass"  # it had something to judge, and found no error
    NOT_EXERCISED = "not exercised"  # nothing in the recordings is what it judges


@dataclass(frozen=True, slots=True)
class RuleTally:
    """One rule's part.

    Args:
        id, severity: of the rule, as the profile has it.
        events: events of its kinds in the recordings.
        applied: how often it applied, and held or was violated.
        violated: how often of these it was violated; consequences count too.
        findings: how many findings that came to.
    """

    id: str
    severity: Severity
    events: int
    applied: int
    violated: int
    findings: int


@dataclass(frozen=True, slots=True)
class GroupResult:
    """One group's part.

    Args:
        name, title: of the group.
        verdict: what comes of it.
        exercised: events by name of those kinds that give it something to judge.
        wanted: names of all of these kinds.
        rules: its rules, by id.
        findings: what they found; the errors of high confidence are why it fails.
        untold: what its rules can not tell.
    """

    name: str
    title: str
    verdict: GroupVerdict
    exercised: Mapping[str, int]
    wanted: tuple[str, ...]
    rules: tuple[RuleTally, ...]
    findings: tuple[Finding, ...]
    untold: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class CertifiedTrace:
    """One recording: what is in it, and the SHA-256 and the length of its file."""

    info: TraceInfo
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """Everything that `certify` says.

    Args:
        profile: the rules that were used.
        rules_sha256: of the compiled rules, as the profile has them.
        rule_count: how many they are.
        traces: the recordings.
        groups: by name, those that the profile uses.
        notices: what bounds what the recordings can prove.
        errors: recordings that could not be read.
    """

    profile: Profile
    rules_sha256: str
    rule_count: int
    traces: tuple[CertifiedTrace, ...]
    groups: tuple[GroupResult, ...]
    notices: tuple[Notice, ...]
    errors: tuple[TraceError, ...] = ()

    def having(self, verdict: GroupVerdict) -> tuple[GroupResult, ...]:
        """Return the groups of a verdict."""
        return tuple(g for g in self.groups if g.verdict is verdict)

    @property
    def verdict(self) -> str:
        """Return "fail", "pass" or "nothing-checked".

        A recording that can not be read proves nothing, so that nothing passes with it.
        """
        if self.having(GroupVerdict.FAIL):
            return "fail"
        return "pass" if self.having(GroupVerdict.PASS) and not self.errors else "nothing-checked"

    @property
    def exit_code(self) -> int:
        """Return 0, 1 or 5 by the verdict."""
        return {"pass": 0, "fail": 1, "nothing-checked": 5}[self.verdict]
