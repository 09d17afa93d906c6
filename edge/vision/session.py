"""ONNX Runtime at arm's length: sessions opened one way, its exceptions mapped once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol

import numpy.typing as npt

from edge.errors import BundleError, ProviderError
from edge.settings import PROVIDERS
from edge.vision.providers import Options

CPU: Final = PROVIDERS["cpu"]
DISTRIBUTIONS: Final = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")
_FATAL_ONLY: Final = 4  # errors are raised as well, and told in one line
_REASON: Final = 160
_INSTALL: Final = "install one of the extras: edge-camera-trap[cpu], [gpu] or [openvino]"

Arrays = Mapping[str, npt.NDArray[Any]]
Chain = Sequence[tuple[str, Options]]
"""Providers of one session with their options, best first."""


class UnusableError(ProviderError):
    """The provider's own libraries can't be loaded here."""


def installed_runtimes() -> dict[str, str]:
    """Distributions of ONNX Runtime that are installed: name -> version.

    More than one is a fault: both write the same module, and which one is imported is left to chance.
    """
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def runtime() -> ModuleType:
    """The ``onnxruntime`` module, imported at its first use.

    Its telemetry is turned off: from 1.31 on it keeps a device id in the home folder and sends to Microsoft
    unless this variable is set before the import (its own call to turn it off comes too late).

    Raises:
        ProviderError: it isn't installed or can't be loaded.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime  # noqa: PLC0415  60 ms that commands without vision don't pay
    except ImportError as error:
        raise ProviderError("ONNX Runtime can't be imported", subject=str(error), hint=_INSTALL) from error
    return onnxruntime  # type: ignore[no-any-return]  # untyped library


def available_providers() -> tuple[str, ...]:
    """Execution providers of the installed ONNX Runtime, its own order.

    Raises:
        ProviderError: it isn't installed.
    """
    return tuple(runtime().get_available_providers())


class Model:
    """One graph, ready to run on one execution provider; safe to run from several threads.

    Args:
        path: the ONNX file.
        provider: where to run; what the provider can't do runs on the next of the chain.
        threads: inside one run.
        chain: the provider and those behind it with their options (see
            :func:`edge.vision.providers.chain`); by default the CPU behind it, without options.

    Raises:
        BundleError: the file is missing or isn't a graph that ONNX Runtime understands.
        ProviderError: the provider can't be used, fell back to another by itself, or takes nothing of this
            graph.
    """

    def __init__(self, path: Path, provider: str = CPU, threads: int = 1, chain: Chain = ()) -> None:
        self.path = path
        self.provider = provider
        ort = runtime()
        named = chain or [(name, {}) for name in dict.fromkeys((provider, CPU))]
        with _mapped(f"{path.name} on {provider}", path):
            self._session = ort.InferenceSession(
                str(path),
                _options(ort, threads),
                providers=[(name, dict(options)) for name, options in named],
            )
        if self._session.get_providers()[0] != provider:
            raise UnusableError(
                f"{provider} is installed but can't be used",
                subject=path.name,
                hint="its libraries are missing or of another version; `edge doctor` says more",
            )
        self._session.disable_fallback()
        self.share = _share(self._session, provider)
        if self.share == 0:
            raise ProviderError(f"{provider} can do nothing of this graph", subject=path.name)
        self.inputs: dict[str, tuple[Any, ...]] = {i.name: tuple(i.shape) for i in self._session.get_inputs()}
        self.outputs: tuple[str, ...] = tuple(o.name for o in self._session.get_outputs())

    def run(self, inputs: Arrays, outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
        """Run the graph.

        Args:
            inputs: every input by its name, in the graph's dtype and shape.
            outputs: names of those wanted.

        Returns:
            the outputs, in the order asked for.

        Raises:
            ProviderError: the run failed.
        """
        with _mapped(f"{self.path.name} on {self.provider}"):
            results: list[npt.NDArray[Any]] = self._session.run(list(outputs), dict(inputs))
        return results


class Runtime(Protocol):
    """What opens models; tests put providers of their own here."""

    def available(self) -> tuple[str, ...]:
        """Execution providers that can be asked for."""
        ...

    def open(self, path: Path, provider: str, threads: int, chain: Chain) -> Model:
        """Open a graph; see :class:`Model`."""
        ...


class OnnxRuntime:
    """The installed ONNX Runtime."""

    def available(self) -> tuple[str, ...]:
        """See :func:`available_providers`."""
        return available_providers()

    def open(self, path: Path, provider: str, threads: int, chain: Chain) -> Model:
        """See :class:`Model`."""
        return Model(path, provider, threads, chain)


ONNX_RUNTIME: Final[Runtime] = OnnxRuntime()


def require(model: Model, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Compare a graph with what its manifest says.

    Raises:
        BundleError: an input or output that the manifest names isn't there.
    """
    absent = [name for name in inputs if name not in model.inputs]
    absent += [name for name in outputs if name not in model.outputs]
    if absent:
        raise BundleError(
            f"graph has no input or output called {', '.join(absent)}",
            subject=str(model.path),
            hint="its manifest belongs to another file",
        )


def _options(ort: ModuleType, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads  # the default would also set affinity, which systemd may forbid
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # an arena keeps the largest image's memory for ever
    options.enable_mem_pattern = (
        True  # a run's tensors are one piece, which goes back whole, and leaves no gaps
    )
    options.log_severity_level = _FATAL_ONLY
    # A thread that spins takes the core from the session beside it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return options


def _share(session: Any, provider: str) -> float | None:
    """Share of the graph's nodes that a provider took, 0 to 1; None if this version can't tell."""
    if not hasattr(session, "get_provider_graph_assignment_info"):  # from 1.24 on
        return None
    nodes: dict[str, int] = {}
    for part in session.get_provider_graph_assignment_info():
        nodes[part.ep_name] = nodes.get(part.ep_name, 0) + len(part.get_nodes())
    return nodes.get(provider, 0) / max(1, sum(nodes.values()))


@contextmanager
def _mapped(subject: str, path: Path | None = None) -> Iterator[None]:
    state = runtime().capi.onnxruntime_pybind11_state
    about_the_file = (state.NoSuchFile, state.InvalidProtobuf, state.InvalidGraph, state.NoModel)
    any_of_it = (
        *about_the_file, state.Fail, state.RuntimeException, state.NotImplemented, state.InvalidArgument,
        state.EngineError, state.EPFail, state.ModelLoaded, RuntimeError, ValueError,
    )  # fmt: skip
    try:
        yield
    except any_of_it as error:
        reason = _reason(str(error))
        if path is not None and (not path.is_file() or isinstance(error, about_the_file)):
            raise BundleError("model can't be loaded", subject=str(path), hint=reason) from error
        what = "model failed to run" if path is None else "model can't be opened"
        raise ProviderError(what, subject=subject, hint=reason) from error


def _reason(text: str) -> str:
    """An error of several lines, in one: how it begins, and the end, where a library says what it was."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no reason given"]
    if len(lines) == 1 and len(lines[0]) <= _REASON:
        return lines[0]
    return f"{lines[0][:_REASON]} ... {lines[-1][-_REASON:]}"
