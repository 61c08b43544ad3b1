"""How a run is ended from inside, and where in the driver it was."""

import os
from pathlib import Path
from types import CodeType, FrameType, TracebackType

from dmaverify.sim._place import Places

_PACKAGE = str(Path(__file__).parents[1]) + "/"
_DRIVERS = _PACKAGE + "sim/scenarios/"
_PYTHON = str(Path(os.__file__).parent) + "/"  # Python's own modules, and in some places packages
# By the identity of code, which is kept alive: hashing code is slow.
_known: dict[int, bool] = {}
_alive: list[CodeType] = []


class Stopped(BaseException):
    """A run has to end here: it took too long. No driver's `except Exception` stops it."""


def is_driver(code: CodeType) -> bool:
    """Tell whether code belongs to a driver, and not to the simulator or Python."""
    known = _known.get(id(code))
    if known is None:
        path = code.co_filename
        inside = path.startswith(_PACKAGE) and not path.startswith(_DRIVERS)
        inside = inside or (path.startswith(_PYTHON) and "-packages/" not in path)
        known = _known[id(code)] = not inside and not path.startswith("<")
        _alive.append(code)
    return known


def _name(frame: FrameType) -> str:
    code = frame.f_code
    return f"{Path(code.co_filename).name}:{frame.f_lineno} in {code.co_name}"


#: Return "file:line in function" of the driver's frame that is nearest, or "".
driver_place = Places(is_driver, _name).nearest


def raised_at(trace: TracebackType | None, path: str) -> tuple[str, str]:
    """Return where in a driver an exception came through.

    Args:
        trace: the exception's traceback.
        path: the driver's file.

    Returns:
        ("file:line" of the last line of the driver, "" for none; the simulator's function that
        this line called and that raised, "" where the driver itself did).
    """
    place = call = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename == path:
            place, call = f"{path}:{trace.tb_lineno}", ""
        elif place and not call and code.co_filename.startswith(_PACKAGE):
            call = code.co_name
        trace = trace.tb_next
    return place, call
