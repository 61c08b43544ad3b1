"""For each public code of bug check 0xE6 that is about DMA: a driver that earns it, and a twin.

The codes are those of the Windows driver documentation, "Bug Check 0xE6:
DRIVER_VERIFIER_DMA_VIOLATION". 0x01 and 0x02 are about clocks; 0x14 is the older form of 0x13;
0x12, 0x17, 0x1A and 0x1C are in no public revision. Those of bug check 0x1DC, which common-buffer
vectors earn, have drivers too; its 0x01 is a wrong IRQL, and no public page says which is right.
"""

from pathlib import Path

import pytest

from dmaverify.pipeline.check import CheckOptions, check_traces
from dmaverify.pipeline.simulate import SimulateOptions, simulate

#: code -> (scenario, its twin without a finding, the platform of both).
CODES = {
    "0x00 (1)": ("windows_channels:flush_past_mapping", "windows_channels:good", "flat"),
    "0x00 (2)": ("windows_registers:cut_into_pieces", "windows_registers:good", "flat"),
    "0x03": ("windows_adapters:common_buffer_freed_twice", "windows_adapters:good", "flat"),
    "0x04": ("windows_channels:channel_freed_twice", "windows_adapters:good", "flat"),
    "0x05": ("windows_channels:registers_freed_twice", "windows_channels:good", "flat"),
    "0x06": ("windows_channels:list_put_twice", "windows_buffers:good", "flat"),
    "0x07": ("windows_adapters:put_with_common_buffer", "windows_adapters:good", "flat"),
    "0x08": ("windows_adapters:put_with_channel", "windows_adapters:good", "flat"),
    "0x09": ("windows_adapters:put_with_registers", "windows_adapters:good", "flat"),
    "0x0A": ("windows_adapters:put_with_list", "windows_adapters:good", "flat"),
    "0x0B": ("windows_channels:second_channel", "windows_channels:good", "flat"),
    "0x0C": ("windows_channels:too_many_registers", "windows_channels:good", "flat"),
    "0x0D": ("windows_channels:not_flushed", "windows_channels:good", "flat"),
    "0x0E": ("windows_buffers:not_locked", "windows_buffers:good", "flat"),
    "0x0F (1)": ("windows_guards:tag_before", "windows_guards:good", "driver-verifier"),
    "0x0F (2)": ("windows_guards:tag_after", "windows_guards:good", "driver-verifier"),
    "0x0F (3)": ("windows_guards:free_register", "windows_guards:good", "driver-verifier"),
    "0x0F (4)": ("windows_guards:padding_before", "windows_guards:good", "driver-verifier"),
    "0x0F (5)": ("windows_guards:padding_after", "windows_guards:good", "driver-verifier"),
    "0x10": ("windows_channels:registers_freed_while_mapped", "windows_channels:good", "flat"),
    "0x11": ("windows_adapters:got_twice_put_once", "windows_adapters:good", "flat"),
    "0x13 (1)": ("windows_irql:too_low", "windows_irql:good", "flat"),
    "0x13 (2)": ("windows_irql:in_interrupt", "windows_channels:good", "flat"),
    "0x14": ("windows_irql:too_low", "windows_irql:good", "flat"),
    "0x15": ("windows_registers:held_for_long", "windows_registers:good", "flat"),
    "0x16": ("windows_channels:flush_twice", "windows_channels:good", "flat"),
    "0x18": ("windows_adapters:used_after_put", "windows_adapters:good", "flat"),
    "0x19": ("windows_adapters:null_adapter", "windows_adapters:good", "flat"),
    "0x1B": ("windows_order:flushed_with_another_mdl", "windows_order:good", "flat"),
    "0x1D": ("windows_buffers:mapped_again", "windows_buffers:good", "flat"),
    "0x1E": ("windows_adapters:obsolete", "windows_adapters:good", "flat"),
    "0x1F (1)": ("windows_buffers:starts_before", "windows_buffers:inside", "flat"),
    "0x1F (2)": ("windows_buffers:starts_after", "windows_buffers:inside", "flat"),
    "0x1F (3)": ("windows_buffers:past_the_pages", "windows_buffers:inside", "flat"),
    "0x1F (4)": ("windows_buffers:misaligned_start", "windows_buffers:aligned", "non-coherent"),
    "0x1F (5)": ("windows_buffers:misaligned_length", "windows_buffers:aligned", "non-coherent"),
    "0x20": ("windows_channels:flush_of_unused_register", "windows_channels:good", "flat"),
    "0x21": ("windows_buffers:nothing_mapped", "windows_buffers:good", "flat"),
    "0x22": ("windows_buffers:shared_without_view", "windows_buffers:shared", "flat"),
    "0x23": ("windows_guards:flush_too_early", "windows_guards:flush_when_cancelled", "flat"),
    "0x24": ("windows_buffers:chain_too_short", "windows_buffers:chain", "flat"),
    "0x25": ("windows_adapters:unknown_version", "windows_adapters:good", "flat"),
    "0x26": ("windows_guards:physical_address", "windows_guards:good", "iommu"),
}

#: The same of "Bug Check 0x1DC: DMA_COMMON_BUFFER_VECTOR_ERROR".
VECTOR_CODES = {
    "0x02": "windows_vectors:not_empty",
    "0x03": "windows_vectors:one_too_many",
    "0x04": "windows_vectors:freed_twice",
    "0x05": "windows_vectors:not_empty",
}
#: Codes that are earned by the same driver, and why.
SHARED = {
    ("0x13 (1)", "0x14"): "0x14 is the older form of 0x13",
}


def test_each_code_has_a_driver_of_its_own() -> None:
    """No two codes share a driver, but where they mean the same."""
    by_driver: dict[tuple[str, str], list[str]] = {}
    for code, (scenario, _, platform) in CODES.items():
        by_driver.setdefault((scenario, platform), []).append(code)

    assert set(SHARED) == {tuple(codes) for codes in by_driver.values() if len(codes) > 1}


def test_each_code_is_in_the_table() -> None:
    """From 0x00 to 0x26 all are there, but those of clocks and those that nobody knows."""
    numbers = {int(code.partition(" ")[0], 16) for code in CODES}

    assert {0x01, 0x02, 0x12, 0x17, 0x1A, 0x1C} == set(range(0x27)) - numbers


@pytest.mark.parametrize("code", VECTOR_CODES)
def test_a_code_of_vectors_has_its_driver(code: str) -> None:
    """A finding lists the code; the twin has none."""
    found = simulate(VECTOR_CODES[code], SimulateOptions()).report.findings
    twin = simulate("windows_vectors:good", SimulateOptions()).report.findings

    assert any(f"0x1DC/{code}" in f.equivalents.get("windows", ()) for f in found)
    assert () == twin


@pytest.mark.parametrize("code", CODES)
def test_a_code_has_its_driver(code: str, tmp_path: Path) -> None:
    """The only finding lists the code, live and in the file."""
    scenario, _, platform = CODES[code]
    path = str(tmp_path / "t.dmat")
    live = simulate(scenario, SimulateOptions(platform=platform, output=path))
    again = check_traces([path], CheckOptions())

    assert live.report.findings == again.findings
    (finding,) = live.report.findings
    assert f"0xE6/{code}" in finding.equivalents["windows"]


@pytest.mark.parametrize("code", CODES)
def test_its_twin_is_healthy(code: str, tmp_path: Path) -> None:
    """The twin does the same without the mistake: nothing is found, live and in the file."""
    _, twin, platform = CODES[code]
    path = str(tmp_path / "t.dmat")
    live = simulate(twin, SimulateOptions(platform=platform, output=path))

    assert () == live.report.findings
    assert () == check_traces([path], CheckOptions()).findings
    assert () == live.outcome.kinds
    assert live.outcome.error is None
