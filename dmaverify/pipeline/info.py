"""`trace info`: read a trace to its end and say what is in it."""

from collections.abc import Callable

from dmaverify.model.finding import Notice, TraceInfo
from dmaverify.pipeline.sources import Beside, open_run
from dmaverify.pipeline.survey import Survey

Progress = Callable[[int, int | None], None]


def trace_info(
    path: str, progress: Progress | None = None, beside: Beside | None = None
) -> tuple[TraceInfo, tuple[Notice, ...]]:
    """Return what is in a trace, and what its reader has to say.

    Args:
        path: a file, or "-" for standard input.
        progress: is given bytes read and bytes in all (None: unknown).
        beside: other sources of the same run, whose events are counted too.

    Raises:
        TraceError: the trace, or another source, cannot be read.
    """
    reader = open_run(path, Beside() if beside is None else beside).reader
    try:
        survey = Survey(reader)
        for batch in reader.batches():
            survey.add(batch)
            if progress:
                progress(reader.consumed, reader.size)
        return survey.info(), tuple(reader.notices)
    finally:
        reader.close()
