# cython: language_level=3
"""The rules, run on one event."""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from dmaverify.core.context cimport dv_context
from dmaverify.core.groups cimport dv_rule, groups_hit, groups_told
from dmaverify.core.link cimport traits_of
from dmaverify.core.vm cimport (
    OP_HOLDS, OP_NOT_APPLICABLE, OUT_FAULT, dv_frame, dv_shown, frame_init, rule_run,
)
from dmaverify.model.events cimport event_type


cdef int run_rules(dv_engine* g, dv_context* c) noexcept nogil:
    cdef uint32_t at = <uint32_t>c.event.kind * TYPES + event_type(c.event)
    cdef uint32_t i, number
    cdef uint32_t told = groups_told(&g.groups, c)
    cdef int32_t now
    cdef int outcome
    cdef dv_rule* rule
    cdef dv_shown shown
    cdef dv_frame frame
    cdef uint64_t traits
    frame_init(&frame, c)
    traits = traits_of(&frame)
    for i in range(g.index[at], g.index[at + 1]):
        number = g.index_rules[i]
        rule = &g.rules[number]
        if (traits ^ rule.guard.want) & rule.guard.care:
            continue
        rule.runs += 1
        shown.known = 0
        shown.count = 0
        outcome = rule_run(g.code, rule.guard.start, &frame, &shown)
        if outcome == OP_NOT_APPLICABLE:
            continue
        if outcome == OP_HOLDS:
            rule.holds += 1
        elif outcome == OUT_FAULT:
            rule.faults += 1
        else:
            rule.violations += 1
            now = groups_hit(&g.groups, g.rules, number, c, &shown, told)
            if now < 0:
                return -1
            told = <uint32_t>now
    g.pending = told
    return 0
