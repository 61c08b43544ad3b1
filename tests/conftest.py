"""Which package is tested: an installed one, else the one in the source tree."""

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# Behind everything else: `tests.writers` and the like are found there, and the package only
# where none is installed. (`python -m pytest` puts the current folder in front.)
sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != ROOT]
sys.path.append(str(ROOT))

_spec = find_spec("dmaverify")
PACKAGE = Path(_spec.origin).parent if _spec and _spec.origin else ROOT / "dmaverify"

# The same for the processes that tests start, wherever they start them.
os.environ["PYTHONSAFEPATH"] = "1"
os.environ["PYTHONPATH"] = str(PACKAGE.parent)


# The same cases in every run: what a random one would find is for `make check-deep`.
settings.register_profile("same", derandomize=True, deadline=None, database=None)
settings.register_profile("deep", deadline=None)
settings.load_profile("deep" if os.environ.get("DMAVERIFY_DEEP") else "same")


def pytest_report_header() -> str:
    """Say which package is tested."""
    return f"dmaverify: {PACKAGE}"


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep compiled rules out of the home folder of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
