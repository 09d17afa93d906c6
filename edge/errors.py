"""One tree of errors; each says what failed, on what, and what to do next.

::

    EdgeError                 anything this product raises on purpose
    ├── ConfigError           settings that can't be used            (exit code 78)
    ├── UsageError            a command called in a way that can't work (exit code 2)
    ├── IntakeError           a file or folder that can't be taken in
    │   ├── NotWholeError     the file ends before its image does; it may still grow
    │   ├── NotAnImageError   the file will never be an image we can read
    │   └── GoneError         the file isn't there any more
    ├── VisionError           decoding, models and their bundles
    │   ├── ImageError        one image can't be decoded; others are unaffected
    │   ├── BundleError       a model bundle is missing, damaged or inconsistent
    │   │   └── NoBundleError there is none of this name: a setting is wrong   (exit code 78)
    │   └── ProviderError     an execution provider failed its self-test
    ├── StoreError            the database can't be opened, read or written
    │   ├── StoreBusyError    another process holds the state folder or the database
    │   ├── StoreCorruptError the database failed its check
    │   ├── StoreVersionError the database is of another version          (exit code 78)
    │   └── DiskFullError     there is no space for a commit; it can be tried again
    ├── SearchError           a search that can't be answered from what is on record
    ├── DeliveryError         the broker, or what it said
    ├── InterchangeError      a file of results that can't be read or written
    └── ExportError           making a bundle on a workstation
        └── GateError         a measured floor was not reached; nothing was kept
"""

from __future__ import annotations


class EdgeError(Exception):
    """Base of every error raised on purpose.

    Args:
        what: what was being done or went wrong, one clause, no full stop.
        subject: the file, topic, setting or row that it went wrong on.
        hint: the next step for the person who reads it.
    """

    exit_code = 1

    def __init__(self, what: str, *, subject: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.subject = subject
        self.hint = hint

    def __str__(self) -> str:
        head = f"{self.what}: {self.subject}" if self.subject else self.what
        return f"{head} ({self.hint})" if self.hint else head


class ConfigError(EdgeError):
    """Settings that can't be used."""

    exit_code = 78


class UsageError(EdgeError):
    """A command called in a way that can't work."""

    exit_code = 2


class IntakeError(EdgeError):
    """A file or folder that can't be taken in."""


class NotWholeError(IntakeError):
    """The file ends before its image does; it may still grow."""


class NotAnImageError(IntakeError):
    """The file will never be an image that can be read here."""


class GoneError(IntakeError):
    """The file was removed or renamed before it could be read; there is nothing left to do for it."""


class VisionError(EdgeError):
    """Decoding, models and their bundles."""


class ImageError(VisionError):
    """One image can't be decoded; others are unaffected."""


class BundleError(VisionError):
    """A model bundle is missing, damaged or inconsistent."""


class NoBundleError(BundleError):
    """There is no bundle of this name, or in this folder: a setting is wrong."""

    exit_code = 78


class ProviderError(VisionError):
    """An execution provider failed its self-test."""


class StoreError(EdgeError):
    """The database can't be opened, read or written."""


class StoreBusyError(StoreError):
    """Another process holds the state folder, or writes to the database for too long."""


class StoreCorruptError(StoreError):
    """The database failed its check."""


class StoreVersionError(StoreError):
    """The database was made by another version of this program."""

    exit_code = 78


class DiskFullError(StoreError):
    """There is no space for a commit; nothing was lost, and it can be tried again."""


class SearchError(EdgeError):
    """A search that can't be answered from what is on record."""


class DeliveryError(EdgeError):
    """The broker, or what it said."""


class WebError(EdgeError):
    """A request to the page that can't be answered now."""


class NotYetError(WebError):
    """The daemon has never run here: there is no database yet."""


class TooBusyError(WebError):
    """There is more to do than can be done in time; it can be asked again a little later."""


class InterchangeError(EdgeError):
    """A file of results, ours or another tool's, that can't be read or written."""


class ExportError(EdgeError):
    """Making a bundle on a workstation."""


class GateError(ExportError):
    """A measured floor was not reached; nothing was kept."""
