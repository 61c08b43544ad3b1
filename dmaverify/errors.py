"""The errors that dmaverify raises on purpose, each with the exit code it leads to.

They stand in a room of their own, below everything else, so that any room can
raise one without importing another room.
"""


class DmaVerifyError(Exception):
    """Anything that went wrong and that a person can act on."""

    exit_code = 4


class UsageError(DmaVerifyError):
    """The command line or the configuration asks for something impossible."""

    exit_code = 2


class RuleError(DmaVerifyError):
    """One or more rule files do not compile; `str()` is the whole report."""

    exit_code = 2


class TraceError(DmaVerifyError):
    """A trace cannot be read.

    Args:
        path: the file as the user named it ("-" for standard input).
        offset: byte offset in the file, or None where there is no place to name.
        text: what is wrong and what to do about it.
    """

    exit_code = 3

    def __init__(self, path: str, offset: int | None, text: str) -> None:
        place = path if offset is None else f"{path}: byte {offset}"
        super().__init__(f"{place}: {text}")
        self.path = path
        self.offset = offset
        self.text = text


class InternalError(DmaVerifyError):
    """A promise that dmaverify makes to itself was broken."""

    exit_code = 4


class SimError(DmaVerifyError):
    """A simulated driver can not be run, or could not be run to its end.

    Args:
        text: what is wrong and what to do about it.
        place: "file:line" of the driver's own line, "" where there is none.
    """

    exit_code = 2

    def __init__(self, text: str, place: str = "") -> None:
        super().__init__(f"{place}: {text}" if place else text)
        self.text = text
        self.place = place
