"""How a run is ended from inside, and where in the driver it was."""

import sys
from pathlib import Path
from types import CodeType, FrameType, TracebackType

_PACKAGE = str(Path(__file__).parents[1]) + "/"
_DRIVERS = _PACKAGE + "sim/scenarios/"
# By the identity of code, which is kept alive: hashing code is slow.
_known: dict[int, bool] = {}
_places: dict[tuple[int, int], str] = {}
_alive: list[CodeType] = []


class Stopped(BaseException):
    """A run has to end here: it took too long. No driver's `except Exception` stops it."""


def is_driver(code: CodeType) -> bool:
    """Tell whether code belongs to a driver, and not to the simulator or Python."""
    known = _known.get(id(code))
    if known is None:
        path = code.co_filename
        inside = path.startswith(_PACKAGE) and not path.startswith(_DRIVERS)
        known = _known[id(code)] = not inside and not path.startswith("<")
        _alive.append(code)
    return known


def driver_place(depth: int = 2) -> str:
    """Return "file:line in function" of the driver's frame that is nearest, or "".

    Args:
        depth: frames to leave out, this function's own among them.
    """
    frame: FrameType | None = sys._getframe(depth)
    known = _known  # this runs at every event
    while frame is not None:
        code = frame.f_code
        key = id(code)
        if known[key] if key in known else is_driver(code):
            found = _places.get((key, frame.f_lasti))
            return _new_place(frame) if found is None else found
        frame = frame.f_back
    return ""


def _new_place(frame: FrameType) -> str:
    code = frame.f_code
    place = f"{Path(code.co_filename).name}:{frame.f_lineno} in {code.co_name}"
    if len(_places) < 65536:
        _places[id(code), frame.f_lasti] = place
    return place


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
