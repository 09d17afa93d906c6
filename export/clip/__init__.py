"""CLIP and its kin to a bundle's visual and text towers.

:func:`build_network` loads a model from transformers' layout or an open_clip checkpoint, with a multilingual
text side where one is asked for, and writes both towers as graphs re-expressed for speed on the device.
"""

from export.clip.build import CROP_MARGIN, Options, build_network

__all__ = ["CROP_MARGIN", "Options", "build_network"]
