"""What the tests of the language share."""

from pathlib import Path

from dmaverify.lang.errors import CompileError, Diagnostic, render_all
from dmaverify.lang.front import Compiled, compile_sources
from dmaverify.lang.source import Source
from dmaverify.lang.tests import collect_text

GOLDEN = Path(__file__).parent / "golden"


def compiled(text: str, name: str = "r.dmar") -> Compiled:
    """Return a compiled text."""
    return compile_sources([Source.of(name, text)])


def diagnostics(text: str, name: str = "r.dmar") -> tuple[Diagnostic, ...]:
    """Return all that is said about a text, tests in it included."""
    source = Source.of(name, text)
    try:
        warnings = compile_sources([source]).warnings
        collect_text(source)
    except CompileError as error:
        return error.diagnostics
    return warnings


def report(text: str, name: str = "r.dmar") -> str:
    """Return all that is said about a text, as it is printed."""
    return render_all(diagnostics(text, name)) + "\n"


def rule(body: str, on: str = "dma_unmap as e", head: str = "") -> str:
    """Return a file with one rule that has a message."""
    return f'dmarules 1\n{head}rule r: error {{\n  on {on}\n  {body}\n  message "m"\n}}\n'
