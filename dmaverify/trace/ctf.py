"""Read a CTF trace, the folder that LTTng writes, by babeltrace2's Python bindings.

Common Trace Format 1.8 (diamon.org/ctf); babeltrace.org/docs/v2.0/python/bt2. The bindings are
no package of the Python index: the distribution has them (`python3-bt2`), and only who reads
CTF needs them. They make an object of each event, so this source is slow; they work in a process
of their own (`ctf_child`), which damaged input may end.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dmaverify.errors import TraceError
from dmaverify.model.events import EventBatch
from dmaverify.model.finding import Notice
from dmaverify.model.kinds import EventKind, Opcode
from dmaverify.trace.around import Lineless
from dmaverify.trace.ctf_events import OPCODE_NAMES, USER_EVENTS, UserEvent
from dmaverify.trace.events import MAX_DEVICES

ROWS = 4096
_MOST_FOLDERS = 4096  # looked through for a trace


def is_ctf(path: str) -> bool:
    """Return True for a folder that has a CTF trace in it, at any depth that LTTng uses."""
    if not Path(path).is_dir():
        return False
    for number, (folder, _, files) in enumerate(os.walk(path)):
        if "metadata" in files and _is_metadata(Path(folder) / "metadata"):
            return True
        if number > _MOST_FOLDERS:
            break
    return False


def _is_metadata(path: Path) -> bool:
    """Return True for plain metadata, or packets of it in either byte order."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    magics = (b"\x75\xd1\x1d\x57", b"\x57\x1d\xd1\x75", b"/* CTF ")
    return head.startswith(magics)


class CtfReader(Lineless):
    """Reads one CTF trace; see `Reader` in trace/base.py.

    Args:
        path: its folder.

    Raises:
        OSError: no process can be started.
    """

    format = "ctf"
    binary = True
    streaming = False
    ticks = False
    every_sync = False
    size: int | None = None
    consumed = 0

    def __init__(self, path: str) -> None:
        self.path = path
        self.devices = [""]
        self.clock = "unix"
        self.records = self.skipped = self.lost = 0
        self.complete = True
        self.notices: list[Notice] = []
        self._numbers: dict[str, int] = {}
        self._ended = False
        # What this process can import the other one can, too.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        words = [sys.executable, "-P", "-m", "dmaverify.trace.ctf_child", str(Path(path).resolve())]
        self._child = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            env=environment,
        )  # fmt: skip

    def batches(self) -> Iterator[EventBatch]:
        """Give the events in order of time; the batch is reused by the next.

        Raises:
            TraceError: the bindings are not there, or nothing could be read.
        """
        batch = EventBatch(ROWS)
        for line in self._child.stdout or ():
            self._take(json.loads(line), batch)
            if len(batch) >= ROWS:
                yield batch
                batch.clear()
        code = self._child.wait()
        if not self._ended:
            self._broken(f"babeltrace2 ended with {f'signal {-code}' if code < 0 else code}")
        yield batch
        if self.records > self.skipped:
            self.notices.append(
                Notice("addresses-missing", NO_ADDRESSES, self.records - self.skipped)
            )

    def _broken(self, why: str) -> None:
        self._ended = True
        if not self.records:
            raise TraceError(self.path, None, f"can not be read as CTF: {why}; {AGAIN}")
        text = f"the trace is cut short or damaged: {why}; {AGAIN}"
        self.notices.append(Notice("trace-cut-short", text))
        self.complete = False

    def _take(self, told: dict[str, Any], batch: EventBatch) -> None:
        """Use what the other process tells."""
        if "missing" in told:
            raise TraceError(self.path, None, NO_BINDINGS)
        if "error" in told:
            self._broken(str(told["error"]))
        elif "end" in told:
            self._ended = True
        elif "lost" in told:
            self.lost += told["lost"] or 0
            batch.add(EventKind.LOST, length=told["lost"], record=self.records + 1)
        else:
            self.records += 1
            if "other" in told or not self._event(told, batch):
                self.skipped += 1

    def _event(self, told: dict[str, Any], batch: EventBatch) -> bool:
        name, payload = told["name"], told["fields"]
        spec = USER_EVENTS[name]
        values = _values(spec, payload)
        if values is None:
            return False
        if name == "rdma_core_efa:process_completion" and values.get("type") == Opcode.RECV:
            # The receiver's own queue pair is the destination.
            values["object"] = _integer(payload, "dst_qp_num") or 0
        beside = [(int(what), _integer(payload, name)) for name, what in spec.values.items()]
        batch.add(
            spec.kind, time=told["time"], device=self._device(payload, spec.device),
            record=self.records, hca=[(what, n) for what, n in beside if n is not None] or None,
            **values,  # type: ignore[arg-type]  # slots of the row, all numbers
        )  # fmt: skip
        return True

    def _device(self, payload: dict[str, Any], name: str) -> int:
        text = str(payload.get(name, ""))[:128]
        if not text:
            return 0
        if text not in self._numbers and len(self._numbers) < MAX_DEVICES:
            self._numbers[text] = len(self.devices)
            self.devices.append(text)
        return self._numbers.get(text, 0)

    def close(self) -> None:
        """End the other process."""
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        if self._child.stdout:
            self._child.stdout.close()


def _values(spec: UserEvent, payload: dict[str, Any]) -> dict[str, int] | None:
    """Return the slots of a row, None where the event is another one."""
    if spec.unless and _integer(payload, spec.unless):
        return None
    values = {}
    for name, slot in spec.fields.items():
        value = _integer(payload, name)
        if value is None:
            return None
        values[slot] = value & _MASKS.get(slot, _U64)
    if spec.opcode and spec.opcode in payload:
        known = payload[spec.opcode]
        number = _integer(payload, spec.opcode)
        found = OPCODE_NAMES.get(str(known)) if number is None else spec.opcodes.get(number)
        values["type"] = int(found or Opcode.UNKNOWN)
    return values


_U64 = (1 << 64) - 1
_MASKS = {"object": 0xFFFFFFFF, "status": 0x7F, "direction": 0xFF}


def _integer(payload: dict[str, Any], name: str) -> int | None:
    value = payload.get(name)
    return value & _U64 if isinstance(value, int) else None


AGAIN = "copy the folder again, whole"
NO_BINDINGS = (
    "is a CTF trace, which is read by babeltrace2's Python bindings, and Python has no module"
    " `bt2`: install them (`apt install python3-bt2`, `dnf install python3-babeltrace2`) for the"
    " Python that runs dmaverify, and make a virtual environment with --system-site-packages"
)
NO_ADDRESSES = (
    "events of rdma-core name no address, key or protection domain: posts and completions are"
    " compared, ranges and keys are not judged; record probe events of the driver for those"
)
