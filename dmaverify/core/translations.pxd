# cython: language_level=3
# What the IOMMU holds, page by page, and what it has lost without a call logged for it yet.

from libc.stdint cimport int32_t, uint64_t

from dmaverify.core.world cimport dv_world

cdef bint iommu_is_live(const dv_world* w, uint64_t bus_addr) noexcept nogil
cdef int iommu_map(dv_world* w, uint64_t iova) noexcept nogil
cdef int iommu_unmap(dv_world* w, uint64_t iova, uint64_t length) noexcept nogil
# Balance a page: the driver's call that ends a mapping has been logged.
cdef int iommu_ended(dv_world* w, uint64_t bus_addr) noexcept nogil
# Return how often the page was taken from the IOMMU without a call logged for it yet.
cdef int32_t iommu_removed(const dv_world* w, uint64_t bus_addr) noexcept nogil
