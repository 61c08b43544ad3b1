# cython: language_level=3
"""Where in a driver the simulator was called from: asked for at every event (see stop.py)."""

from cpython.ref cimport PyObject

cdef extern from "Python.h":
    PyObject* PyEval_GetFrame()

cdef enum:
    MOST = 65536  # places that are remembered


cdef class Places:
    """Remembers which code is a driver's, and the names of its lines.

    Args:
        is_driver: tells whether a code object is a driver's; one that was asked about stays alive.
        name: gives the name of a frame's place.
    """

    cdef dict known, names
    cdef object is_driver, name

    def __init__(self, is_driver, name):
        self.known = {}  # by the identity of code: hashing code is slow
        self.names = {}
        self.is_driver = is_driver
        self.name = name

    def nearest(self):
        """Return "file:line in function" of the driver's frame that is nearest, or ""."""
        cdef PyObject* top = PyEval_GetFrame()
        if top == NULL:
            return ""
        frame = <object>top
        while frame is not None:
            code = frame.f_code
            key = <size_t><void*>code
            known = self.known.get(key)
            if known is None:
                known = self.known[key] = self.is_driver(code)
            if known:
                at = (key, frame.f_lasti)
                found = self.names.get(at)
                if found is None:
                    found = self.name(frame)
                    if len(self.names) < MOST:
                        self.names[at] = found
                return found
            frame = frame.f_back
        return ""
