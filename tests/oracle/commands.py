"""Commands in the slow world: dictionaries of what is in flight."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from dmaverify.model.kinds import EventKind
from tests.oracle.nouns import Call

K = EventKind
COMMANDS = (K.COMMAND_BEGIN, K.COMMAND_ARRIVED, K.COMMAND_DONE)
VOTES = 3  # commands after which it is clear which device a controller is
CONTROLLERS = 64
Queue = tuple[int, int]


@dataclass(eq=False)
class Command:
    """One command in flight."""

    queue: Queue
    epoch: int
    device: int = 0
    early: list[Call] = field(default_factory=list)
    credited: bool = False
    handled: bool = False


@dataclass
class Seat:
    """What a CPU is about."""

    command: Command | None = None
    task: int = 0
    queue: Queue | None = None


class Commands:
    """All commands, and what is known of their queues and controllers."""

    def __init__(self) -> None:
        self.flying: dict[tuple[Queue, int], Command] = {}
        self.credit: Counter[Queue] = Counter()
        self.cpu: dict[Queue, int] = {}
        self.seats: defaultdict[int, Seat] = defaultdict(Seat)
        self.votes: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self.device: dict[int, int] = {}
        self.epoch: Counter[int] = Counter()

    def step(self, call: Call) -> None:
        """Replay one event of a command."""
        queue = queue_of(call)
        if queue is None:
            return
        seat, key = self.seats[call.cpu], (queue, call.object % 4096)
        seat.command = None
        if call.kind == K.COMMAND_BEGIN:
            self.forget(key)
            self.flying[key] = seat.command = Command(queue, self.epoch[queue[0]])
            seat.task, seat.queue = call.site, None
        elif call.kind == K.COMMAND_ARRIVED:
            seat.queue = queue
            self.credit[queue] += 1
            self.cpu[queue] = call.cpu
        elif key in self.flying:
            command = self.flying[key]
            if self.judged(command) and not command.credited and self.credit[queue]:
                self.credit[queue] -= 1
            self.vote(command)
            self.forget(key)

    def forget(self, key: tuple[Queue, int]) -> None:
        """Take a command out; a queue without any has no completion left over."""
        if self.flying.pop(key, None) and all(queue != key[0] for queue, _ in self.flying):
            self.credit[key[0]] = 0

    def judged(self, command: Command) -> bool:
        """Return True if a command's completions can be told from others'."""
        controller = command.queue[0]
        return controller in self.device and command.epoch == self.epoch[controller]

    def vote(self, command: Command) -> None:
        """Learn which device a controller is; two devices are none."""
        controller = command.queue[0]
        votes = self.votes[controller]
        if not command.handled or controller in self.device or len(votes) > 1:
            return
        votes[command.device] += 1
        if len(votes) == 1 and votes[command.device] >= VOTES:
            self.device[controller] = command.device
            self.epoch[controller] += 1
            for queue in self.credit:
                if queue[0] == controller:
                    self.credit[queue] = 0

    def mapped(self, call: Call) -> Command | None:
        """Return the command that a mapping is made for."""
        seat = self.seats[call.cpu]
        command = seat.command
        if command is None or seat.task != call.site or command not in self.flying.values():
            return None
        if self.device.get(command.queue[0], call.device) != call.device:
            return None
        command.device = command.device or call.device
        return command

    def unmapped(self, command: Command, call: Call) -> None:
        """End a mapping of a command."""
        if command not in self.flying.values():
            return
        here = self.seats[call.cpu].queue == command.queue
        command.handled |= here and command.device == call.device and call.device != 0
        if not self.judged(command) or command.credited:
            return
        if self.credit[command.queue]:
            self.credit[command.queue] -= 1
            command.credited = True
        else:
            command.early.append(call)

    def lost(self) -> None:
        """Forget what a loss makes uncertain."""
        self.epoch.update(range(CONTROLLERS))
        self.credit.clear()

    def early(self, call: Call) -> list[Call]:
        """Return the ends that came before any completion that could be the command's."""
        queue = queue_of(call)
        if call.kind != K.COMMAND_DONE or queue is None or call.status:
            return []
        command = self.flying.get((queue, call.object % 4096))
        if command is None or not command.early or not self.judged(command):
            return []
        return command.early if command.early[-1].cpu == self.cpu.get(queue) else []


def queue_of(call: Call) -> Queue | None:
    """Return controller and queue, where both are named and can be."""
    if call.bus_addr is None or call.phys_addr is None:
        return None
    fits = call.bus_addr < CONTROLLERS and call.phys_addr <= 0xFFFF
    return (call.bus_addr, call.phys_addr) if fits else None
