"""`trace info`: read a trace to its end and say what is in it."""

from collections.abc import Callable

from dmaverify.model.finding import Notice, TraceInfo
from dmaverify.pipeline.survey import Survey
from dmaverify.trace import open_trace

Progress = Callable[[int, int | None], None]


def trace_info(path: str, progress: Progress | None = None) -> tuple[TraceInfo, tuple[Notice, ...]]:
    """Return what is in a trace, and what its reader has to say.

    Args:
        path: a file, or "-" for standard input.
        progress: is given bytes read and bytes in all (None: unknown).

    Raises:
        TraceError: the trace cannot be read.
    """
    reader = open_trace(path)
    try:
        survey = Survey(reader)
        for batch in reader.batches():
            survey.add(batch)
            if progress:
                progress(reader.consumed, reader.size)
        return survey.info(), tuple(reader.notices)
    finally:
        reader.close()
