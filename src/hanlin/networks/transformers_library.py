"""transformers, as networks import it: without what its model code loads for others."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

# scipy for the losses of object detection, accelerate for networks that are spread over devices: about a sixth of the time of loading it.
_UNUSED = ("scipy", "accelerate")


def import_transformers() -> ModuleType:
    """The module. When it is imported it asks once what is installed; where that is here, the answer for these is no."""
    if "transformers" in sys.modules:
        return sys.modules["transformers"]
    hidden = [name for name in _UNUSED if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's own way to make an import fail
    try:
        return importlib.import_module("transformers")
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
