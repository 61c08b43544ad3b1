# cython: language_level=3
# Groups and incidents, copied into Python's objects once a run is over.

from libc.stdint cimport uint32_t

from dmaverify.core.groups cimport dv_group
from dmaverify.core.incidents cimport dv_incident

# A group of hits as a Hit; `unmet` is the need of its rule that the recording does not meet.
cdef object group_to_python(const dv_group* g, unmet)
# An incident as an Incident, with an outcome for each platform.
cdef object incident_to_python(const dv_incident* n, uint32_t platforms)
