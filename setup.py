"""Compiled modules and their directives; everything declarative is in pyproject.toml."""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
DEBUG = os.environ.get("DMAVERIFY_DEBUG") == "1"
WORKERS = os.cpu_count() or 1
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "cdivision": not DEBUG,
}
# A debug build stops at the first thing that C leaves undefined.
SANITIZE = ["-fsanitize=undefined", "-fno-sanitize-recover=undefined"] if DEBUG else []
FLAGS = ["-O1", "-g", *SANITIZE] if DEBUG else ["-O3", "-g0", "-fno-plt"]


class BuildWithRules(build_py):
    """Compile the built-in rules into a program that ships beside them."""

    def run(self) -> None:
        """Copy the modules, then add the program."""
        super().run()
        if self.editable_mode:
            return  # the rules of a source tree change: compiled when used, and cached
        sys.path.insert(0, str(ROOT))
        from dmaverify.lang.builtin import write_program

        write_program(ROOT / "rules", Path(self.build_lib) / "dmaverify/rules")


def packages() -> list[str]:
    """Return the packages, the rules among them, which lie beside the others."""
    return [*find_packages(str(ROOT), include=["dmaverify", "dmaverify.*"]), "dmaverify.rules"]


def extensions() -> list[Extension]:
    """Return one extension for each .pyx file of the package."""
    found = sorted((ROOT / "dmaverify").rglob("*.pyx"))
    return [
        Extension(
            ".".join(p.relative_to(ROOT).with_suffix("").parts),
            [str(p.relative_to(ROOT))],
            extra_compile_args=FLAGS,
            extra_link_args=SANITIZE,
        )
        for p in found
    ]


setup(
    packages=packages(),
    ext_modules=cythonize(
        extensions(),
        compiler_directives=DIRECTIVES,
        # Changed directives are no reason for Cython to compile again: a folder for each set.
        build_dir="build/cython-debug" if DEBUG else "build/cython",
    ),
    cmdclass={"build_py": BuildWithRules},
    options={"build_ext": {"parallel": WORKERS}},
)
