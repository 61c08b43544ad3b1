"""The canonical classes of mistakes, in the order in which they are told.

Where one event violates several rules, the first class in this order is the finding
and the others are its consequences: what is not mapped at all has no wrong size.
"""

CLASSES = (
    "failed-mapping-used",
    "invalid-direction",
    "illegal-memory",
    "zero-length-mapping",
    "address-wraps",
    "unmap-of-unmapped",
    "sync-of-unmapped",
    "unmap-by-other-device",
    "unmap-type-mismatch",
    "unmap-size-mismatch",
    "free-size-mismatch",
    "sg-entry-count-mismatch",
    "free-cpu-address-mismatch",
    "unmap-direction-mismatch",
    "unmap-during-transfer",
    "sync-out-of-range",
    "sync-direction-mismatch",
    "mapping-error-not-checked",
    "sg-segment-too-long",
    "sg-boundary-crossed",
    "overlapping-mappings",
    "shared-cacheline",
    "iommu-unmap-short",
    "iova-mapped-twice",
    "mapping-without-translation",
    "device-access-unmapped",
    "device-access-after-unmap",
    "device-access-out-of-range",
    "device-access-wrong-direction",
    "device-access-foreign-mapping",
    "missing-sync-for-cpu",
    "missing-sync-for-device",
    "cpu-access-while-device-owns",
    "cpu-write-lost",
    "freed-while-mapped",
    "leak-at-unbind",
    "hca-access-unknown-key",
    "hca-access-after-deregistration",
    "hca-access-other-protection-domain",
    "hca-access-without-permission",
    "hca-access-out-of-range",
    "mr-leak-at-exit",
)


def class_order(name: str) -> int:
    """Return where a class stands in the order; unknown (user) classes come last."""
    return CLASSES.index(name) if name in CLASSES else len(CLASSES)
