# cython: language_level=3
"""A program and platforms, made ready for a run."""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, malloc
from libc.string cimport memset

from dmaverify.core.between cimport between_init
from dmaverify.core.context cimport context_init, dv_context
from dmaverify.core.groups cimport GROUP_FIELDS, RULE_FOLDS, RULE_TELLS, dv_group, dv_rule
from dmaverify.core.incidents cimport PLATFORMS_MAX
from dmaverify.core.judge cimport TYPES, dv_engine
from dmaverify.core.link cimport guard_of, objects_used, program_link
from dmaverify.core.vm cimport (
    OP_HOLDS, dv_frame, dv_instruction, dv_shown, dv_step, frame_init, program_check, rule_run,
)
from dmaverify.model.events cimport KIND_COUNT, KIND_HCA_LOST, dv_batch
from dmaverify.model.platform cimport dv_platform

from dmaverify.errors import InternalError
from dmaverify.model.kinds import Severity


cdef engine_platforms(dv_engine* g, platforms, uint64_t seed):
    """Say what machines the effects are worked out for.

    Raises:
        InternalError: there are too many.
        MemoryError: no room for what lies between.
    """
    cdef dv_platform* p
    if len(platforms) > PLATFORMS_MAX:
        raise InternalError(f"{len(platforms)} platforms in one run, {PLATFORMS_MAX} at most")
    if between_init(&g.effects, seed, <uint32_t>len(platforms)) < 0:
        raise MemoryError()
    for i, source in enumerate(platforms):
        p = &g.effects.platforms[i]
        p.bus_offset = source.bus_offset
        p.flush_after_ns = source.flush_after_ns
        p.flush_after_unmaps = source.flush_after_unmaps
        p.highest = source.highest
        p.page_bytes = source.page_bytes
        p.line_bytes = source.line_bytes
        p.guard_bytes = source.guard_bytes
        p.recorded = source.recorded
        p.translation = source.translation
        p.second_reaches_mmio = source.second_reaches_mmio
        p.coherent = source.coherent
        p.bounce = source.bounce
        p.copies_in_always = source.copies_in_always
        p.private_memory = source.private_memory
        p.common_buffers_at_end = source.common_buffers_at_end


cdef engine_index(dv_engine* g, program):
    """Note for each kind of event and type of mapping which rules may have to do with it."""
    cdef uint32_t at = 0, kind, type_, cell, number
    cdef uint32_t cells = <uint32_t>KIND_COUNT * TYPES
    total = TYPES * sum(len(set(r.kinds)) for r in program.rules)
    g.index = <uint32_t*>calloc(cells + 1, sizeof(uint32_t))
    g.index_rules = <uint32_t*>calloc(total + 1, sizeof(uint32_t))
    if g.index == NULL or g.index_rules == NULL:
        raise MemoryError()
    for cell in range(cells):
        g.index[cell] = at
        kind, type_ = divmod(cell, TYPES)
        for number, source in enumerate(program.rules):
            if kind in source.kinds:
                g.has_rules[kind] = 1
                if g.rules[number].guard.types >> type_ & 1:
                    g.index_rules[at] = number
                    at += 1
    g.index[cells] = at


cdef engine_load(dv_engine* g, program):
    """Make a program ready to run.

    Raises:
        InternalError: it is not well formed.
        MemoryError: no room for it.
    """
    cdef const unsigned char[::1] packed
    cdef const dv_instruction* code = NULL
    cdef int32_t count = len(program.code) // sizeof(dv_instruction)
    cdef dv_rule* rule
    cdef uint32_t i
    g.rule_count = len(program.rules)
    g.code = <dv_step*>malloc((count + 1) * sizeof(dv_step))
    g.rules = <dv_rule*>calloc(g.rule_count + 1, sizeof(dv_rule))
    if g.code == NULL or g.rules == NULL:
        raise MemoryError()
    if count:
        packed = program.code
        code = <const dv_instruction*>&packed[0]
    entries = [r.entry for r in program.rules]
    entries += [n.entry for r in program.rules for n in r.needs]
    if len(program.code) % sizeof(dv_instruction) or \
            not program_check(code, count) or not all(0 <= e < count for e in entries):
        raise InternalError("a compiled rule program is not well formed")
    needs = {}
    program_link(code, count, g.code)
    for i, source in enumerate(program.rules):
        rule = &g.rules[i]
        if source.needs:
            because = tuple([n.because for n in source.needs])
            rule.needs = needs.setdefault(because, len(needs) + 1)
        rule.uses = objects_used(code, source.entry)
        rule.guard = guard_of(code, source.entry)
        if source.builtin and source.severity == Severity.ERROR:
            rule.flags = RULE_FOLDS | RULE_TELLS
        elif source.builtin and set(source.kinds) == {KIND_HCA_LOST}:
            rule.flags = RULE_FOLDS  # it says why, and that may be told already
        rule.group_count = min(len(source.group), GROUP_FIELDS)
        for at, ref in enumerate(source.group[:GROUP_FIELDS]):
            rule.group_obj[at] = ref >> 8
            rule.group_number[at] = ref & 255
    engine_index(g, program)


cdef engine_unmet(dv_engine* g, program, uint32_t group):
    """Return the number of the first need of a group's rule that the recording does not meet."""
    cdef dv_context c
    cdef dv_frame frame
    cdef dv_shown shown
    cdef dv_group* item = &g.groups.items[group]
    cdef dv_batch none
    memset(&none, 0, sizeof(dv_batch))
    context_init(&c, &g.world, &none, &item.event, &item.number)
    c.hca = &g.hca
    c.works = &g.works
    frame_init(&frame, &c)
    for number, need in enumerate(program.rules[item.rule].needs):
        if rule_run(g.code, need.entry, &frame, &shown) != OP_HOLDS:
            return number
    return None
