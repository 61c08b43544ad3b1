"""What QEMU logs of a device's side: which access each line tells, and how exactly."""

from pathlib import Path

import pytest

from dmaverify.errors import TraceError
from dmaverify.model.kinds import EventKind
from dmaverify.trace.devlog import EDU_DELAY_US, DeviceLog, read_device_log

FIXTURES = Path(__file__).parents[3] / "fixtures"
K = EventKind


def _log(tmp_path: Path, *lines: str) -> DeviceLog:
    """Read lines; those without a clock get one, a microsecond apart."""
    path = tmp_path / "device.log"
    stamped = [s if s[0] in "#!" else f"7@100.{i:06}:{s}" for i, s in enumerate(lines)]
    path.write_text("\n".join(stamped) + "\n", "utf-8")
    return read_device_log(str(path))


def _told(log: DeviceLog) -> list[tuple[EventKind, str, int, int | None, bool | None]]:
    return [(a.kind, a.device, a.bus_addr, a.length, a.write) for a in log.accesses]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("vtd_dmar_translate dev 00:1f.02 iova 0xfffff000 -> gpa 0x2e27000 mask 0xfff",
         (K.DEV_ACCESS, "0000:00:1f.2", 0xFFFFF000, None, None)),
        ("vtd_dmar_fault sid 0x31 fault 5 addr 0xfffff004 write 1",
         (K.DEV_FAULT, "0000:00:06.1", 0xFFFFF004, None, True)),
        ("vtd_dmar_fault sid 0x8120 fault 6 addr 0xfffff004 write 0",
         (K.DEV_FAULT, "0000:81:04.0", 0xFFFFF004, None, False)),
        ("e1000e_rx_desc_buff_write buffer #0, addr: 0xffff5040, offset: 16, from: 0x7f, "
         "length: 1042",
         (K.DEV_WRITE, "", 0xFFFF5050, 1042, True)),
        ("e1000e_tx_descr 0xffef3dc2 : ab10003f 200", (K.DEV_READ, "", 0xFFEF3DC2, 0x3F, False)),
        ("e1000e_tx_descr 0xfff0b802 : 8b00005a 0", (K.DEV_READ, "", 0xFFF0B802, 0x5A, False)),
        ("rdma_pci_dma_map 0xff145000 -> 0x7fef01b75000 (len=4096)",
         (K.DEV_ACCESS, "", 0xFF145000, 4096, None)),
        ("pci_nvme_map_addr addr 0x3efdd000 len 4096", (K.DEV_ACCESS, "", 0x3EFDD000, 4096, None)),
    ],
)  # fmt: skip
def test_each_line_tells_its_access(tmp_path: Path, line: str, told: tuple[object, ...]) -> None:
    """A line gives device, range and direction as far as it names them, and no more."""
    assert [told] == _told(_log(tmp_path, line))


@pytest.mark.parametrize(
    "line",
    [
        "e1000e_tx_descr 0xffef3dc2 : ab00003f 200",  # a context descriptor
        "e1000e_tx_descr 0xffef3dc2 : 8b000000 0",
        "vtd_dmar_translate dev 00:06.00 iova 0xfee00000 -> gpa 0xfee00000 mask 0xfff",
        "vtd_dmar_translate dev 00:06.00 iova 0xzz -> gpa 0x0",
        "vtd_iotlb_page_update IOTLB page update sid 0x20 iova 0xfffff000 slpte 0x1 domain 0x3",
        "rdma_pci_dma_map 0xff145000 -> 0x7f (len=0)",
    ],
)
def test_what_is_no_access_is_passed_over(tmp_path: Path, line: str) -> None:
    """Descriptors without data, interrupts and garbage give nothing."""
    assert [] == _told(_log(tmp_path, line))


def test_a_command_gives_its_mappings_their_direction(tmp_path: Path) -> None:
    """A read of the medium writes memory, for as many bytes as it has; then nothing is known."""
    log = _log(
        tmp_path,
        "pci_nvme_io_cmd cid 1 nsid 0x1 sqid 1 opc 0x2 opname 'NVME_NVM_CMD_READ'",
        "pci_nvme_read cid 1 nsid 1 nlb 9 count 4608 lba 0x0",
        "pci_nvme_map_addr addr 0x1000 len 4096",
        "pci_nvme_map_addr addr 0x3000 len 512",
        "pci_nvme_map_addr addr 0x9000 len 4096",
        "pci_nvme_write cid 2 opname 'NVME_NVM_CMD_WRITE' nsid 1 nlb 1 count 512 lba 0x0",
        "pci_nvme_map_addr addr 0x5000 len 512",
    )
    assert [True, True, None, False] == [a.write for a in log.accesses]


def _registers(command: int, base: int = 0xFE900000) -> list[str]:
    values = {0x80: 0x1000, 0x88: 0x40000, 0x90: 0x800, 0x98: command}
    if command & 2:
        values.update({0x80: 0x40000, 0x88: 0x1000})
    return [
        f"memory_region_ops_write cpu 0 mr 0x5 addr {base + r:#x} value {v:#x} size 8 "
        "name 'edu-mmio'"
        for r, v in values.items()
    ]


@pytest.mark.parametrize(("command", "told"), [(1, [False]), (3, [True]), (2, []), (0, [])])
def test_a_command_register_starts_a_transfer(
    tmp_path: Path, command: int, told: list[bool]
) -> None:
    """Source, target and count are taken when the command says start; bit 1 tells the way."""
    log = _log(tmp_path, *_registers(command))
    assert told == [a.write for a in log.accesses]
    for access in log.accesses:
        assert ("edu@fe900000", 0x1000, 0x800) == (access.family, access.bus_addr, access.length)
        assert EDU_DELAY_US == access.time_us - access.told_us


def test_moments_and_left_out_lines_are_read(tmp_path: Path) -> None:
    """A write to register 4 marks a moment; a comment says how many lines are missing."""
    sync = (
        "memory_region_ops_write cpu 0 mr 0x5 addr 0xfea00004 value 0xc10c0001 size 4 "
        "name 'edu-mmio'"
    )
    log = _log(tmp_path, sync, "# 508 further vtd_dmar_fault lines of the same transfer left out")
    assert {0xC10C0001: (100_000_000, 0xFEA00000)} == log.syncs
    assert 508 == log.further


def test_lines_about_one_page_tell_the_device(tmp_path: Path) -> None:
    """A translation of the same page, soon before or after, says whose nameless lines are."""
    log = _log(
        tmp_path,
        "e1000e_rx_desc_buff_write buffer #0, addr: 0x5040, offset: 0, from: 0x7f, length: 64",
        "vtd_dmar_translate dev 00:06.00 iova 0x5000 -> gpa 0x2e6e000 mask 0xfff",
        "vtd_dmar_translate dev 00:07.00 iova 0x9000 -> gpa 0x2e6e000 mask 0xfff",
    )
    assert {"0000:00:06.0": 1} == log.votes["e1000e"]


def test_another_text_is_refused(tmp_path: Path) -> None:
    """A file without one line of QEMU's is an error that says how to record."""
    path = tmp_path / "other.txt"
    path.write_bytes(b"hello\n" + bytes(range(256)) * 100)
    with pytest.raises(TraceError, match="msg timestamp=on"):
        read_device_log(str(path))


def test_a_recorded_log_is_read() -> None:
    """A real log gives every packet that the device wrote, all with known length and way."""
    log = read_device_log(str(FIXTURES / "recordings/mutated/e1000e_b.strict.device.log.xz"))
    packets = [a for a in log.accesses if a.family == "e1000e" and a.write]
    assert (259, 4, 8, 375) == (
        len(packets), sum(a.kind == K.DEV_FAULT for a in log.accesses), len(log.syncs), log.further
    )  # fmt: skip
