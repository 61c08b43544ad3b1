"""How a run is ended from inside, and where in the driver it was."""

import sys
from pathlib import Path
from types import CodeType, FrameType, TracebackType

_HERE = str(Path(__file__).parent) + "/"
_DRIVERS = _HERE + "scenarios/"
_known: dict[CodeType, bool] = {}
_places: dict[tuple[CodeType, int], str] = {}


class Stopped(BaseException):
    """A run has to end here: it took too long. No driver's `except Exception` stops it."""


def is_driver(code: CodeType) -> bool:
    """Tell whether code belongs to a driver, and not to the simulator or Python."""
    known = _known.get(code)
    if known is None:
        path = code.co_filename
        inside = path.startswith(_HERE) and not path.startswith(_DRIVERS)
        known = _known[code] = not inside and not path.startswith("<")
    return known


def driver_place(depth: int = 2) -> str:
    """Return "file:line in function" of the driver's frame that is nearest, or "".

    Args:
        depth: frames to leave out, this function's own among them.
    """
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None:
        if is_driver(frame.f_code):
            return _place(frame.f_code, frame.f_lineno)
        frame = frame.f_back
    return ""


def _place(code: CodeType, line: int) -> str:
    place = _places.get((code, line))
    if place is None:
        place = f"{Path(code.co_filename).name}:{line} in {code.co_name}"
        if len(_places) < 65536:
            _places[code, line] = place
    return place


def raised_at(trace: TracebackType | None, path: str) -> str:
    """Return "file:line" of the last line of a file that an exception came through, or "".

    Args:
        trace: the exception's traceback.
        path: the file.
    """
    found = ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            found = f"{path}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found
