"""A small builder of ONNX graphs: nodes and constants by name, no tracing, the same bytes every time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 20
IR_VERSION = 9  # both are read by every ONNX Runtime since 1.17
Array = NDArray[Any]
Dim = int | str


class GraphBuilder:
    """Collects nodes and initialisers in order; names are derived from what the caller calls a thing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, name: str, dtype: type[np.generic], shape: tuple[Dim, ...]) -> str:
        """Declare a graph input; a string in ``shape`` is a dynamic dimension."""
        self._inputs.append(_value_info(name, dtype, shape))
        return name

    def output(self, name: str, dtype: type[np.generic], shape: tuple[Dim, ...]) -> None:
        """Declare a graph output; some node must have produced a value of this name."""
        self._outputs.append(_value_info(name, dtype, shape))

    def constant(self, name: str, value: Array | np.generic) -> str:
        """Add an initialiser once; the second caller of the same name must bring the same value."""
        from onnx import numpy_helper  # noqa: PLC0415 - only the workstation has onnx

        known = self._constants.get(name)
        tensor = numpy_helper.from_array(np.array(value, order="C"), name)
        if known is not None and known != tensor:
            raise ValueError(f"constant {name} has two values")
        self._constants[name] = tensor
        return name

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node with one output and return the output's name."""
        return self.nodes(op, inputs, [output], **attributes)[0]

    def nodes(self, op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> list[str]:
        """Append a node with several outputs and return their names."""
        from onnx import helper  # noqa: PLC0415

        self._nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], **attributes))
        return outputs

    def model(self) -> Any:
        """The checked ``onnx.ModelProto``."""
        import onnx  # noqa: PLC0415

        graph = onnx.helper.make_graph(
            self._nodes, self.name, self._inputs, self._outputs, list(self._constants.values())
        )
        model = onnx.helper.make_model(
            graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], producer_name="edge-export"
        )
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        return model


def _value_info(name: str, dtype: type[np.generic], shape: tuple[Dim, ...]) -> Any:
    from onnx import helper  # noqa: PLC0415

    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
