"""Everything that can be set: frozen models, loaded once and passed down.

TOML first, then environment (``EDGE_MQTT__HOST=...``), then credentials that systemd hands over in
``$CREDENTIALS_DIRECTORY`` (a file ``mqtt__password``), then what the command line says. Unknown keys are
errors.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from edge.registration.types import ComparedTo, Method, SplitOn

# Separators and wildcards, what MQTT 5 (1.5.4) lets a broker hang up on, and what has no UTF-8 (surrogates).
_NOT_IN_TOPICS = re.compile("[+#/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_CENTURY = 100 * 366 * 86400.0
PROVIDERS: Final = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""Short names of ONNX Runtime's execution providers, best first."""
_PROVIDER = re.compile(r"\w+ExecutionProvider", re.ASCII)
Seconds = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # the last: a name too long for a file
        raise ValueError(
            f"no time zone called {name!r}; use a name such as Asia/Vladivostok or UTC"
        ) from error
    return name


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


def _topic_part(text: str) -> str:
    if not text or _NOT_IN_TOPICS.search(text) or text.startswith("$"):
        raise ValueError(
            "must be usable as one level of an MQTT topic: not empty, no + # / or control characters, "
            "and no leading $"
        )
    return text


def _topic(text: str) -> str:
    for part in text.split("/"):
        _topic_part(part)
    return text


def _provider(name: str) -> str:
    found = PROVIDERS.get(name.lower(), name)
    if not _PROVIDER.fullmatch(found):
        raise ValueError(f"no execution provider called {name!r}; use {', '.join(PROVIDERS)}")
    return found


TimeZone = Annotated[str, AfterValidator(_zone)]
Provider = Annotated[str, AfterValidator(_provider)]
Pattern = Annotated[str, AfterValidator(_pattern)]
TopicPart = Annotated[str, AfterValidator(_topic_part)]
Topic = Annotated[str, AfterValidator(_topic)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DeploymentSettings(_Section):
    """What is known of one camera.

    Attributes:
        timezone: in which its clock runs; the device's ``intake.timezone`` if not given.
        clock_offset: seconds to add to what its clock says.
    """

    timezone: TimeZone | None = None
    clock_offset: float = Field(ge=-_CENTURY, le=_CENTURY, allow_inf_nan=False, default=0.0)


class IntakeSettings(_Section):
    """How files in the drop folder become images.

    Attributes:
        deployment_pattern: matched against the path below the drop folder, ``/`` between parts; its
            group ``deployment`` names the camera. Default: the first folder.
        default_deployment: for files that the pattern doesn't match.
        timezone: zone of cameras that don't state one.
        time_pattern: for files without EXIF time: searched in the file's name, with groups ``year month
            day hour minute`` and optional ``second``.
        settle: seconds that size and mtime must stand still; on network mounts ``settle_network``.
        scan_interval: seconds between full scans; also the polling interval on network mounts.
        incomplete_after: seconds after which a file that never became whole is set aside.
        max_pixels: larger images are set aside.
        max_bytes: larger files are set aside.
        max_attempts: after so many attempts that ended the process, the image is quarantined.
        earliest: event times before this year are flagged.
    """

    deployment_pattern: Pattern = r"^(?P<deployment>[^/]+)/"
    default_deployment: TopicPart = "camera"
    timezone: TimeZone = "UTC"
    time_pattern: Pattern = (
        r"(?P<year>20\d\d)[-_]?(?P<month>[01]\d)[-_]?(?P<day>[0-3]\d)[-_T ]?"
        r"(?P<hour>[0-2]\d)[-_:]?(?P<minute>[0-5]\d)(?:[-_:]?(?P<second>[0-5]\d))?"
    )
    settle: Seconds = 2.0
    settle_network: Seconds = 10.0
    scan_interval: Positive = 60.0
    incomplete_after: Positive = 6 * 3600.0
    max_pixels: int = Field(gt=0, default=120_000_000)
    max_bytes: int = Field(gt=0, default=64 * 1024 * 1024)
    max_attempts: int = Field(gt=0, default=3)
    earliest: int = 2010
    deployments: dict[TopicPart, DeploymentSettings] = Field(default_factory=dict)

    def deployment(self, name: str) -> DeploymentSettings:
        """Settings of a deployment, the defaults if none are given."""
        return self.deployments.get(name, DeploymentSettings())

    def zone(self, deployment: str) -> ZoneInfo:
        """Time zone of a deployment's clock."""
        return ZoneInfo(self.deployment(deployment).timezone or self.timezone)


class VisionSettings(_Section):
    """Models, and when their word counts.

    Attributes:
        bundle: name of an installed bundle, or a folder.
        labels: name of an installed label set, or a TOML or JSON file.
        providers: execution providers, best first: ``tensorrt``, ``cuda``, ``openvino``, ``cpu``, or ONNX
            Runtime's own names, which are what is kept; those that are missing are passed over.
        workers: images in work at once; 0 takes one for each core, at most 4.
        threads: threads inside one model run.
        animal, person, vehicle: detection thresholds; the bundle's if not given.
        floor: probability below which an animal has no label.
        margin: lead over the second label below which it has none.
        snapshots: keep a small picture of each image with something in it.
        snapshot_bytes: at most so large.
        blur_people: in snapshots.
    """

    bundle: str = "starter"
    labels: str = "north-america"
    providers: tuple[Provider, ...] = tuple(PROVIDERS.values())
    workers: int = Field(ge=0, le=64, default=0)
    threads: int = Field(ge=1, le=64, default=1)
    animal: float | None = Field(gt=0, lt=1, default=None)
    person: float | None = Field(gt=0, lt=1, default=None)
    vehicle: float | None = Field(gt=0, lt=1, default=None)
    floor: float = Field(ge=0, le=1, default=0.3)
    margin: float = Field(ge=0, le=1, default=0.02)
    snapshots: bool = True
    snapshot_bytes: int = Field(ge=4096, le=262_144, default=65_536)
    blur_people: bool = True

    def worker_count(self) -> int:
        """Workers to start on this machine."""
        return self.workers or min(4, len(os.sched_getaffinity(0)))


class RegistrationSettings(_Section):
    """The rules' options, in seconds.

    Attributes:
        method, window, gap, split_on, compared_to: as the rules say.
        allowed_lateness: how far behind the newest image an on-time image may be.
        idle_close: wall-clock quiet after which a deployment's registrations are closed.
    """

    method: Method = "windowed"
    window: Positive = 1800.0
    gap: Positive = 1800.0
    split_on: frozenset[SplitOn] = frozenset({"label"})
    compared_to: ComparedTo = "last_image"
    allowed_lateness: Seconds = 120.0
    idle_close: Positive = 2700.0


class MqttSettings(_Section):
    """The broker.

    Attributes:
        enabled: False keeps every message in the outbox until it is turned on.
        host, port, tls, ca_file, cert_file, key_file, username, password: where and as whom.
        prefix: topics begin with this.
        keepalive: seconds.
        inflight: messages inside the client at most; the broker may ask for fewer.
        will_delay: seconds before the will is published.
        snapshots: send a small picture of each registration that opens.
        compact: send each registration that closes in 60 bytes as well, for links that charge by the byte.
        homeassistant: publish discovery; ``homeassistant_prefix`` is its topic.
        health_interval: seconds between health messages.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(gt=0, lt=65536, default=1883)
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    username: str | None = None
    password: SecretStr | None = None
    prefix: Topic = "edge/v1"
    keepalive: int = Field(ge=5, le=3600, default=30)
    inflight: int = Field(ge=1, le=20, default=20)
    will_delay: int = Field(ge=0, default=30)
    snapshots: bool = True
    compact: bool = False
    homeassistant: bool = True
    homeassistant_prefix: Topic = "homeassistant"
    health_interval: Positive = 60.0


class StoreSettings(_Section):
    """The database, and what is kept for how long.

    Attributes:
        group_images, group_seconds: a commit holds at most so many images, and waits at most so long.
        low_water: bytes of free space below which intake pauses.
        ballast: bytes that are held in reserve, and given up when the disk is full; 0: none.
        backup_interval: seconds after which the daemon makes a backup; 0: it never does by itself.
        backup_days, backup_weeks: the newest backup of so many days, and of so many weeks, is kept.
        keep_acknowledged: seconds that acknowledged messages are kept for replay.
        keep_snapshots: seconds that snapshots are kept; None: for ever, as long as there is space.
        snapshots_free: bytes of free space below which the oldest snapshots are removed.
        keep_originals: seconds after which an image is removed from the drop folder, once its registration
            is closed, told and backed up; None: never.
    """

    group_images: int = Field(ge=1, default=20)
    group_seconds: Seconds = 0.2
    low_water: int = Field(ge=0, default=256 * 1024 * 1024)
    ballast: int = Field(ge=0, default=32 * 1024 * 1024)
    backup_interval: Seconds = 86400.0
    backup_days: int = Field(ge=1, le=366, default=3)
    backup_weeks: int = Field(ge=0, le=520, default=2)
    keep_acknowledged: Seconds = 30 * 86400.0
    keep_snapshots: Seconds | None = None
    snapshots_free: int = Field(ge=0, default=512 * 1024 * 1024)
    keep_originals: Seconds | None = None


class SearchSettings(_Section):
    """The index behind ``edge search``.

    Attributes:
        exact_up_to: vectors up to which a query is compared with every one; beyond, with those of the most
            promising cells.
        probes: cells that are looked into for a query; more find more, and take longer.
    """

    exact_up_to: int = Field(ge=0, default=131_072)
    probes: int = Field(ge=1, le=65_536, default=64)


def _default_device() -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname()) or "edge"


class HealthSettings(_Section):
    """Where the daemon's health is left as files, besides ``health.json`` in the state folder and MQTT.

    Attributes:
        json_file: the health message, for programs of other users.
        prometheus_file: the same as figures, for node_exporter's textfile collector; must end in ``.prom``.
    """

    json_file: Path | None = None
    prometheus_file: Path | None = None

    @field_validator("prometheus_file")
    @classmethod
    def _collected(cls, path: Path | None) -> Path | None:
        """Files of other names are passed over by the collector, without a word."""
        if path is not None and path.suffix != ".prom":
            raise ValueError("its name must end in .prom, or node_exporter passes it over")
        return path


class WebSettings(_Section):
    """The page (``edge web``).

    Attributes:
        host, port: where it listens; beyond this machine only with a token.
        token: who gives it may see everything and correct labels; at least 12 characters.
        allowed_hosts: names under which browsers may know this machine, besides its own and its addresses.
        cert_file, key_file: for https; both or none.
        session_days: that a browser stays logged in.
        blur_people: in every picture that the page shows.
        upload_bytes: largest picture that may be uploaded.
        upload_pixels: and its largest number of pixels.
        connections: open at once.
        client_connections: of one address.
        requests: a second that one address may make for long; twenty times as many at once.
        searches: a second that one address may ask for for long; ten times as many at once.
        queue: searches that may wait for the one in hand.
        patience: seconds that a search waits and takes at most.
        nice: how far the process stands back behind others, 0 to 19.
    """

    host: str = Field(min_length=1, default="127.0.0.1")
    port: int = Field(ge=0, lt=65536, default=8640)
    token: SecretStr | None = Field(min_length=12, max_length=1024, default=None)
    allowed_hosts: tuple[str, ...] = ()
    cert_file: Path | None = None
    key_file: Path | None = Field(default=None, validate_default=True)
    session_days: float = Field(gt=0, le=366, default=30.0)
    blur_people: bool = True
    upload_bytes: int = Field(ge=65_536, le=256 * 1024 * 1024, default=16 * 1024 * 1024)
    upload_pixels: int = Field(gt=0, default=50_000_000)
    connections: int = Field(ge=4, le=1024, default=64)
    client_connections: int = Field(ge=2, le=1024, default=24)
    requests: Positive = 30.0
    searches: Positive = 2.0
    queue: int = Field(ge=1, le=64, default=4)
    patience: Positive = 30.0
    nice: int = Field(ge=0, le=19, default=10)

    @field_validator("key_file")
    @classmethod
    def _both(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if (key is None) != (info.data.get("cert_file") is None):
            raise ValueError("cert_file and key_file go together")
        return key


class Settings(_Section):
    """All of it.

    Attributes:
        device: this machine's name in topics and messages.
        drop: the folder that cameras write to; it is only ever read.
        state: the folder with everything that this product writes.
    """

    device: TopicPart = Field(default_factory=_default_device)
    drop: Path = Path("/var/lib/edge/drop")
    state: Path = Field(default=Path("/var/lib/edge"), validate_default=True)
    intake: IntakeSettings = IntakeSettings()
    vision: VisionSettings = VisionSettings()
    registration: RegistrationSettings = RegistrationSettings()
    mqtt: MqttSettings = MqttSettings()
    store: StoreSettings = StoreSettings()
    health: HealthSettings = HealthSettings()
    search: SearchSettings = SearchSettings()
    web: WebSettings = WebSettings()

    @field_validator("state")
    @classmethod
    def _keep_apart(cls, state: Path, info: ValidationInfo) -> Path:
        """Snapshots in the drop folder would be found as images, and those of them again, for ever."""
        drop = info.data.get("drop")
        if drop is not None and Path(os.path.realpath(state)).is_relative_to(os.path.realpath(drop)):
            raise ValueError(
                f"it must not lie in the drop folder {drop}: what is written there is found as images"
            )
        return state


SourceName = Literal["default", "file", "environment", "credential", "command line"]
