"""The kernel log: its checker's words, and the faults of every IOMMU, behind any prefix."""

import gzip
from pathlib import Path

import pytest

from dmaverify.errors import TraceError
from dmaverify.trace.faults import Fault
from dmaverify.trace.klog import CLASSES, KEPT, KernelLog, read_kernel_log

FIXTURES = Path(__file__).parents[3] / "fixtures"
INTEL = (
    "DMAR: [DMA Write NO_PASID] Request device [00:04.0] fault addr 0xfffff000 "
    "[fault reason 0x05] PTE Write access is not set"
)


def _log(tmp_path: Path, *lines: str) -> KernelLog:
    path = tmp_path / "dmesg.txt"
    path.write_bytes("\n".join(lines).encode() + b"\n")
    return read_kernel_log(str(path))


def _told(fault: Fault) -> tuple[str, int, bool | None, bool]:
    return fault.device, fault.bus_addr, fault.write, fault.page_only


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([INTEL], ("0000:00:04.0", 0xFFFFF000, True, True)),
        (
            ["DMAR: [DMA Read PASID 0x1] Request device [81:1f.7] fault addr 0x9c000000 "
             "[fault reason 0x06] PTE Read access is not set"],
            ("0000:81:1f.7", 0x9C000000, False, True),
        ),
        (
            ["DMAR: [DMA Write] Request device [00:02.0] PASID ffffffff fault addr 9c000000 "
             "[fault reason 05] PTE Write access is not set"],
            ("0000:00:02.0", 0x9C000000, True, True),
        ),
        (
            ["DMAR:[DMA Write] Request device [04:00.0] fault addr 201a556000 ",
             "DMAR:[fault reason 05] PTE Write access is not set"],
            ("0000:04:00.0", 0x201A556000, True, True),
        ),
        (
            ["DMAR: [DMA Read] Request device [0x00:0x02.0] fault addr 1000 [fault reason 6] x"],
            ("0000:00:02.0", 0x1000, False, True),
        ),
        (
            ["nvme 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000e "
             "address=0xfdf8000010 flags=0x0020]"],
            ("0000:01:00.0", 0xFDF8000010, True, False),
        ),
        (
            ["AMD-Vi: Event logged [IO_PAGE_FAULT device=0001:02:00.0 domain=0x0011 "
             "address=0x1000 flags=0x0050]"],
            ("0001:02:00.0", 0x1000, False, True),
        ),
        (
            ["AMD-Vi: Event logged [IO_PAGE_FAULT device=02:00.0 domain=0x0011 address=0x1008 "
             "flags=0x0050]"],
            ("0000:02:00.0", 0x1008, False, False),
        ),
        (
            ["arm-smmu 5000000.iommu: Unhandled context fault: fsr=0x402, iova=0x0000dead, "
             "fsynr=0x10, cbfrsynra=0x804, cb=3"],
            ("SID 0x804", 0xDEAD, True, False),
        ),
        (
            ["arm-smmu 5000000.iommu: Unhandled context fault: fsr=0x402, iova=0x0000dead, "
             "fsynr=0x1, cb=3",
             "arm-smmu 5000000.iommu: FSR    = 00000402 [Format=2 TF], SID=0x12"],
            ("SID 0x12", 0xDEAD, False, False),
        ),
        (
            ["arm-smmu-v3 smmu.0: event 0x10 received:",
             "arm-smmu-v3 smmu.0: \t0x0000010000000010", "something else",
             "arm-smmu-v3 smmu.0: \t0x0000020800000000",
             "arm-smmu-v3 smmu.0: \t0x00000000ffffe008",
             "arm-smmu-v3 smmu.0: \t0x0000000000000000"],
            ("SID 0x100", 0xFFFFE008, False, False),
        ),
        (
            ["arm-smmu-v3 smmu.0: event: F_PERMISSION client: 0000:01:00.0 sid: 0x100 ssid: 0x0 "
             "iova: 0xffffe000 ipa: 0x0",
             'arm-smmu-v3 smmu.0: unpriv data write s1 "Input address caused fault" stag: 0x0'],
            ("0000:01:00.0", 0xFFFFE000, True, False),
        ),
        (
            ["virtio_iommu virtio0: page fault from EP 8 at 0xabc000 [R-]"],
            ("0000:00:01.0", 0xABC000, False, False),
        ),
    ],
)  # fmt: skip
def test_every_form_of_a_fault_is_read(
    tmp_path: Path, lines: list[str], told: tuple[str, int, bool | None, bool]
) -> None:
    """Device, address and direction come out of each IOMMU's form, old and new."""
    stamped = [f"[   12.345678] {line}" for line in lines]
    assert [told] == [_told(f) for f in _log(tmp_path, *stamped).faults]


@pytest.mark.parametrize(
    "line",
    [
        "DMAR: [INTR-REMAP] Request device [00:02.0] fault index 0x10 [fault reason 0x22] x",
        "AMD-Vi: Event logged [IO_PAGE_FAULT device=02:00.0 domain=0x1 address=0x1 flags=0x0008]",
        "arm-smmu-v3 smmu.0: event 0x02 received:",
        "DMAR: DRHD: handling fault status reg 2",
    ],
)
def test_what_is_no_fault_of_memory_is_passed_over(tmp_path: Path, line: str) -> None:
    """Interrupt faults and other events of an IOMMU are not taken for accesses."""
    assert [] == _log(tmp_path, line).faults


@pytest.mark.parametrize(
    ("prefix", "time"),
    [
        ("", None),
        ("[   62.101000] ", 62.101),
        ("<4>[   62.101000] ", 62.101),
        ("<4>", None),
        ("kernel: ", None),
        ("Jan  2 03:04:05 host kernel: ", None),
        ("Jan  2 03:04:05 host kernel: [   62.101000] ", 62.101),
        ("[   62.101000] [ T1234] ", 62.101),
        ("2024-01-02T03:04:05+00:00 host kernel: ", 1704164645.0),
        ("2024-01-02T03:04:05.500000+0000 host kernel: ", 1704164645.5),
    ],
)
def test_every_prefix_is_read(tmp_path: Path, prefix: str, time: float | None) -> None:
    """Level, logger, host and time stamp may stand before a message, or not."""
    (fault,) = _log(tmp_path, prefix + INTEL).faults
    assert ("0000:00:04.0", time) == (fault.device, fault.time_s)


@pytest.mark.parametrize(("part", "cls"), CLASSES)
def test_both_orders_of_the_checkers_lines_are_read(tmp_path: Path, part: str, cls: str) -> None:
    """Kernels before 5.0 name the device before `DMA-API:`, later ones behind it."""
    log = _log(
        tmp_path,
        f"[    1.0] DMA-API: e1000e 0000:00:06.0: device driver {part} [size=46 bytes]",
        f"[    1.0] e1000e 0000:00:06.0: DMA-API: device driver {part} [size=46 bytes]",
    )
    assert [(cls, "0000:00:06.0")] * 2 == [(v.cls, v.device) for v in log.verdicts]


def test_a_message_without_its_line_end_is_read(tmp_path: Path) -> None:
    """Two messages of the checker lack a line end; what follows them is another message."""
    log = _log(
        tmp_path,
        "[    9.000000] DMA-API: edu_bug 0000:00:04.0: device driver failed to check map "
        f"error[device address=0x1] [mapped as single][    9.000100] {INTEL}",
    )
    assert ["mapping-error-not-checked"] == [v.cls for v in log.verdicts]
    assert [9.0001] == [f.time_s for f in log.faults]


@pytest.mark.parametrize(
    ("lines", "enabled"),
    [
        (["DMA-API: debugging enabled by kernel config"], True),
        ([], False),
        (["DMA-API: debugging enabled by kernel config",
          "DMA-API: debugging disabled on kernel command line"], False),
        (["DMA-API: debugging enabled by kernel config",
          "DMA-API: debugging out of memory - disabling"], False),
        (["DMA-API: debugging enabled by kernel config",
          "DMA-API: cacheline tracking ENOMEM, dma-debug disabled"], False),
    ],
)  # fmt: skip
def test_the_checker_was_on_to_the_end_or_not(
    tmp_path: Path, lines: list[str], enabled: bool
) -> None:
    """Only a checker that neither the command line nor a lack of memory stopped proves a lack."""
    assert enabled is _log(tmp_path, "x", *lines).debugging_enabled


@pytest.mark.parametrize("policy", ["lazy", "strict"])
def test_the_policy_of_invalidation_is_read(tmp_path: Path, policy: str) -> None:
    """The log says whether an access after the unmap can still pass."""
    line = f"[    0.3] iommu: DMA domain TLB invalidation policy: {policy} mode"
    assert policy == _log(tmp_path, line).iommu


def test_lost_lines_are_told(tmp_path: Path) -> None:
    """Suppressed and lost lines are facts: what the log lacks proves nothing then."""
    lost = [
        "dmar_fault: 12 callbacks suppressed",
        "arm-smmu-v3 x: EVTQ overflow detected -- events lost",
    ]
    assert lost == _log(tmp_path, *lost, "all is well").lost


@pytest.mark.parametrize("mode", ["strict", "lazy"])
def test_a_recorded_log_is_read(mode: str) -> None:
    """A real log gives its policy, its checker's state and its one fault."""
    log = read_kernel_log(str(FIXTURES / f"recordings/edu/{mode}/use_after_unmap.dmesg.txt.gz"))
    assert (mode, True, []) == (log.iommu, log.debugging_enabled, log.verdicts)
    assert [("0000:00:04.0", True)] == [(f.device, f.write) for f in log.faults]


def test_hostile_text_is_bounded(tmp_path: Path) -> None:
    """Binary bytes, endless lines and floods of faults cost no memory and raise nothing."""
    path = tmp_path / "flood.gz"
    with gzip.open(path, "wb", 1) as out:
        out.write(bytes(range(256)) * 64 + b"\n" + b"[" * 200_000 + b"\n")
        out.write((INTEL + "\n").encode() * (KEPT + 10))
        out.write(b"arm-smmu-v3 smmu.0: event 0x10 received:\n" * 3)
    log = read_kernel_log(str(path))
    assert (KEPT, 10) == (len(log.faults), log.left_out)


def test_cut_compression_is_said(tmp_path: Path) -> None:
    """What came before a cut counts, and the cut is told."""
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress((INTEL + "\n").encode() * 1000)[:-20])
    assert read_kernel_log(str(path)).cut_short


def test_a_missing_log_is_an_error(tmp_path: Path) -> None:
    """A log that is not there is told with its path."""
    with pytest.raises(TraceError, match="does not exist"):
        read_kernel_log(str(tmp_path / "none"))
