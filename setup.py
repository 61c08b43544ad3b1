"""Compiled modules and their directives; everything declarative is in pyproject.toml."""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
DEBUG = os.environ.get("DMAVERIFY_DEBUG") == "1"
DIRECTIVES = {"language_level": 3, "boundscheck": DEBUG, "wraparound": False, "cdivision": not DEBUG}
FLAGS = ["-O1", "-g", "-fsanitize=undefined"] if DEBUG else ["-O3", "-fno-plt"]


class BuildWithRules(build_py):
    """Compile the built-in rules into a program that ships beside them."""

    def run(self) -> None:
        super().run()
        if self.editable_mode or not (ROOT / "dmaverify/lang/builtin.py").exists():
            return  # an editable install compiles at run time, and caches
        sys.path.insert(0, str(ROOT))
        from dmaverify.lang.builtin import write_program

        write_program(ROOT / "rules", Path(self.build_lib) / "dmaverify/rules")


def extensions() -> list[Extension]:
    """Return one extension for each .pyx file of the package."""
    found = sorted(p for p in (ROOT / "dmaverify").rglob("*.pyx"))
    return [
        Extension(
            ".".join(p.relative_to(ROOT).with_suffix("").parts),
            [str(p.relative_to(ROOT))],
            extra_compile_args=FLAGS,
            extra_link_args=["-fsanitize=undefined"] if DEBUG else [],
        )
        for p in found
    ]


setup(
    ext_modules=cythonize(
        extensions(),
        compiler_directives=DIRECTIVES,
        build_dir="build/cython-debug" if DEBUG else "build/cython",
    ),
    cmdclass={"build_py": BuildWithRules},
)
