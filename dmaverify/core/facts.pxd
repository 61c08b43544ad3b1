# cython: language_level=3
# Numbers about an event that are worked out only when a rule asks: who owns what it touches,
# which bytes it loses, what goes on there. Looks at the world as it was before the event.

from libc.stdint cimport uint32_t, uint64_t

from dmaverify.core.context cimport dv_context

cdef enum:
    FIRST_FACT = 36          # fields of the event with this number and above are answered here

# Return the value of a field of the event; `known` tells whether there is one.
cdef uint64_t event_fact(const dv_context* c, int number, bint* known) noexcept nogil
# Tell whether the IOMMU has taken away a mapping's translation, with no call logged that ends it.
cdef bint mapping_untranslated(const dv_context* c, uint32_t index) noexcept nogil
# Tell whether another CPU logged, just before the event, that memory of a mapping was freed: then
# nobody knows which was first.
cdef bint mapping_freed_unordered(const dv_context* c, uint32_t index) noexcept nogil
