"""Faults of an IOMMU as the kernel prints them, one or several lines each.

Forms are those of drivers/iommu of the Linux sources: intel/dmar.c, amd/iommu.c,
arm/arm-smmu/arm-smmu.c, arm/arm-smmu-v3/arm-smmu-v3.c, virtio-iommu.c.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

PAGE = 4096
_WAIT = 8  # lines that the rest of a fault may come after its first


@dataclass(frozen=True, slots=True)
class Fault:
    """One access that an IOMMU refused.

    Args:
        device: name of the device; what the IOMMU calls it ("SID 0x4") where it has no name.
        bus_addr: address, bytes; of its page only where `page_only`.
        write: True where the device wrote, None where the line does not tell.
        page_only: True where the low bits of the address are not told.
        text: the line or lines.
        line: 1-based line of the log.
        time_s: time stamp in seconds, or None.
    """

    device: str
    bus_addr: int
    write: bool | None
    page_only: bool
    text: str
    line: int
    time_s: float | None


_BDF = (
    r"(?:(?P<segment>[0-9a-f]{4}):)?(?:0x)?(?P<bus>[0-9a-f]{1,2}):(?:0x)?(?P<slot>[0-9a-f]{1,2})"
    r"\.(?P<function>[0-7])"
)
# intel/dmar.c, dmar_fault_do_one(), with and without PASID. Old kernels print the reason in
# a line of its own, which adds nothing here.
_INTEL = re.compile(
    r"DMAR:\s?\[DMA (?P<way>Read|Write)(?: (?:NO_PASID|PASID 0x[0-9a-f]+))?\] "
    rf"Request device \[{_BDF}\] (?:PASID [0-9a-f]+ )?"
    r"fault addr (?:0x)?(?P<addr>[0-9a-f]{1,16})",
    re.I,
)
# amd/iommu.c, amd_iommu_report_page_fault(): flag 0x20 is a write.
_AMD = re.compile(
    rf"(?:(?P<driver>\S{{1,64}}) (?P<name>\S{{1,64}}): )?AMD-Vi: Event logged \[IO_PAGE_FAULT"
    rf"(?: device={_BDF})? domain=0x[0-9a-f]+ address=0x(?P<addr>[0-9a-f]{{1,16}})"
    r" flags=0x(?P<flags>[0-9a-f]{1,8})",
    re.I,
)
# arm-smmu.c, arm_smmu_context_fault(); FSYNR0.WNR, bit 4, is a write.
_SMMU2 = re.compile(
    r"arm-smmu \S{1,64}: Unhandled context fault: fsr=0x(?P<fsr>[0-9a-f]{1,8}), "
    r"iova=0x(?P<addr>[0-9a-f]{1,16}), fsynr=0x(?P<fsynr>[0-9a-f]{1,8})"
    r"(?:, cbfrsynra=0x(?P<sid>[0-9a-f]{1,8}))?",
    re.I,
)
_SMMU2_SID = re.compile(r"FSR\s+= [0-9a-f]{8} \[.*\], SID=0x(?P<sid>[0-9a-f]{1,8})", re.I)
# arm-smmu-v3.c, arm_smmu_evtq_thread(): four words. Arm SMMUv3 (IHI 0070), "Event records".
_SMMU3 = re.compile(r"arm-smmu-v3 \S{1,64}: event 0x(?P<id>[0-9a-f]{2}) received:", re.I)
_WORD = re.compile(r"(?:^|[:\]])\s+0x(?P<word>[0-9a-f]{16})\s*$", re.I)
_SMMU3_NAMED = re.compile(
    r"event: F_(?:TRANSLATION|ADDR_SIZE|ACCESS|PERMISSION) client: (?P<client>\S{1,64})"
    r" sid: (?P<sid>\S{1,18}) ssid: \S{1,18} iova: 0x(?P<addr>[0-9a-f]{1,16})",
    re.I,
)
_SMMU3_WAY = re.compile(r"\b(?:un)?priv\S* (?:inst|data) (?P<way>read|write)\b", re.I)
_SMMU3_FAULTS = frozenset({0x10, 0x11, 0x12, 0x13})
# virtio-iommu.c, viommu_fault_handler(): R, W, X of what was wanted.
_VIRTIO = re.compile(
    r"virtio_iommu \S{1,64}: \S{1,16} fault from EP (?P<endpoint>\d{1,10})"
    r" at 0x(?P<addr>[0-9a-f]{1,16}) \[(?P<flags>[RWX -]{0,8})\]",
    re.I,
)


def pci_name(segment: str | None, bus: str, slot: str, function: str) -> str:
    """Return the kernel's name of a PCI function; hexadecimal parts, segment 0 where None."""
    parts = int(segment or "0", 16), int(bus, 16), int(slot, 16), int(function, 16)
    return "{:04x}:{:02x}:{:02x}.{:x}".format(*parts)


def requester_name(sid: int) -> str:
    """Return the name of a PCI function by its requester id: bus, device, function."""
    return f"0000:{sid >> 8 & 255:02x}:{sid >> 3 & 31:02x}.{sid & 7}"


@dataclass(slots=True)
class _Open:
    """A fault that waits for its other lines."""

    fault: Fault
    form: str
    words: list[int]
    left: int = _WAIT
    whole: bool = False


class FaultReader:
    """Puts faults together from the lines of a log, in order."""

    def __init__(self) -> None:
        self._open: _Open | None = None

    def take(self, text: str, line: int, time: float | None) -> Iterator[Fault]:
        """Give the faults that are whole now.

        Args:
            text: the whole line.
            line: 1-based line of the log.
            time: time stamp in seconds, or None.
        """
        waiting = self._open
        if waiting is not None:
            if _more(waiting, text):
                if waiting.whole:
                    yield from self.finish()
                return
            waiting.left -= 1
            if waiting.left == 0:
                yield from self.finish()
        found, form = _start(text.strip(), line, time)
        if found is None:
            return
        yield from self.finish()
        if form:
            self._open = _Open(found, form, [])
        else:
            yield found

    def finish(self) -> Iterator[Fault]:
        """Give the fault that still waits for lines, if it says enough."""
        waiting, self._open = self._open, None
        if waiting is not None and waiting.fault.device:
            yield waiting.fault


def _start(text: str, line: int, time: float | None) -> tuple[Fault | None, str]:
    """Return the fault that a line begins, and the form of the lines that follow it."""
    if "DMAR:" in text or "dmar:" in text:
        return _intel(text, line, time), ""
    if "AMD-Vi: Event" in text:
        return _amd(text, line, time), ""
    if "virtio_iommu" in text:
        return _virtio(text, line, time), ""
    if "fault: fsr=" in text:
        return _smmu2(text, line, time), "smmu2"
    if "event: F_" in text:
        return _smmu3_named(text, line, time), "smmu3-named"
    if "arm-smmu-v3" in text:
        m = _SMMU3.search(text)
        if m is not None and int(m["id"], 16) in _SMMU3_FAULTS:
            return Fault("", 0, None, False, text, line, time), "smmu3"
    return None, ""


def _smmu2(text: str, line: int, time: float | None) -> Fault | None:
    m = _SMMU2.search(text)
    if m is None:
        return None
    # The low half of CBFRSYNRA is the stream id.
    name = f"SID 0x{int(m['sid'], 16) & 0xFFFF:x}" if m["sid"] else "SID ?"
    write = bool(int(m["fsynr"], 16) & 0x10)
    return Fault(name, int(m["addr"], 16), write, False, text, line, time)


def _smmu3_named(text: str, line: int, time: float | None) -> Fault | None:
    m = _SMMU3_NAMED.search(text)
    if m is None:
        return None
    name = f"SID {m['sid']}" if m["client"].startswith("(") else m["client"]
    return Fault(name, int(m["addr"], 16), None, False, text, line, time)


def _more(waiting: _Open, text: str) -> bool:
    """Take a further line of an open fault; return False where it is none."""
    found = waiting.fault
    if waiting.form == "smmu3":
        return _smmu3_word(waiting, text)
    if waiting.form == "smmu2":
        m = _SMMU2_SID.search(text)
        if m is None:
            return False
        name = f"SID 0x{int(m['sid'], 16):x}" if found.device == "SID ?" else found.device
        waiting.fault = replace(found, device=name, text=_joined(found, text))
    else:
        m = _SMMU3_WAY.search(text)
        if m is None:
            return False
        write = m["way"].lower() == "write"
        waiting.fault = replace(found, write=write, text=_joined(found, text))
    waiting.whole = True
    return True


def _smmu3_word(waiting: _Open, text: str) -> bool:
    word = _WORD.search(text)
    if word is None:
        return False
    words = waiting.words
    words.append(int(word["word"], 16))
    waiting.fault = replace(waiting.fault, text=_joined(waiting.fault, text))
    if len(words) == 4:
        # Bit 35 of the second word is RnW; the third is the input address.
        waiting.whole = True
        waiting.fault = replace(
            waiting.fault,
            device=f"SID 0x{words[0] >> 32:x}",
            bus_addr=words[2],
            write=not words[1] >> 35 & 1,
        )
    return True


def _joined(found: Fault, text: str) -> str:
    return f"{found.text} {text.strip()}"[:1024]


def _intel(text: str, line: int, time: float | None) -> Fault | None:
    m = _INTEL.search(text)
    if m is None:
        return None
    name = pci_name(m["segment"], m["bus"], m["slot"], m["function"])
    write = m["way"].lower() == "write"
    address = int(m["addr"], 16) & ~(PAGE - 1)
    return Fault(name, address, write, True, text, line, time)


def _amd(text: str, line: int, time: float | None) -> Fault | None:
    m = _AMD.search(text)
    if m is None:
        return None
    if m["bus"]:
        name = pci_name(m["segment"], m["bus"], m["slot"], m["function"])
    elif m["name"]:
        name = m["name"]
    else:
        return None
    flags = int(m["flags"], 16)
    if flags & 0x008:  # an interrupt request, not memory
        return None
    address = int(m["addr"], 16)
    return Fault(name, address, bool(flags & 0x020), address % PAGE == 0, text, line, time)


def _virtio(text: str, line: int, time: float | None) -> Fault | None:
    m = _VIRTIO.search(text)
    if m is None:
        return None
    flags = m["flags"].upper()
    write = "W" in flags if "R" in flags or "W" in flags else None
    name = requester_name(int(m["endpoint"]) & 0xFFFF)
    return Fault(name, int(m["addr"], 16), write, False, text, line, time)
