"""Which family an HCA is of, by the name that its driver gives the device."""

from dmaverify.model.kinds import HcaFamily

#: Beginnings of names. Sources: the `ib_register_device()` and `ib_device` names of Linux
#: drivers/infiniband/hw/*/main.c and drivers/infiniband/sw/*.
PREFIXES = {
    "rxe": HcaFamily.RXE,
    "siw": HcaFamily.SIW,
    "hfi1_": HcaFamily.RDMAVT,
    "qib": HcaFamily.RDMAVT,
    "mthca": HcaFamily.HARDWARE,
    "mlx4_": HcaFamily.HARDWARE,
    "mlx5_": HcaFamily.HARDWARE,
    "bnxt_re": HcaFamily.HARDWARE,
    "hns_": HcaFamily.HARDWARE,
    "irdma": HcaFamily.HARDWARE,
    "efa_": HcaFamily.HARDWARE,
    "erdma_": HcaFamily.HARDWARE,
    "mana_": HcaFamily.HARDWARE,
    "ocrdma": HcaFamily.HARDWARE,
    "qedr": HcaFamily.HARDWARE,
    "cxgb4_": HcaFamily.HARDWARE,
    "usnic_": HcaFamily.HARDWARE,
}


def family_of(name: str) -> HcaFamily:
    """Return the family of a device, UNKNOWN where its name does not tell.

    Args:
        name: as the recording has it.
    """
    return next((f for p, f in PREFIXES.items() if name.startswith(p)), HcaFamily.UNKNOWN)
