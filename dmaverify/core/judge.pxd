# cython: language_level=3
# What a run of the engine is made of, and the rules run on one event of it.

from libc.stdint cimport uint32_t, uint64_t, uint8_t

from dmaverify.core.adapters cimport dv_named
from dmaverify.core.between cimport dv_effects
from dmaverify.core.context cimport dv_context, dv_meaning
from dmaverify.core.groups cimport dv_groups, dv_rule
from dmaverify.core.objects cimport dv_verb_objects
from dmaverify.core.vm cimport dv_step
from dmaverify.core.work cimport dv_works
from dmaverify.core.world cimport dv_world
from dmaverify.model.events cimport KIND_ROOM

cdef enum:
    TYPES = 16               # map types that a row's flags have room for

cdef struct dv_engine:
    dv_world world
    dv_groups groups
    dv_step* code
    dv_rule* rules
    uint32_t rule_count
    uint32_t* index          # rules of cell i: index_rules[index[i]:index[i + 1]]
    uint32_t* index_rules    # a cell is a kind and a map type: kind * TYPES + type
    uint8_t has_rules[KIND_ROOM]    # kinds that any rule is about
    uint64_t checked
    uint64_t events
    uint32_t pending         # group to tell about the mapping that this event makes, plus 1
    dv_effects effects
    dv_named named           # of the event at hand
    dv_verb_objects hca
    dv_works works
    dv_meaning means

# Run the rules of an event; 0, or -1 when memory is gone.
cdef int run_rules(dv_engine* g, dv_context* c) noexcept nogil
