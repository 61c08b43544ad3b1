"""What rules can ask about an HCA: its events, its memory regions, its queue pairs."""

from dmaverify.model.field import Field, Obj, Type
from dmaverify.model.kinds import EventKind

K, T = EventKind, Type

_REGISTERS = frozenset({K.REG_MR, K.REG_MR_BEGIN, K.REREG_MR, K.FAST_REG_MR, K.BIND_MW})
_KEYED = _REGISTERS | {
    K.REG_MR_END, K.DEREG_MR, K.INVALIDATE_MR, K.HCA_ACCESS, K.POSTED_SGE,
}  # fmt: skip
_SGE = frozenset({K.POSTED_SGE})
_ACCESS = frozenset({K.HCA_ACCESS}) | _SGE
_BIND = frozenset({K.BIND_MW})
_POSTS = frozenset({K.POST_SEND, K.POST_RECV})
_QP = frozenset({K.CREATE_QP, K.MODIFY_QP, K.DESTROY_QP, K.CQE}) | _POSTS | _SGE
_CQ = frozenset({K.CREATE_CQ, K.DESTROY_CQ})
_DOMAIN = frozenset({K.ALLOC_PD, K.DEALLOC_PD, K.CREATE_QP}) | _REGISTERS | _ACCESS

#: Kinds with a range in a key's space.
RANGED = _REGISTERS | _ACCESS | {K.CQE}

#: Kinds of events that are of an HCA.
HCA_KINDS = (
    _KEYED
    | _QP
    | _CQ
    | _DOMAIN
    | {
        K.HCA_VERDICT,
        K.TASK_EXIT,
        K.LEFT_REGISTERED,
        K.WORK_TOUCHED,
    }
)


def _ev(
    number: int, name: str, type_: Type, sentence: str, kinds: frozenset[EventKind],
    optional: bool = False, space: str = "", stored: bool = False,
) -> Field:  # fmt: skip
    return Field(Obj.EVENT, number, name, type_, optional, kinds, space, sentence, stored)


def _reg(number: int, name: str, type_: Type, sentence: str, optional: bool = False,
         space: str = "") -> Field:  # fmt: skip
    return Field(Obj.REGION, number, name, type_, optional, frozenset(), space, sentence)


def _qp(number: int, name: str, type_: Type, sentence: str, optional: bool = False) -> Field:
    return Field(Obj.QP, number, name, type_, optional, frozenset(), "", sentence)


def _work(number: int, name: str, type_: Type, sentence: str, optional: bool = False) -> Field:
    return Field(Obj.WORK, number, name, type_, optional, frozenset(), "", sentence)


#: Numbers from 120, so that fields of DMA events may grow below them.
HCA_EVENT_FIELDS = (
    _ev(120, "key", T.KEY, "key of a memory region, index and tag", _KEYED, True, "", True),
    _ev(121, "iova", T.ADDR, "first address, as the key knows it", _REGISTERS | _ACCESS, True,
        "key", True),
    _ev(122, "pd", T.TOKEN, "protection domain", _DOMAIN, True, "", True),
    _ev(123, "access", T.RIGHTS, "rights that a key gives, or an access wants",
        _REGISTERS | _ACCESS | {K.CREATE_QP, K.MODIFY_QP}, True, "", True),
    _ev(124, "side", T.SIDE, "whether a local work request or the peer names the key", _ACCESS,
        False, "", True),
    _ev(125, "region_type", T.REGION_TYPE, "kind of memory region", _REGISTERS, False, "", True),
    _ev(126, "lacking", T.INT,
        "rights that are wanted and not there, counted: by an access of its region, by a window "
        "of the region it is bound to, by a registration for the rights that it asks for",
        _ACCESS | _REGISTERS, True),
    _ev(127, "missing_rights", T.RIGHTS, "those rights", _ACCESS | _REGISTERS, True),
    _ev(128, "outside_bytes", T.SIZE, "bytes of the range outside the region; of a verdict: of "
        "the range that the task checked last", _ACCESS | _BIND | {K.HCA_VERDICT}, True),
    _ev(129, "stale_tag", T.BOOL, "a live region has the index of the key and another tag",
        _ACCESS),
    _ev(130, "pd_born", T.BOOL, "the recording holds the beginning of the protection domain",
        _ACCESS),
    _ev(132, "left_regions", T.INT, "regions that a task left to its kernel",
        frozenset({K.LEFT_REGISTERED})),
    _ev(133, "expected_status", T.WC_STATUS,
        "how a work request ends whose access by key is refused on this side", _ACCESS, True),
    _ev(134, "qp", T.INT, "number of the queue pair", _QP, True, "", True),
    _ev(135, "refused", T.BOOL, "the HCA said no", frozenset({K.HCA_VERDICT})),
    _ev(136, "live_regions", T.INT, "live regions that the key names: 0 or 1", _ACCESS),
    _ev(137, "moves", T.INT, "1: bytes are read from memory, 2: they are written to it",
        _ACCESS, True, "", True),
    _ev(138, "result", T.INT, "0, or the number of an error", frozenset({K.HCA_VERDICT}), False,
        "", True),
    _ev(139, "qp_type", T.QP_TYPE, "the service that a queue pair gives",
        frozenset({K.CREATE_QP}), False, "", True),
    _ev(140, "state", T.QP_STATE, "state that a queue pair goes to", frozenset({K.MODIFY_QP}),
        True, "", True),
    _ev(141, "wr_id", T.INT, "id that the program gave its work request", _POSTS | _SGE | {K.CQE},
        True, "", True),
    _ev(142, "opcode", T.OPCODE, "what a work request asks for", _POSTS | _SGE | {K.CQE}, False,
        "", True),
    _ev(143, "completion", T.WC_STATUS, "how the work request ended", frozenset({K.CQE}), False,
        "", True),
    _ev(144, "sge_count", T.INT, "entries of its list", _POSTS),
    _ev(145, "bytes", T.SIZE, "bytes of its list", _POSTS),
    _ev(146, "inline", T.BOOL, "the data was copied when it was posted", _POSTS),
    _ev(147, "signaled", T.BOOL, "it gives a completion when it succeeds", _POSTS),
    _ev(148, "fence", T.BOOL, "it waits for earlier reads and atomics of its queue",
        _POSTS | _SGE),
    _ev(149, "remote_addr", T.INT, "address that it names at the peer", _POSTS, True),
    _ev(150, "conflicts", T.INT,
        "outstanding work requests whose buffers share bytes with this one, where the HCA writes "
        "one of both", _SGE),
    _ev(151, "unfenced", T.INT,
        "outstanding reads and atomics of the same queue that bring the bytes of this buffer, "
        "and that it does not wait for", _SGE),
    _ev(152, "completions_due", T.INT,
        "entries that its completion queue may get from all that is outstanding, with this one",
        _POSTS, True),
    _ev(153, "completion_room", T.INT, "entries that its completion queue has", _POSTS, True),
    _ev(154, "disabled", T.INT,
        "rights that the access of the peer wants and the queue pair does not give, counted",
        _ACCESS, True),
    _ev(155, "other_qp", T.BOOL, "the window is used on a queue pair that it is not bound on",
        _ACCESS),
    _ev(156, "matched", T.BOOL, "a posted work request of the queue pair has this id",
        frozenset({K.CQE})),
    _ev(157, "writes", T.BOOL, "the CPU writes", frozenset({K.WORK_TOUCHED})),
    _ev(161, "misfits", T.INT,
        "in how many ways a window does not fit its region: rights, range, domain", _BIND),
    _ev(162, "rkey", T.KEY, "the key that peers name", frozenset({K.REG_MR_END}), True, "", True),
    _ev(159, "cq", T.INT, "number of the completion queue", _CQ, True, "", True),
    _ev(160, "entries", T.INT, "entries that it has", frozenset({K.CREATE_CQ}), False, "", True),
    _ev(158, "post_flags", T.INT, "how it was posted, bits", _POSTS, True, "", True),
)  # fmt: skip

REGION_FIELDS = (
    _reg(1, "key", T.KEY, "its key, index and tag"),
    _reg(2, "iova", T.ADDR, "first address, as its key knows it", True, "key"),
    _reg(3, "length", T.SIZE, "bytes", True),
    _reg(4, "access", T.RIGHTS, "rights that its key gives", True),
    _reg(5, "pd", T.TOKEN, "its protection domain", True),
    _reg(6, "type", T.REGION_TYPE, "kind of memory region"),
    _reg(7, "age", T.DURATION, "time since it was registered", True),
    _reg(8, "ended_ago", T.DURATION, "time since it ended; 0 while it lives", True),
    _reg(9, "gap", T.BOOL, "events were lost since it was registered"),
    _reg(10, "task", T.TASK, "task that registered it"),
    _reg(11, "accesses", T.INT, "accesses of the HCA by its key so far"),
    _reg(13, "outstanding", T.INT, "posted buffers by its key that the HCA has not given back"),
    _reg(14, "windows", T.INT, "memory windows bound to it"),
    _reg(12, "remote_key", T.KEY, "the key that peers name, where it is another", True),
)

QP_FIELDS = (
    _qp(1, "number", T.INT, "its number"),
    _qp(2, "pd", T.TOKEN, "its protection domain", True),
    _qp(3, "type", T.QP_TYPE, "the service it gives"),
    _qp(4, "state", T.QP_STATE, "its state", True),
    _qp(5, "sends", T.INT, "sends posted and not retired"),
    _qp(6, "receives", T.INT, "receives posted and not completed"),
    _qp(7, "max_send_wr", T.INT, "work requests that its send queue holds", True),
    _qp(8, "max_recv_wr", T.INT, "work requests that its receive queue holds", True),
    _qp(9, "max_send_sge", T.INT, "list entries that a send may have", True),
    _qp(10, "max_recv_sge", T.INT, "list entries that a receive may have", True),
    _qp(11, "max_inline", T.SIZE, "bytes that may be posted inline", True),
    _qp(12, "born", T.BOOL, "the recording holds its beginning"),
    _qp(13, "gap", T.BOOL, "events were lost since it was made"),
)

WORK_FIELDS = (
    _work(1, "wr_id", T.INT, "id that the program gave it"),
    _work(2, "opcode", T.OPCODE, "what it asks for"),
    _work(3, "length", T.SIZE, "bytes of its list"),
    _work(4, "qp", T.INT, "number of its queue pair"),
    _work(5, "age", T.DURATION, "time since it was posted", True),
    _work(6, "faults", T.INT, "buffers of its list that an HCA must refuse"),
    _work(7, "unsure", T.INT, "buffers of its list of which that is not known"),
    _work(8, "writes", T.BOOL, "the HCA writes its buffers"),
)

HCA_SENTENCES = {
    K.ALLOC_PD: "a protection domain was made",
    K.DEALLOC_PD: "a protection domain was given back",
    K.REG_MR: "a memory region was registered and has a key",
    K.REG_MR_BEGIN: "a task asks for a registration; `reg_mr_end` of the same task follows",
    K.REG_MR_END: "the registration that the task asked for is done, or was refused",
    K.REREG_MR: "a memory region was given another range, other rights or another domain",
    K.FAST_REG_MR: "a work request gave a region its range and its key",
    K.INVALIDATE_MR: "a key was taken out of use; the region stays",
    K.BIND_MW: "a memory window was bound to a range of a region",
    K.CREATE_QP: "a queue pair was made",
    K.MODIFY_QP: "a queue pair goes to another state",
    K.DESTROY_QP: "a queue pair is about to be destroyed",
    K.CREATE_CQ: "a completion queue was made",
    K.DESTROY_CQ: "a completion queue is about to be destroyed",
    K.POST_SEND: "a work request was posted to a send queue",
    K.POST_RECV: "a work request was posted to a receive queue",
    K.CQE: "a completion was polled",
    K.HCA_ACCESS: "an HCA looked a key up, checked a range, or moved bytes by a key",
    K.HCA_VERDICT: "what the HCA made of the last range that the same task checked",
    K.TASK_EXIT: "a task is at its end; what it still has the kernel takes back",
    K.LEFT_REGISTERED: "derived: a region is deregistered after its task's end; or, in a "
    "recording without ends of tasks, the last of what a task had has gone, newest first, and "
    "regions while a queue pair was there, as a kernel cleans up",
    K.POSTED_SGE: "derived, once for each buffer of a posted work request that has bytes",
    K.WORK_TOUCHED: "derived: the CPU touches, by virtual address, a buffer of a posted work "
    "request whose completion has not been polled",
}
