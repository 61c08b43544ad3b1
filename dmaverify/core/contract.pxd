# cython: language_level=3
# Whether a call keeps the contract of the DMA API, as the world knows it at that moment. The
# effects of platforms ask it where no byte is lost: a broken contract that comes to nothing
# works by luck. Rules do not use it, and it uses no rule.

from dmaverify.core.context cimport dv_context

# Return the mistake (incidents.pxd) that a call makes, 0 = none, or not known to be one.
cdef int call_mistake(dv_context* c) noexcept nogil
