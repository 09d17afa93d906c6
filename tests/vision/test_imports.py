from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "transformers", "ultralytics", "optimum", "onnx", "tensorflow", "matplotlib", "scipy")


def _modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_device_path_never_imports_the_workstations_libraries() -> None:
    """Everything that a device runs, up to an open session, stays free of training frameworks."""
    modules = _modules_after(
        "import edge.vision.bench, edge.vision.bundles, edge.vision.labels, edge.vision.pipeline\n"
        "from edge.vision.session import available_providers\n"
        "available_providers()"
    )
    assert "onnxruntime" in modules
    assert not modules & set(HEAVY)


def test_room_is_light_until_it_is_used() -> None:
    """Importing the package, or what commands need to list things, costs neither OpenCV nor ONNX Runtime."""
    modules = _modules_after(
        "import edge.vision, edge.vision.labels, edge.vision.bundles, edge.vision.session"
    )
    assert not modules & {"cv2", "onnxruntime", "tokenizers", "PIL", "simplejpeg"}
