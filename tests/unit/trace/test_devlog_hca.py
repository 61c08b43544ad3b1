"""Lines of QEMU's pvrdma device: what they say of regions, queues, completions and datagrams."""

from dmaverify.model.kinds import EventKind, HcaValue, MadStep, QpState, QpType, QueuePart
from dmaverify.trace.devlog import DeviceLog, _Parser
from dmaverify.trace.devlog_hca import HcaLog

K = EventKind
TID = "01 07 02 03 00 00 00 00 00 00 00 04 7E 9B 30 13 00 10 00 00 "


def parse(*lines: str, pid: int = 7) -> HcaLog:
    """Return what some lines say, a microsecond apart; `N@` before a line names its thread."""
    log = DeviceLog("log")
    parser = _Parser(log)
    for number, line in enumerate(lines, 1):
        thread, _, rest = line.partition("@") if line[0].isdigit() else (str(pid), "", line)
        parser.take(f"{thread}@100.{number:06d}:{rest}", number)
    return log.hca


def mapped(address: int, length: int = 4096) -> str:
    """Return the line of one piece that the device takes."""
    return f"rdma_pci_dma_map {address:#x} -> 0x7fe8c8e17000 (len={length})"


def test_a_region_is_its_handle_and_its_pages() -> None:
    """Directory and table come first; the kernel's region of all memory has no key."""
    log = parse(
        "pvrdma_regs_write pvrdma.regs[0x10]=0x0 (REQUEST )",
        mapped(0x1000), mapped(0x2000), mapped(0x3000), mapped(0x4000),
        "rdma_rm_alloc_mr mr_handle=3, host_virt=0x7fbdd2ffe000, guest_start=0x7f6adaca5064,"
        " length=5000, access_flags=0x1",
        "rdma_rm_alloc_mr mr_handle=0, host_virt=(nil), guest_start=0x0, length=0, access_flags=0x1",
        "rdma_rm_dealloc_mr mr_handle=3, guest_start=0x7f6adaca5064",
    )  # fmt: skip
    made, ended = log.notes

    assert (K.REG_MR, K.DEREG_MR) == (made.kind, ended.kind)
    assert {"object": 3, "bus_addr": 0x7F6ADACA5064, "length": 5000, "direction": 1} == made.values
    assert (3, True) == (ended.values["object"], ended.ends)
    assert [
        ("page directory and table of region 3", 0x1000),
        ("page directory and table of region 3", 0x2000),
        ("page of region 3", 0x3000), ("page of region 3", 0x4000),
    ] == [(p.what, p.bus_addr) for p in log.pieces]  # fmt: skip


def test_queues_have_their_rings() -> None:
    """A completion queue by its handle and one, a queue pair by the number that doorbells have."""
    log = parse(
        mapped(0x1000), mapped(0x2000), mapped(0x3000),
        "rdma_res_tbl_alloc tbl CQ, handle 0",
        "pvrdma_regs_write pvrdma.regs[0x10]=0x0 (REQUEST )",
        mapped(0x4000), mapped(0x5000), mapped(0x6000),
        "rdma_res_tbl_alloc tbl QP, handle 0",
        "rdma_rm_alloc_qp rm_qpn=0, backend_qpn=0x2, qp_type=2",
        "rdma_rm_modify_qp qpn=0x2, attr_mask=0x39, qp_state=1, sgid_idx=0",
        "rdma_rm_modify_qp qpn=0x2, attr_mask=0x38, qp_state=2, sgid_idx=0",
        "pvrdma_uar_write uar[0x1000]=0x80000002 (cls=QP, op=RECV, obj=2, val=0)",
        "pvrdma_uar_write uar[0x4]=0x40000000 (cls=CQ, op=ARM, obj=0, val=0)",
        "rdma_res_tbl_dealloc tbl QP, handle 0",
        "rdma_res_tbl_dealloc tbl CQ, handle 0",
    )  # fmt: skip
    kinds = [note.kind for note in log.notes]
    by_kind = {note.kind: note.values for note in log.notes}
    memory = [n.values for n in log.notes if n.kind == K.QUEUE_MEMORY]

    assert [K.CREATE_CQ, K.QUEUE_MEMORY, K.CREATE_QP, K.QUEUE_MEMORY, K.MODIFY_QP, K.DOORBELL,
            K.DESTROY_QP, K.DESTROY_CQ] == kinds  # fmt: skip
    assert [(1, QueuePart.CQ_RING, 0x3000), (2, QueuePart.QP_RING, 0x6000)] == [
        (m["object"], m["type"], m["bus_addr"]) for m in memory
    ]
    assert {"object": 2, "type": QpType.RC} == by_kind[K.CREATE_QP]
    assert {"object": 2, "status": QpState.INIT} == by_kind[K.MODIFY_QP]
    assert {"object": 2, "type": QueuePart.RECV_RING} == by_kind[K.DOORBELL]
    assert 2 == by_kind[K.DESTROY_QP]["object"]


def test_a_datagram_is_posted_and_completed() -> None:
    """Header and payload are read before the line that names them; the transaction is told."""
    log = parse(
        "pvrdma_uar_write uar[0x0]=0x40000001 (cls=QP, op=SEND, obj=1, val=0)",
        mapped(0x3112800, 24), mapped(0x3112818, 232),
        f"rdma_mad_message mad send (256): {TID}",
        "pvrdma_post_cqe cq_handle=0, notify=2, wr_id=0xffff888003112910, qpn=0x1, opcode=0,"
        " status=0, byte_len=0, src_qp=0, wc_flags=0, vendor_err=0",
    )  # fmt: skip
    mads = [n for n in log.notes if n.kind == K.MAD_SEND]

    assert [(MadStep.POSTED, 0x3112800, 24), (MadStep.POSTED, 0x3112818, 232),
            (MadStep.COMPLETED, 0x3112800, 24), (MadStep.COMPLETED, 0x3112818, 232),
            ] == [(n.values["type"], n.values["bus_addr"], n.values["length"]) for n in mads]  # fmt: skip
    assert {((HcaValue.TID, 0x47E9B3013),)} == {n.hca for n in mads}
    assert 0xFFFF888003112910 == mads[-1].values["phys_addr"]


def test_threads_of_the_device_do_not_mix() -> None:
    """What one thread takes between is not what another's datagram is in."""
    log = parse(
        f"9@rdma_mad_message mad recv (256): {TID}",
        "7@" + mapped(0x1000),
        "9@" + mapped(0x338E0C0, 296),
        "9@pvrdma_post_cqe cq_handle=0, notify=2, wr_id=0x10, qpn=0x1, opcode=128, status=0,"
        " byte_len=256, src_qp=0, wc_flags=1, vendor_err=0",
    )
    posted, completed, done = log.notes

    assert (K.MAD_RECV, 0x338E0C0, K.MAD_RECV) == (
        posted.kind, posted.values["bus_addr"], completed.kind,
    )  # fmt: skip
    assert (K.CQE, 256, 11) == (done.kind, done.values["length"], done.values["type"])


def test_completions_do_not_say_which_post_they_are_of() -> None:
    """Posts have no line, so the id alone would look like a completion of nothing."""
    (note,) = parse(
        "pvrdma_post_cqe cq_handle=1, notify=0, wr_id=0x64, qpn=0x3, opcode=128, status=4,"
        " byte_len=4096, src_qp=2, wc_flags=0, vendor_err=0"
    ).notes

    assert "phys_addr" not in note.values
    assert (3, 4) == (note.values["object"], note.values["status"])


def test_what_is_not_whole_is_passed_over() -> None:
    """Cut and foreign lines give nothing."""
    whole = (
        "rdma_rm_alloc_mr mr_handle=3, host_virt=0x7fbd, guest_start=0x7f6, length=50, access_flags="
    )
    lines = [whole[:end] for end in range(1, len(whole))]
    assert not parse(*(line for line in lines if not line[0].isdigit())).notes
    assert not parse("rdma_mad_message mad send (256): 01 07", "rdma_res_tbl_alloc tbl CQ, handle",
                     "rdma_rm_alloc_qp rm_qpn=0, backend_qpn=0x0, qp_type=2").notes  # fmt: skip
