"""TLS towards the broker: a context from settings, and what went wrong in words that lead on."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from edge.errors import DeliveryError
from edge.settings import MqttSettings

FILES: Final = "tls_files"

# X509_verify_cert's codes (OpenSSL, X509_STORE_CTX_get_error).
_VERIFY: Final[dict[int, tuple[str, str]]] = {
    9: ("tls_not_yet_valid", "the broker's certificate isn't valid yet; is this machine's clock right?"),
    10: ("tls_expired", "the broker's certificate has expired; or is this machine's clock wrong?"),
    18: (
        "tls_untrusted",
        "the broker's certificate vouches for itself; give it, or its CA's, as mqtt.ca_file",
    ),
    19: ("tls_untrusted", "nobody here trusts the CA of the broker's certificate; give it as mqtt.ca_file"),
    20: ("tls_untrusted", "nobody here trusts the CA of the broker's certificate; give it as mqtt.ca_file"),
    21: ("tls_untrusted", "the broker doesn't send the certificates between its own and mqtt.ca_file"),
    62: ("tls_wrong_name", "the broker's certificate is for another name than mqtt.host"),
    64: ("tls_wrong_name", "the broker's certificate is for another address than mqtt.host; use its name"),
}
NOT_SPOKEN: Final = ("no_tls", "the other side doesn't speak TLS; is this the broker's TLS port (8883)?")
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")


def client_context(settings: MqttSettings) -> ssl.SSLContext:
    """How the broker is checked, and what this device shows of itself.

    Args:
        settings: ``ca_file`` (the system's if not given), ``cert_file`` and ``key_file``.

    Raises:
        DeliveryError: a file is missing, can't be read, or doesn't hold what it should.
    """
    for path in (settings.ca_file, settings.cert_file, settings.key_file):
        _check_readable(path)
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except ssl.SSLError as error:
        raise DeliveryError("mqtt.ca_file is no certificate in PEM", subject=str(settings.ca_file)) from error
    if settings.cert_file is not None:
        try:
            context.load_cert_chain(settings.cert_file, settings.key_file, _no_password)
        except ssl.SSLError as error:
            what = "mqtt.cert_file and mqtt.key_file aren't a certificate and its key in PEM"
            raise DeliveryError(what, subject=str(settings.cert_file), hint=error.reason or "") from error
    return context


def explain(error: ssl.SSLError) -> tuple[str, str]:
    """What went wrong in a handshake, as a stable word and a sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        other = ("tls_untrusted", f"the broker's certificate isn't accepted: {error.verify_message}")
        return _VERIFY.get(error.verify_code, other)
    reason = error.reason or str(error)
    if "ALERT" in reason:
        word = reason.partition("ALERT_")[2].replace("_", " ").lower()
        sentence = f"the broker doesn't accept this device's certificate or TLS version: {word}"
        return "tls_refused", f"{sentence}; check mqtt.cert_file and mqtt.key_file"
    if isinstance(error, ssl.SSLEOFError) or any(sign in reason for sign in _NO_TLS):
        return NOT_SPOKEN
    return "tls_failed", f"the TLS handshake failed: {reason}"


def _check_readable(path: Path | None) -> None:
    """Python's own errors don't say which file it was."""
    if path is None:
        return
    try:
        with path.open("rb"):
            return
    except OSError as error:
        what = f"TLS file can't be read: {error.strerror}"
        raise DeliveryError(
            what, subject=str(path), hint="the service's user must be able to read it"
        ) from error


def _no_password() -> str:
    """An encrypted key would make OpenSSL ask at the terminal, and a service wait for ever."""
    raise DeliveryError("mqtt.key_file is encrypted", hint="use one without a passphrase, as a credential")
