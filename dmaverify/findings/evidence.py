"""The story of a hit: who mapped, who ended it, what happened then, what followed."""

from dmaverify.findings.context import TraceContext
from dmaverify.model.evidence import Evidence
from dmaverify.model.hit import Hit, Witness
from dmaverify.model.kinds import EventKind, Flag
from dmaverify.model.program import Program

ROLES = {
    EventKind.LOST: "lost",
    EventKind.MARK: "marked",
    EventKind.DMA_MAP: "mapped",
    EventKind.DMA_UNMAP: "unmapped",
    EventKind.DMA_SYNC_FOR_CPU: "synced",
    EventKind.DMA_SYNC_FOR_DEVICE: "synced",
    EventKind.DMA_ALLOC: "allocated",
    EventKind.DMA_FREE: "freed",
    EventKind.IOMMU_MAP: "translated",
    EventKind.IOMMU_UNMAP: "untranslated",
    EventKind.IOMMU_ATTACH: "attached",
    EventKind.DEV_FAULT: "faulted",
    EventKind.BOUNCE: "bounced",
    EventKind.DRIVER_PROBE: "probed",
    EventKind.DRIVER_BOUND: "bound",
    EventKind.DRIVER_UNBOUND: "unbound",
    EventKind.DEVICE_LIMITS: "limited",
    EventKind.LEFT_MAPPED: "unbound",
    EventKind.CPU_READ: "read",
    EventKind.CPU_WRITE: "written",
    EventKind.DEV_READ: "accessed",
    EventKind.DEV_WRITE: "accessed",
    EventKind.DEV_START: "started",
    EventKind.MEMORY: "born",
    EventKind.CLOCK_SYNC: "synced",
    EventKind.DEV_ACCESS: "accessed",
    EventKind.MEMORY_FREE: "released",
    EventKind.COMMAND_BEGIN: "begun",
    EventKind.COMMAND_ARRIVED: "completed",
    EventKind.COMMAND_DONE: "done",
    EventKind.DEREG_MR: "deregistered",
    EventKind.IRQL: "raised",
    EventKind.DMA_CALL: "called",
    EventKind.ADAPTER_GET: "got",
    EventKind.ADAPTER_PUT: "put",
    EventKind.CHANNEL_ALLOCATE: "allocated",
    EventKind.CHANNEL_GRANTED: "granted",
    EventKind.CHANNEL_ACTION: "returned",
    EventKind.CHANNEL_FREE: "freed",
    EventKind.CHANNEL_CANCEL: "cancelled",
    EventKind.MDL_LOCK: "locked",
    EventKind.MDL_UNLOCK: "unlocked",
    EventKind.MDL_FREE: "freed",
    EventKind.MDL_MAP: "viewed",
    EventKind.MDL_UNMAP: "unviewed",
    EventKind.IO_FLUSH: "flushed",
    EventKind.PHYS_QUERY: "asked",
    EventKind.REQUEST_COMPLETE: "completed",
    EventKind.DMA_CANCEL: "cancelled",
    EventKind.ALLOC_PD: "made",
    EventKind.DEALLOC_PD: "given back",
    EventKind.REG_MR: "registered",
    EventKind.REG_MR_BEGIN: "registered",
    EventKind.REG_MR_END: "registered",
    EventKind.REREG_MR: "reregistered",
    EventKind.FAST_REG_MR: "registered",
    EventKind.INVALIDATE_MR: "invalidated",
    EventKind.BIND_MW: "bound",
    EventKind.CREATE_QP: "made",
    EventKind.MODIFY_QP: "changed",
    EventKind.DESTROY_QP: "destroyed",
    EventKind.CREATE_CQ: "made",
    EventKind.DESTROY_CQ: "destroyed",
    EventKind.POST_SEND: "posted",
    EventKind.POST_RECV: "posted",
    EventKind.CQE: "completed",
    EventKind.HCA_ACCESS: "accessed",
    EventKind.HCA_VERDICT: "judged",
    EventKind.TASK_EXIT: "ended",
    EventKind.LEFT_REGISTERED: "deregistered",
    EventKind.POSTED_SGE: "posted",
    EventKind.WORK_TOUCHED: "touched",
    EventKind.CREATE_SRQ: "made",
    EventKind.DESTROY_SRQ: "destroyed",
    EventKind.CREATE_AH: "made",
    EventKind.DESTROY_AH: "destroyed",
    EventKind.DOORBELL: "rung",
    EventKind.QUEUE_MEMORY: "given",
    EventKind.MAD_SEND: "sent",
    EventKind.MAD_RECV: "received",
    EventKind.ALLOC_MW: "made",
    EventKind.DEALLOC_MW: "given back",
    EventKind.TEARDOWN: "told",
    EventKind.TEARDOWN_DONE: "let go",
    EventKind.ASYNC_EVENT: "raised",
    EventKind.USER_UNMAP: "changed",
    EventKind.ODP_PAGES: "paged",
    EventKind.MAP_MR_SG: "listed",
    EventKind.HCA_LOST: "taken",
}
#: Offsets from here on are those of lines of another source than the trace.
OTHER_SOURCE = 1 << 62
_MAKES = (
    EventKind.DMA_MAP, EventKind.DMA_ALLOC, EventKind.ADAPTER_GET, EventKind.CHANNEL_ALLOCATE,
)  # fmt: skip


def role_of(witness: Witness) -> str:
    """Return the past participle for what an event did."""
    event = witness.event
    if event.flags & Flag.FAILED:
        return "failed" if event.kind in _MAKES or event.kind >= EventKind.ALLOC_PD else "used"
    return ROLES[event.kind]


def evidence(witness: Witness, context: TraceContext, role: str = "", rule: str = "") -> Evidence:
    """Return one line of proof; the role comes from the event where none is given."""
    unknown = context.ticks or bool(witness.event.flags & Flag.TIME_UNKNOWN)
    return Evidence(
        role=role or role_of(witness),
        event=witness.record,
        line=witness.line or None,
        time_ns=None if unknown else witness.time,
        text=context.text_of(witness),
        rule=rule,
        source=context.source_of(witness),
    )


def _place(item: tuple[tuple[int, int], object]) -> tuple[int, int]:
    return item[0]


def story(hit: Hit, program: Program, context: TraceContext) -> tuple[Evidence, ...]:
    """Return the evidence of a hit in the order of the trace, consequences last."""
    told = [(hit.first, "")]
    for mapping in hit.mappings:
        told.append((mapping.made, ""))
        if mapping.ended is not None:
            told.append((mapping.ended, ""))
    told += [(w, "" if w.event.kind == EventKind.DEV_FAULT else "logged") for w in hit.attached]
    witnesses: dict[tuple[int, int], tuple[Witness, str]] = {}
    for witness, role in told:
        # What another source tells has the record of the trace's event before it.
        other = witness.offset + 1 if witness.offset >= OTHER_SOURCE else 0
        witnesses.setdefault((witness.record, other), (witness, role))
    lines = [evidence(w, context, role) for _, (w, role) in sorted(witnesses.items(), key=_place)]
    lines += [
        evidence(witness, context, "consequence", program.rules[rule].id)
        for rule, witness in hit.consequences
    ]
    return tuple(lines)
