"""ONNX Runtime at arm's length: sessions opened one way, its exceptions mapped once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy.typing as npt

from edge.errors import BundleError, ProviderError

CPU: Final = "CPUExecutionProvider"
DISTRIBUTIONS: Final = ("onnxruntime", "onnxruntime-gpu")
_ERRORS_ONLY: Final = 3
_INSTALL: Final = "install one of the extras: edge-camera-trap[cpu] or edge-camera-trap[gpu]"

Arrays = Mapping[str, npt.NDArray[Any]]


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
        provider: where to run; what the provider can't do runs on the CPU.
        threads: inside one run.

    Raises:
        BundleError: the file is missing or isn't a graph that ONNX Runtime understands.
        ProviderError: the provider can't be used, or fell back to another by itself.
    """

    def __init__(self, path: Path, provider: str = CPU, threads: int = 1) -> None:
        self.path = path
        self.provider = provider
        ort = runtime()
        with _mapped(f"{path.name} on {provider}", path):
            chain = [provider] if provider == CPU else [provider, CPU]
            self._session = ort.InferenceSession(str(path), _options(ort, threads), providers=chain)
        if self._session.get_providers()[0] != provider:
            raise ProviderError(
                f"{provider} is installed but can't be used",
                subject=path.name,
                hint="its libraries are missing or of another version; `edge doctor` says more",
            )
        self._session.disable_fallback()
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
    options.enable_mem_pattern = False
    options.log_severity_level = _ERRORS_ONLY
    # A thread that spins takes the core from the session beside it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


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
        reason = str(error).strip().splitlines()[0]
        if path is not None and (not path.is_file() or isinstance(error, about_the_file)):
            raise BundleError("model can't be loaded", subject=str(path), hint=reason) from error
        raise ProviderError("model failed to run", subject=subject, hint=reason) from error
