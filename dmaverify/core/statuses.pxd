# cython: language_level=3
# The statuses with which HCAs complete what they refuse: sets, one bit a WcStatus, since HCAs of
# different families say the same mistake in different words. Where the family of the device is
# not known the set is that of all families together.

from libc.stdint cimport uint64_t

from dmaverify.core.context cimport dv_context

cdef enum:                   # model/kinds.py: WcStatus
    LOC_LEN_ERR = 1
    LOC_QP_OP_ERR = 2
    LOC_PROT_ERR = 4
    WR_FLUSH_ERR = 5
    MW_BIND_ERR = 6
    REM_INV_REQ_ERR = 9
    REM_ACCESS_ERR = 10
    STATUS_MOST = 32

# Return the family of the event's device; 0 = not known.
cdef int family_of(const dv_context* c) noexcept nogil
# Return how a work request ends one of whose buffers its key does not allow.
cdef uint64_t statuses_local(int family, int opcode) noexcept nogil
# Return how an access ends that stands in the context, where it is refused.
cdef uint64_t statuses_access(const dv_context* c, int opcode) noexcept nogil
# Find what a completion says beside what we find: the work request stands already.
cdef void statuses_completed(dv_context* c) noexcept nogil
