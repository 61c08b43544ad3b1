"""What rules can ask about an HCA: its events, its memory regions, its queue pairs."""

from dmaverify.model.field import Field, Obj, Type
from dmaverify.model.kinds import EventKind

K, T = EventKind, Type

_REGISTERS = frozenset({K.REG_MR, K.REG_MR_BEGIN, K.REREG_MR, K.FAST_REG_MR, K.BIND_MW})
_WINDOWS = frozenset({K.ALLOC_MW, K.DEALLOC_MW})
_PAGES = frozenset({K.ODP_PAGES, K.MAP_MR_SG})
_KEYED = _REGISTERS | _WINDOWS | _PAGES | {
    K.REG_MR_END, K.DEREG_MR, K.INVALIDATE_MR, K.HCA_ACCESS, K.HCA_VERDICT, K.POSTED_SGE,
}  # fmt: skip
_SGE = frozenset({K.POSTED_SGE})
_ACCESS = frozenset({K.HCA_ACCESS}) | _SGE
_BIND = frozenset({K.BIND_MW})
_POSTS = frozenset({K.POST_SEND, K.POST_RECV})
_QP = frozenset({K.CREATE_QP, K.MODIFY_QP, K.DESTROY_QP, K.CQE}) | _POSTS | _SGE
_CQ = frozenset({K.CREATE_CQ, K.DESTROY_CQ})
_SRQ = frozenset({K.CREATE_SRQ, K.DESTROY_SRQ})
_AH = frozenset({K.CREATE_AH, K.DESTROY_AH})
_TEARDOWNS = frozenset({K.TEARDOWN, K.TEARDOWN_DONE})
_CHANGES = frozenset({K.USER_UNMAP, K.ODP_PAGES})
_QUEUE = frozenset({K.DOORBELL, K.QUEUE_MEMORY})
_MADS = frozenset({K.MAD_SEND, K.MAD_RECV})
_LOST = frozenset({K.HCA_LOST})
_PARENTS = frozenset({K.DESTROY_CQ, K.DESTROY_SRQ, K.DEALLOC_PD})
_FAILING = _PARENTS | {K.DESTROY_QP, K.DEREG_MR, K.DEALLOC_MW, K.TEARDOWN_DONE}
_NUMBERED = _TEARDOWNS | _QUEUE | {K.ASYNC_EVENT}
_DOMAIN = (
    frozenset({K.ALLOC_PD, K.DEALLOC_PD, K.CREATE_QP, K.CREATE_SRQ, K.CREATE_AH, K.ALLOC_MW})
    | _REGISTERS
    | _ACCESS
)

#: Kinds with memory that the HCA reaches by bus address.
ON_BUS = _MADS | {K.QUEUE_MEMORY} | _LOST
#: Kinds with a range in a key's space, or in another.
RANGED = _REGISTERS | _ACCESS | {K.CQE} | _PAGES | _CHANGES | ON_BUS | {K.HCA_VERDICT}

#: Kinds of events that are of an HCA.
HCA_KINDS = (
    _KEYED
    | _QP
    | _CQ
    | _SRQ
    | _AH
    | _NUMBERED
    | _CHANGES
    | ON_BUS
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
    _ev(121, "iova", T.ADDR, "first address, as the key knows it",
        _REGISTERS | _ACCESS | _PAGES | {K.HCA_VERDICT}, True, "key", True),
    _ev(122, "pd", T.TOKEN, "protection domain", _DOMAIN, True, "", True),
    _ev(123, "access", T.RIGHTS, "rights that a key gives, or an access wants",
        _REGISTERS | _ACCESS | {K.CREATE_QP, K.MODIFY_QP, K.HCA_VERDICT}, True, "", True),
    _ev(124, "side", T.SIDE, "whether a local work request or the peer names the key",
        _ACCESS | {K.HCA_VERDICT}, False, "", True),
    _ev(125, "region_type", T.REGION_TYPE, "kind of memory region",
        _REGISTERS | {K.ALLOC_MW}, False, "", True),
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
    _ev(141, "wr_id", T.INT, "id that the program gave its work request",
        _POSTS | _SGE | _MADS | {K.CQE}, True, "", True),
    _ev(142, "opcode", T.OPCODE, "what a work request asks for", _POSTS | _SGE | {K.CQE}, False,
        "", True),
    _ev(143, "completion", T.WC_STATUS, "how the work request ended",
        _MADS | {K.CQE, K.HCA_VERDICT}, False, "", True),
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
        "in how many ways a window does not fit its region, or a registration its queue pair or "
        "its key: rights, range, domain, base, index", _BIND | {K.FAST_REG_MR}),
    _ev(162, "rkey", T.KEY, "the key that peers name", frozenset({K.REG_MR_END}), True, "", True),
    _ev(159, "cq", T.INT, "number of the completion queue", _CQ, True, "", True),
    _ev(160, "entries", T.INT, "entries that it has", frozenset({K.CREATE_CQ, K.CREATE_SRQ}), False,
        "", True),
    _ev(158, "post_flags", T.INT, "how it was posted, bits", _POSTS, True, "", True),
    _ev(163, "srq", T.INT, "number of the shared receive queue", _SRQ, True, "", True),
    _ev(164, "ah", T.INT, "number of the address handle", _AH, True, "", True),
    _ev(165, "number", T.INT, "number of the object, or key of the region", _NUMBERED, True, "",
        True),
    _ev(166, "part", T.QUEUE_PART, "what of a queue it is about", _QUEUE | _LOST, False, "", True),
    _ev(167, "object_type", T.HCA_OBJECT, "kind of the object", _TEARDOWNS, False, "", True),
    _ev(168, "async_event", T.ASYNC_EVENT, "what the HCA raised", frozenset({K.ASYNC_EVENT}),
        False, "", True),
    _ev(169, "change", T.CHANGE, "what became of the range", _CHANGES, False, "", True),
    _ev(170, "address", T.ADDR, "first address of the process", frozenset({K.USER_UNMAP}), True,
        "virtual", True),
    _ev(171, "published", T.INT, "work requests that a doorbell publishes; all where not told",
        frozenset({K.DOORBELL}), True, "", True),
    _ev(172, "agent", T.INT, "number of the agent that a datagram is of", _MADS, True, "", True),
    _ev(240, "request_faults", T.INT,
        "of a verdict on what a peer asked for: in how many ways that does not fit its region and "
        "queue pair", frozenset({K.HCA_VERDICT}), True),
    _ev(241, "misaligned", T.INT,
        "of an atomic: bytes by which its address misses a multiple of eight",
        frozenset({K.HCA_ACCESS}), True),
    _ev(174, "shared", T.BOOL, "it has to do with a shared receive queue",
        frozenset({K.POST_RECV, K.DESTROY_QP})),
    _ev(175, "shared_early", T.BOOL,
        "the queue pair goes while it may still take from its shared receive queue",
        frozenset({K.DESTROY_QP})),
    _ev(176, "users", T.INT, "live objects that hang on it", _PARENTS, True),
    _ev(177, "ah_ended", T.BOOL, "the address handle that it names is gone",
        frozenset({K.POST_SEND})),
    _ev(178, "ah_other_pd", T.BOOL, "the address handle is of another protection domain",
        frozenset({K.POST_SEND})),
    _ev(179, "ah_outstanding", T.INT, "posted work requests that use the address handle",
        frozenset({K.DESTROY_AH})),
    _ev(180, "unposted", T.INT, "work requests that the doorbell publishes and nobody posted",
        frozenset({K.DOORBELL}), True),
    _ev(181, "unpublished", T.BOOL, "no doorbell has published the work request yet",
        frozenset({K.CQE})),
    _ev(182, "bound_before", T.BOOL, "the window is bound already, and its type must be free",
        _BIND),
    _ev(183, "refused_call", T.BOOL, "the call failed", _FAILING),
    _ev(184, "mad", T.BOOL, "it is a datagram's buffer", _LOST),
    _ev(185, "tearing", T.BOOL, "the HCA was told to let go, and has not said that it did",
        _LOST),
    _ev(186, "teardown_failed", T.BOOL, "the HCA was told to let go, and could not", _LOST),
    _ev(187, "unmapped_bytes", T.SIZE, "bytes of the memory that the DMA API has not mapped",
        _MADS | {K.QUEUE_MEMORY}, True),
    _ev(188, "wrong_way_bytes", T.SIZE, "bytes of the memory whose mapping does not allow what "
        "the HCA does", _MADS | {K.QUEUE_MEMORY}, True),
    _ev(189, "registered_bytes", T.SIZE, "bytes of the range in regions that pin their pages",
        frozenset({K.USER_UNMAP})),
    _ev(190, "table_bytes", T.SIZE, "bytes of the range that an HCA's table still has",
        frozenset({K.USER_UNMAP})),
    _ev(191, "mapped", T.INT, "entries of the list that the region took",
        frozenset({K.MAP_MR_SG}), True),
    _ev(192, "pages", T.INT, "entries of the list", frozenset({K.MAP_MR_SG})),
    _ev(193, "unaligned", T.INT, "the first entry that neither begins a page behind one that "
        "ends a page nor goes on where that ended, from 1; 0 where there is none",
        frozenset({K.MAP_MR_SG})),
    _ev(194, "wraps", T.BOOL, "an entry ends at the top of the address space or beyond",
        frozenset({K.MAP_MR_SG})),
    _ev(195, "hazard", T.HAZARD, "why the CPU had better not", frozenset({K.WORK_TOUCHED})),
    _ev(196, "racing", T.INT, "accesses of peers that share bytes, one of both a write, and that "
        "nothing orders with this one", frozenset({K.HCA_ACCESS})),
    _ev(197, "expected_statuses", T.STATUSES, "how HCAs of this family complete what they refuse "
        "here", _ACCESS | {K.CQE}, True),
    _ev(198, "sge", T.INT, "which buffer of the list it is, from 1; of a completion: "
        "the one whose key or range is wrong", _SGE | {K.CQE}, True),
    _ev(199, "bad_key", T.KEY, "its key", frozenset({K.CQE}), True),
    _ev(200, "key_refused", T.BOOL, "the status is one that an HCA gives where a buffer is not "
        "what its key allows", frozenset({K.CQE})),
    _ev(201, "fits", T.BOOL, "the status is one that we expect", frozenset({K.CQE}), True),
    _ev(202, "family", T.FAMILY, "whose mistakes are reported in the same way",
        _ACCESS | {K.CQE}),
    _ev(203, "invalidated", T.KEY, "key that the peer took out of use", frozenset({K.CQE}), True),
    _ev(204, "request_key", T.KEY, "key that the request had", frozenset({K.CQE}), True),
    _ev(205, "invalidated_live", T.BOOL, "that key named a region until now", frozenset({K.CQE})),
    _ev(206, "closed", T.BOOL, "receives of the queue pair come from a shared receive queue",
        frozenset({K.POST_RECV})),
    _ev(207, "qp_ended", T.BOOL, "it is of a queue pair that is gone",
        frozenset({K.HCA_ACCESS, K.CQE})),
    _ev(211, "unordered", T.INT, "posted buffers of the region whose work requests its end does "
        "not wait for", frozenset({K.DEREG_MR, K.INVALIDATE_MR, K.REREG_MR})),
    _ev(208, "skipped", T.INT, "earlier requests of the queue that should have completed before",
        frozenset({K.CQE})),
    _ev(209, "fault", T.BOOL, "the IOMMU refused the HCA what it holds", _LOST),
    _ev(210, "accessor", T.ACCESSOR, "whose access it is, and to which buffer of a list",
        _ACCESS),
    _ev(173, "step", T.MAD_STEP, "where a datagram is on its way", _MADS, False, "", True),
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
    K.CREATE_SRQ: "a shared receive queue was made",
    K.DESTROY_SRQ: "a shared receive queue is about to be destroyed",
    K.CREATE_AH: "an address handle was made",
    K.DESTROY_AH: "an address handle was destroyed",
    K.DOORBELL: "work requests posted to a queue were published to the HCA",
    K.QUEUE_MEMORY: "memory was given to the HCA for a queue or its doorbell record",
    K.MAD_SEND: "a management datagram was given to the HCA (`step=posted`), or its send has "
    "completed",
    K.MAD_RECV: "room for a management datagram was given to the HCA (`step=posted`), or one has "
    "arrived in it",
    K.ALLOC_MW: "a memory window was made; it is bound to nothing yet",
    K.DEALLOC_MW: "a memory window was given back",
    K.TEARDOWN: "a command to stop using an object was given to the HCA",
    K.TEARDOWN_DONE: "that command has completed; with `failed` the HCA goes on using the object",
    K.ASYNC_EVENT: "the HCA raised an event that is no completion",
    K.USER_UNMAP: "an address range of a process was unmapped, moved, given back, shared or copied",
    K.ODP_PAGES: "pages were brought into the HCA's table of a region, or taken out of it",
    K.MAP_MR_SG: "a region was told its pages: `segments` as the DMA API gave them, `mapped` of "
    "them taken",
    K.HCA_LOST: "derived: a mapping, memory or an address range goes that an HCA still uses",
}
