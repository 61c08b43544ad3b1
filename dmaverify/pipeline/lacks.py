"""What an HCA's recording does not have, and which checks do not run for it."""

from collections.abc import Sequence

from dmaverify.model.finding import Notice, TraceInfo

_REGISTERS = ("reg_mr", "reg_mr_end", "rereg_mr", "fast_reg_mr", "bind_mw")
_POSTS = ("post_send", "post_recv")

#: What there is, what is missing beside it, the notice, and what it says.
_LACKS = (
    (
        ("hca_access",),
        _REGISTERS,
        "registrations-missing",
        "accesses by key, and no registration in the recording: range, rights and lifetime are "
        "not judged; record registrations too (probe events of the driver), or give a recording "
        "that has them",
    ),
    (
        _POSTS,
        ("cqe",),
        "completions-missing",
        "posted work requests, and no completion in the recording: when a buffer is the program's "
        "again, and how a request ended, are not judged; record completions too",
    ),
    (
        ("cqe",),
        _POSTS,
        "posts-missing",
        "completions, and no post in the recording: which buffers were the HCA's is not judged; "
        "record posts too",
    ),
)


def lack_notices(info: TraceInfo, told: Sequence[Notice]) -> list[Notice]:
    """Return a notice for each kind of event that a recording has none of, and would need.

    Args:
        info: what is in the trace, once it has been read to its end.
        told: notices that the reader has given; what it has told itself is not told again.
    """
    ids = {notice.id for notice in told}
    found = []
    for have, lack, id_, text in _LACKS:
        count = sum(info.kinds.get(kind, 0) for kind in have)
        if count and id_ not in ids and not any(info.kinds.get(kind) for kind in lack):
            found.append(Notice(id_, text, count))
    return found
