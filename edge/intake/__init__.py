"""From a drop folder to whole, dated, identified images.

A `Watcher` hands out files that stood still; `classify_name` tells images from others by name; `examine` says
camera and event time from the header; `in_event_order` sorts a backlog; `load` reads the whole file.
"""

from edge.errors import GoneError
from edge.intake.examine import examine
from edge.intake.names import classify_name
from edge.intake.numbering import Numbering
from edge.intake.order import in_event_order
from edge.intake.reconcile import WatchState
from edge.intake.types import (
    Camera,
    Candidate,
    Examined,
    FileNumber,
    FileStat,
    Frame,
    Ledger,
    Loaded,
    Version,
    printable,
)
from edge.intake.watch import Watcher
from edge.intake.whole import check, load

__all__ = [
    "Camera",
    "Candidate",
    "Examined",
    "FileNumber",
    "FileStat",
    "Frame",
    "GoneError",
    "Ledger",
    "Loaded",
    "Numbering",
    "Version",
    "WatchState",
    "Watcher",
    "check",
    "classify_name",
    "examine",
    "in_event_order",
    "load",
    "printable",
]
