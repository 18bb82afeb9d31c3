"""One network that writes under many adapters at once: every row of a step gets the low-rank matrices of its own.

There are no heads: a decoder's adapters are matrices alone. The base itself writes as well: it has the first place of every stack, whose
matrices are zeros.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from hanlin.errors import InvalidInput
from hanlin.networks.adapter import AdapterSettings
from hanlin.networks.config import GENERATOR_TYPES, NetworkConfig, read_config
from hanlin.networks.generation.adapted import BASE, AdaptedModel
from hanlin.networks.generation.run import step_model
from hanlin.networks.head import Head
from hanlin.networks.loading import TORCH_DTYPES, Attention, Dtype, load_base, quiet_transformers
from hanlin.networks.lora import base_folder, read_adapter
from hanlin.networks.mixed_layers import BatchPlaces
from hanlin.networks.mixed_matrices import MixedMatrices, matrices_of
from hanlin.networks.transformers_library import import_transformers
from hanlin.types import JsonObject, shorten

# Of a config.json, what says nothing of what the network computes when it serves; whatever is named for dropout does not, either.
_UNREAD = frozenset({
    "hanlin_head", "architectures", "dtype", "torch_dtype", "transformers_version", "_name_or_path", "use_cache", "initializer_range",
    "bos_token_id", "pad_token_id",
})  # fmt: skip


class MixedWriter:
    """A base that writes, and its adapters. `add` and `remove` on any threads, beside one that writes.

    Args:
        folder: an artifact folder of an adapter: its base is loaded.

    Attributes:
        steps: to write with.

    Raises:
        InvalidInput: `weights_do_not_fit`, and as the base's files are wrong.
    """

    def __init__(self, folder: Path, *, dtype: Dtype = "fp32", attention: Attention = "sdpa") -> None:
        base = base_folder(folder)
        module, lacking = load_base(base, Head.load(folder), attention)
        if lacking:
            raise InvalidInput("weights_do_not_fit", names=", ".join(lacking[:5])[:200])
        module = module.to(TORCH_DTYPES[dtype]).requires_grad_(requires_grad=False).eval()
        self._config = network_values(base)
        self._matrices = MixedMatrices(module, batch := BatchPlaces(), TORCH_DTYPES[dtype])
        self._places: dict[int, int] = {}
        self._num_taken = 0
        self._lock = threading.Lock()
        self.steps = AdaptedModel(step_model(module), batch, self._places.__getitem__)

    def add(self, folder: Path) -> int:
        """Take an adapter in; others are not touched.

        Returns:
            What names it in the settings of a row, and no other adapter ever.

        Raises:
            InvalidInput: `weights_do_not_fit`; `adapter_not_shared` where its config.json is of another network than the base's, or it
                brings more than matrices.
        """
        settings, tensors, config = AdapterSettings.load(folder), read_adapter(folder), network_values(folder)
        if other := sorted(name for name in config.keys() | self._config.keys() if config.get(name) != self._config.get(name)):
            raise InvalidInput("adapter_not_shared", name=shorten(", ".join(other[:5])))
        matrices = matrices_of(tensors)
        if len(tensors) != 2 * len(matrices):
            raise InvalidInput("adapter_not_shared", name=shorten(next(name for name in tensors if ".lora_" not in name)))
        with self._lock:
            self._matrices.check(matrices)
            used = {BASE, *self._places.values()}
            place = next(place for place in range(len(used) + 1) if place not in used)
            self._matrices.put(place, matrices, settings.scaling)
            self._num_taken += 1
            self._places[self._num_taken] = place
            return self._num_taken

    def remove(self, number: int) -> None:
        """Let an adapter go; no row may name it any more."""
        with self._lock:
            del self._places[number]


def network_values(folder: Path) -> JsonObject:
    """What the config.json of a folder says of the maths, defaults filled in: two folders with the same may share weights.

    Raises:
        InvalidInput: `invalid_network_config`, `weights_do_not_fit`.
    """
    if read_config(folder).get("model_type") in GENERATOR_TYPES:
        own = NetworkConfig.load(folder)
        values: dict[str, Any] = {name: getattr(own, name) for name in own.__dataclass_fields__}
    else:
        values = _pretrained_config(folder).to_dict()
    return {name: value for name, value in values.items() if name not in _UNREAD and "drop" not in name}


def _pretrained_config(folder: Path) -> Any:
    transformers = import_transformers()
    try:
        with quiet_transformers():
            return transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # as in `loading.load_pretrained`
        raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names="config.json") from error
