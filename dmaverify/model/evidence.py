"""One line of proof: what findings and the matrix are told with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line of proof.

    Args:
        role: "mapped", "unmapped", "used", "allocated", "consequence", ...: a past participle.
        event: 1-based number of the record in its file.
        line: 1-based line, or None for binary sources.
        time_ns: trace clock in ns, or None where the clock is not time.
        text: the line of the trace, or the canonical `.dmat` line of a binary record.
        rule: the rule that a consequence violates; "" for every other role.
        source: the file of the line, "" where it is the trace; `event` is then the record of
            the trace after which it comes.
    """

    role: str
    event: int
    line: int | None
    time_ns: int | None
    text: str
    rule: str = ""
    source: str = ""
