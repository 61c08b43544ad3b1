"""The table of what rules may ask."""

from itertools import groupby

import pytest

from dmaverify.model.fields import (
    FIELDS,
    HCA_OBJECTS,
    KIND_SENTENCES,
    KINDS_BY_NAME,
    MAPPING_OBJECTS,
    NAMED_FIELDS,
    NAMED_OBJECTS,
    Obj,
    event_has_device,
    kind_name,
)
from dmaverify.model.kinds import EventKind

GROUPS = {obj: list(fields) for obj, fields in groupby(FIELDS, key=lambda f: f.obj)}


@pytest.mark.parametrize("obj", GROUPS, ids=lambda obj: obj.name)
def test_names_and_numbers_are_unique(obj: Obj) -> None:
    """Within an object no two fields have one name or one number."""
    for values in ([f.name for f in GROUPS[obj]], [f.number for f in GROUPS[obj]]):
        assert len(values) == len(set(values))


def test_every_object_with_fields_is_there() -> None:
    """All mapping objects share the fields of a mapping."""
    named, hca = set(NAMED_OBJECTS.values()), set(HCA_OBJECTS.values())
    assert [
        Obj.EVENT, Obj.MAPPING, Obj.DEVICE, Obj.TRACE, *NAMED_FIELDS, Obj.REGION, Obj.QP, Obj.WORK,
    ] == list(GROUPS)  # fmt: skip
    assert named == set(NAMED_FIELDS)
    assert {Obj.REGION, Obj.ENDED_REGION, Obj.QP, Obj.WORK} == hca
    others = {Obj.EVENT, Obj.DEVICE, Obj.TRACE} | named | hca
    assert set(MAPPING_OBJECTS.values()) == set(Obj) - others


def test_numbers_fit_an_instruction() -> None:
    """A field's number is one byte and not 0, which is the object itself."""
    assert all(1 <= f.number <= 255 for f in FIELDS)
    assert len(FIELDS) == len({f.ref for f in FIELDS})


def test_every_field_is_described() -> None:
    """Sentences for the reference page, and spaces for addresses."""
    assert all(f.sentence and f.name.isidentifier() for f in FIELDS)
    assert {"", "bus", "physical", "virtual", "key"} == {f.space for f in FIELDS}


def test_only_events_have_kinds_and_stored_fields() -> None:
    """What is stored is stored with the event."""
    assert {Obj.EVENT} == {f.obj for f in FIELDS if f.kinds or f.stored}


def test_every_kind_has_a_name_and_a_sentence() -> None:
    """Names lead back to their kinds."""
    assert set(EventKind) == set(KIND_SENTENCES) == set(KINDS_BY_NAME.values())
    assert all(KINDS_BY_NAME[kind_name(k)] is k for k in EventKind)


def test_calls_name_a_device_and_the_iommu_does_not() -> None:
    """An IOMMU event says nothing of whom it is for."""
    assert event_has_device(EventKind.DMA_MAP)
    assert event_has_device(EventKind.DRIVER_UNBOUND)
    assert not event_has_device(EventKind.IOMMU_MAP)
    assert not event_has_device(EventKind.LOST)
