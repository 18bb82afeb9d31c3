"""A library that torch's ahead-of-time compiler made, called through its C interface (`aoti_runtime/interface.h` of torch).

torch's own runner (`AOTIModelContainerRunnerCpu`, 2.13) holds Python's lock for the whole step, in which a worker could neither read nor
refuse; ctypes lets go of it. The interface is a stable one: libraries and torch are built apart.
"""

from __future__ import annotations

import _ctypes
import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# torch hands tensors over as capsules without a name.
_POINTER_OF = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", ctypes.pythonapi))
_CAPSULE_OF = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(("PyCapsule_New", ctypes.pythonapi))


class InductorLibrary:
    """One compiled model on the CPU, for one caller at a time.

    Attributes:
        num_outputs: one, or two of an embedder that gives the vectors of its tokens too.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError or AttributeError when it is no such library, RuntimeError when it does not start."""
        import torch  # noqa: F401 (the library's symbols are resolved against it)

        self._library = ctypes.CDLL(str(path))
        self._container = ctypes.c_void_p()
        self._call("CreateWithDevice", ctypes.byref(self._container), ctypes.c_size_t(1), b"cpu", None)
        count = ctypes.c_size_t()
        self._call("GetNumOutputs", self._container, ctypes.byref(count))
        self.num_outputs = count.value
        if self.num_outputs not in (1, 2):
            raise RuntimeError(f"{count.value} outputs instead of one or two")

    def run(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The model's outputs. Raises RuntimeError when the step fails; torch writes the reason to the log."""
        from torch._C import _aoti

        handles = [_POINTER_OF(capsule, None) for capsule in _aoti.unsafe_alloc_void_ptrs_from_tensors(list(inputs))]
        given = (ctypes.c_void_p * len(handles))(*handles)  # the library's from here on, also when it fails
        found = (ctypes.c_void_p * self.num_outputs)()
        self._call("Run", self._container, given, ctypes.c_size_t(len(handles)), found, ctypes.c_size_t(self.num_outputs), None, None)
        return [_aoti.alloc_tensor_by_stealing_from_void_ptr(_CAPSULE_OF(handle, None, None)) for handle in found]

    def close(self) -> None:
        """Free the model and unmap the library."""
        self._call("Delete", self._container)
        _ctypes.dlclose(self._library._handle)

    def _call(self, name: str, *arguments: object) -> None:
        if getattr(self._library, f"AOTInductorModelContainer{name}")(*arguments):
            raise RuntimeError(f"{name} failed")
