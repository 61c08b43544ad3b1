"""Commands in flight: whose a controller is, and what was unmapped too early."""

from typing import Any

from dmaverify.model.kinds import EventKind
from tests.oracle.nouns import Call
from tests.unit.core.calls import asked, dma_map, dma_unmap, lost

K = EventKind


def command(kind: EventKind, number: int = 1, **values: Any) -> Call:
    """Return an event of a command of queue 1."""
    return Call(kind, bus_addr=0, phys_addr=1, object=number, **values)


BEGIN, ARRIVED, DONE = (
    command(kind) for kind in (K.COMMAND_BEGIN, K.COMMAND_ARRIVED, K.COMMAND_DONE)
)
GOOD = [BEGIN, dma_map(), ARRIVED, dma_unmap(), DONE]
EARLY = [BEGIN, dma_map(), dma_unmap(), ARRIVED]


def early(calls: list[Call], done: Call = DONE) -> int | None:
    """Return how many mappings of a command ended too early, when it is done."""
    return asked([*calls, done], "early_unmaps")[0]


def test_an_unmap_before_any_completion_is_early() -> None:
    """Once it is clear which device the controller is."""
    assert 0 == early([*GOOD * 2, *EARLY])
    assert 1 == early([*GOOD * 3, *EARLY])
    assert 0 == early([*GOOD * 3, *GOOD[:4]])


def test_a_cancelled_command_has_no_completion() -> None:
    """What ends with a status may have been cancelled by a reset."""
    assert 0 == early([*GOOD * 3, *EARLY], command(K.COMMAND_DONE, status=0x371))


def test_any_completion_of_the_queue_may_be_the_commands() -> None:
    """A completion names no command: as long as one is left over, nothing is certain."""
    other = [command(K.COMMAND_BEGIN, 2), dma_map(0x2000)]
    assert 0 == early([*GOOD * 3, *other, *EARLY[:2], ARRIVED, EARLY[2]])
    both = [*GOOD * 3, *other, *EARLY[:2], ARRIVED, EARLY[2], dma_unmap(0x2000), ARRIVED]
    assert 1 == early(both, command(K.COMMAND_DONE, 2))


def test_what_another_task_maps_is_not_the_commands() -> None:
    """An interrupt, or another device, may map in between."""
    for odd in (dma_map(site=9), dma_map(cpu=1), dma_map(device=2)):
        assert 0 == early([*GOOD * 3, BEGIN, odd, dma_unmap(device=odd.device), ARRIVED])


def test_a_command_that_was_begun_anew_elsewhere_is_another() -> None:
    """What the first CPU maps after that is for a command that is gone."""
    again = [command(K.COMMAND_BEGIN, cpu=1), BEGIN, dma_map(cpu=1), dma_unmap()]
    assert 0 == early([*GOOD * 3, *again, ARRIVED])


def test_two_devices_are_no_controller() -> None:
    """Where what is learnt does not agree, nothing is told."""
    strange = [BEGIN, dma_map(device=2), ARRIVED, dma_unmap(device=2), DONE]
    assert 0 == early([*GOOD, *strange, *GOOD * 3, *EARLY])


def test_a_loss_leaves_nothing_to_judge() -> None:
    """A completion may be among what was lost; the next commands count again."""
    assert 0 == early([*GOOD * 3, *EARLY[:2], lost(), *EARLY[2:]])
    assert 1 == early([*GOOD * 3, lost(), *EARLY])


def test_the_order_of_two_cpus_is_not_certain() -> None:
    """The completion was handled on another CPU than the unmap: no word."""
    far = command(K.COMMAND_ARRIVED, cpu=1)
    assert 0 == early([*GOOD * 3, *EARLY[:3], far])
