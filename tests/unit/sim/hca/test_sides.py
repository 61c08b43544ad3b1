"""The HCA's modules know nothing of the driver's."""

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[4] / "dmaverify/sim/hca"
HCA_SIDE = {
    "hca", "requester", "responder", "control", "completions", "keys", "wqe", "state", "wire",
}  # fmt: skip
BOTH = {"layout", "family", "registers"}


@pytest.mark.parametrize("module", sorted(HCA_SIDE | BOTH))
def test_the_hca_imports_nothing_of_the_driver(module: str) -> None:
    """What an HCA's module imports of its folder is of the HCA, or is what both have."""
    tree = ast.parse((FOLDER / f"{module}.py").read_text("utf-8"))
    found = {
        node.module.rpartition(".")[2]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dmaverify.sim.hca.")
    }

    assert found <= HCA_SIDE | BOTH
