"""What an HCA did in recordings of a real one, beside what it said of it itself."""

import json
from typing import Any

import pytest

from tests.acceptance.runs import FIXTURES, check

MANIFEST: list[dict[str, Any]] = json.loads((FIXTURES / "manifest.json").read_text("utf-8"))
JUDGED = [entry for entry in MANIFEST if entry.get("hca_verdict")]
PREDICTS = "completes with "

#: Key, address and length of the region, and its rights, as each finding must tell them.
TOLD = {
    "rdma/remote_out_of_range": (
        "0x12a0", "0x557ceb2a8000", "8192 bytes", "local write, remote write, remote read",
        "2048 bytes outside",
    ),
    "rdma/remote_after_dereg": (
        "0x18cb", "0x55cbeb6e5000", "4096 bytes", "local write, remote write, remote read",
        "1.44 ms after",
    ),
    "rdma/local_no_permission": (
        "0x21af", "0x55a6e18cb000", "4096 bytes", "local read only", "wants local write",
    ),
}  # fmt: skip


@pytest.mark.parametrize("entry", JUDGED, ids=[e["name"] for e in JUDGED])
def test_the_verdict_is_that_of_the_hca(entry: dict[str, Any]) -> None:
    """Each work request that the HCA refused is a finding whose statuses have the one it gave."""
    checked = check(entry["files"]["tracefs_text"])
    predicted = [
        f["message"].split(PREDICTS)[1] for f in checked.findings if PREDICTS in f["message"]
    ]
    refused = [v for v in entry["hca_verdict"] if v != "completion: success"]

    assert len(refused) == len(predicted)
    for status, set_ in zip(refused, predicted, strict=True):
        assert status.removeprefix("completion: ") in set_.split(" or ")
    assert all(f["class"].startswith("hca-access") for f in checked.findings)


@pytest.mark.parametrize("name", sorted(TOLD))
def test_key_range_and_rights_are_told(name: str) -> None:
    """A finding names the key, what the region is, and what is wrong about the access."""
    (entry,) = (e for e in MANIFEST if e["name"] == name)
    (finding,) = check(entry["files"]["tracefs_text"]).findings

    assert [] == [words for words in TOLD[name] if words not in finding["message"]]
    assert "registered" in [e["role"] for e in finding["evidence"]]
