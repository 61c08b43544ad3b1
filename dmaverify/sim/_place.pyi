"""Types of the compiled module; its docstrings are in _place.pyx."""

from collections.abc import Callable
from types import CodeType, FrameType

class Places:
    def __init__(
        self, is_driver: Callable[[CodeType], bool], name: Callable[[FrameType], str]
    ) -> None: ...
    def nearest(self) -> str: ...
