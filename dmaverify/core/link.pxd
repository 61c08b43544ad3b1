# cython: language_level=3
# Makes a program ready to run: where the fields lie that its instructions ask for, and which
# facts each rule needs before it is worth running. A replay then tests the facts of an event
# once, as bits of one word.

from libc.stdint cimport int32_t, uint32_t, uint64_t

from dmaverify.core.vm cimport dv_frame, dv_instruction, dv_step

# A rule whose facts are not what it wants says "not applicable": no need to run it.
cdef struct dv_guard:
    uint64_t care            # facts that matter
    uint64_t want            # what they have to be
    uint32_t types           # map types with which the rule may apply, one bit each
    int32_t start            # where to begin: what the facts have told is left out

# Make steps of `count` instructions that program_check has passed.
cdef void program_link(const dv_instruction* code, int32_t count, dv_step* ret) noexcept nogil
# Learn from the first instructions of the rule at `entry` when it can not apply.
cdef dv_guard guard_of(const dv_instruction* code, int32_t entry) noexcept nogil
# Return the facts of an event.
cdef uint64_t facts_of(const dv_frame* f) noexcept nogil
# Return a bit for each object that the rule at `entry` asks for.
cdef uint32_t objects_used(const dv_instruction* code, int32_t entry) noexcept nogil
