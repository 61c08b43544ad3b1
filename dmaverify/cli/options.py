"""Options that several commands have, and what they come to."""

import argparse
import math

from dmaverify.cli.colour import CHOICES


def add_logs(parser: argparse.ArgumentParser) -> None:
    """Declare the options for other logs of the same run."""
    same = parser.add_argument_group("other logs of the same run (for one trace)")
    same.add_argument(
        "--log",
        default="",
        metavar="FILE",
        help="the kernel's log: faults of the IOMMU, what the kernel's checker said",
    )
    same.add_argument(
        "--device-log",
        default="",
        metavar="FILE",
        help="QEMU's log of the device: what it really touched",
    )
    same.add_argument(
        "--clock-offset",
        type=seconds,
        metavar="SECONDS",
        help="the device log's clock minus the trace's (by clock_sync events)",
    )
    same.add_argument(
        "--log-offset",
        type=seconds,
        metavar="SECONDS",
        help="the kernel log's clock minus the trace's (not known)",
    )


def add_packets(parser: argparse.ArgumentParser) -> None:
    """Declare the options for a packet capture of the same run."""
    wire = parser.add_argument_group("a packet capture of the same run (for one trace)")
    wire.add_argument(
        "--packets",
        default="",
        metavar="FILE",
        help="pcap or pcapng: what peers asked the trace's HCA for by RDMA, and its answers",
    )
    wire.add_argument(
        "--packets-offset",
        type=seconds,
        metavar="SECONDS",
        help="the capture's clock minus the trace's (by requests that both tell)",
    )
    wire.add_argument(
        "--packets-host",
        default="",
        metavar="ADDRESS",
        help="IP address of the trace's HCA (the one that the keys are of)",
    )


def add_events(parser: argparse._ActionsContainer) -> None:
    """Declare the option for events of a user's own."""
    parser.add_argument(
        "--events",
        default="",
        metavar="FILE",
        help="a TOML table of further events: probes of another driver, by name and field",
    )


def add_output(parser: argparse._ActionsContainer, what: str) -> None:
    """Declare the option for the forms of what a command makes, each to stdout or to a file."""
    parser.add_argument(
        "--output",
        action="append",
        default=[],
        metavar="FORMAT[:FILE]",
        help=f"form of the {what}, and a file for it (repeatable; full)",
    )


def add_colour(parser: argparse._ActionsContainer) -> None:
    """Declare the option for colours."""
    parser.add_argument(
        "--color",
        choices=CHOICES,
        default="auto",
        metavar="WHEN",
        help="auto, always or never (auto)",
    )


def seconds(text: str) -> float:
    """Return a number of seconds.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not abs(value) < 1e12:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value
