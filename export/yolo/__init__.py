"""``edge export yolo``: any ultralytics detector to ONNX for the device.

===================  ====================================================================================
``options``          what is asked for, read from the command line
``classes``          class names to animal, person, vehicle
``checkpoint``       ``.pt`` files, opened without running their code
``modules``          the networks in torch between pixels and what the device decodes
``graph``            torch to ONNX: cut, named, the scaling of pixels folded in
``compare``          ONNX against torch, the device's boxes against ultralytics'
``network``          all of it together
===================  ====================================================================================
"""

from export.yolo.network import build_network
from export.yolo.options import YoloOptions, options_of

__all__ = ["YoloOptions", "build_network", "options_of"]
