"""Results as others have them: CSV, JSON Lines, MegaDetector, Camtrap DP in; the same and more out."""

from edge.interchange.columns import mapping_of
from edge.interchange.dialects import DIALECTS, OURS, Dialect, dialect
from edge.interchange.recognise import events_from, reading_from
from edge.interchange.tables import Event, Reading
from edge.interchange.times import Clock, duration
from edge.interchange.types import KINDS, Input, Kind, Reject, Row, Sighting
from edge.interchange.write import FORMATS, Format, write, write_changes

__all__ = [
    "DIALECTS",
    "FORMATS",
    "KINDS",
    "OURS",
    "Clock",
    "Dialect",
    "Event",
    "Format",
    "Input",
    "Kind",
    "Reading",
    "Reject",
    "Row",
    "Sighting",
    "dialect",
    "duration",
    "events_from",
    "mapping_of",
    "reading_from",
    "write",
    "write_changes",
]
