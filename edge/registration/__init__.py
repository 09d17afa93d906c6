"""The pure core: observations in, registrations and their change log out."""

from edge.registration.engine import Engine
from edge.registration.memory import MemoryRecord
from edge.registration.rules import register
from edge.registration.types import (
    UNIDENTIFIED,
    Change,
    ChangeKind,
    ComparedTo,
    Key,
    Method,
    Observation,
    Options,
    Record,
    Registration,
    SplitOn,
    State,
    Tally,
)
from edge.registration.watermark import watermark

__all__ = [
    "UNIDENTIFIED",
    "Change",
    "ChangeKind",
    "ComparedTo",
    "Engine",
    "Key",
    "MemoryRecord",
    "Method",
    "Observation",
    "Options",
    "Record",
    "Registration",
    "SplitOn",
    "State",
    "Tally",
    "register",
    "watermark",
]
