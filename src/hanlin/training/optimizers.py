"""The optimizer step with fp32 master weights, and a running mean of the weights.

A module in bf16 keeps an fp32 master of every parameter here: gradients are widened, the step runs in fp32, the result is rounded back.
With an fp32 module the masters are the parameters themselves and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hanlin.errors import InvalidInput
from hanlin.training.config import TrainConfig


class Masters:
    """Parameters of one module, their fp32 masters and the optimizer over them.

    Args:
        module: in fp32; it is turned into `dtype` here, after its weights were kept as masters.
        scales: factor on the learning rate per parameter name; missing names learn at the full rate.
    """

    def __init__(self, module: nn.Module, config: TrainConfig, dtype: torch.dtype, scales: Mapping[str, float] | None = None) -> None:
        self.names = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
        self.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self.is_mixed = dtype != torch.float32
        self.masters: list[Tensor] = [parameter.detach().clone() for parameter in self.parameters] if self.is_mixed else [*self.parameters]
        self._gradients = [torch.empty_like(master) for master in self.masters] if self.is_mixed else []
        module.to(dtype)
        self.optimizer = _optimizer(self._groups(scales or {}, config), config)
        self._rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        self._clip = config.clip

    def step(
        self, factor: float, *, check: Callable[[float], None], add: Callable[[Sequence[Tensor]], None] = lambda masters: None
    ) -> None:
        """One step at `factor` of the full rate; gradients are dropped afterwards.

        Args:
            add: makes the masters' gradients those of all processes that train.
            check: is given the norm of the gradient; what it raises leaves the weights untouched.
        """
        if self.is_mixed:
            self._widen()
        add(self.masters)
        gradients = [master.grad for master in self.masters if master.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        check(float(norm))
        if self._clip:
            torch.nn.utils.clip_grads_with_norm_(self.masters, self._clip, norm)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.is_mixed:
            self.publish()

    @torch.no_grad()
    def _widen(self) -> None:
        """Move the gradients over to the masters, whose own fp32 buffers are kept from step to step."""
        for master, buffer, parameter in zip(self.masters, self._gradients, self.parameters, strict=True):
            master.grad = buffer if parameter.grad is not None else None
        pairs = [
            (master.grad, parameter.grad)
            for master, parameter in zip(self.masters, self.parameters, strict=True)
            if master.grad is not None
        ]
        torch._foreach_copy_([wide for wide, _ in pairs], [narrow for _, narrow in pairs if narrow is not None])
        for parameter in self.parameters:
            parameter.grad = None

    @contextmanager
    def borrowed(self, weights: Sequence[Tensor]) -> Iterator[None]:
        """The module holds `weights` inside the block, and its own again after it."""
        own = self.masters if self.is_mixed else [parameter.detach().clone() for parameter in self.parameters]
        with torch.no_grad():
            torch._foreach_copy_([parameter.data for parameter in self.parameters], list(weights))
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_([parameter.data for parameter in self.parameters], own)

    @torch.no_grad()
    def publish(self) -> None:
        """Round the masters into the module's parameters."""
        torch._foreach_copy_([parameter.data for parameter in self.parameters], self.masters)

    def tensors(self) -> dict[str, Tensor]:
        """Weights and optimizer state by name, fp32: all that a checkpoint needs of them."""
        found = {f"weight/{name}": master.detach() for name, master in zip(self.names, self.masters, strict=True)}
        for name, master in zip(self.names, self.masters, strict=True):
            for key, value in self.optimizer.state.get(master, {}).items():
                if isinstance(value, Tensor):
                    found[f"optimizer/{key}/{name}"] = value.detach()
        return found

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the state that `tensors` gave."""
        for name, master in zip(self.names, self.masters, strict=True):
            master.copy_(tensors[f"weight/{name}"])
            found = {
                key.split("/", 2)[1]: value
                for key, value in tensors.items()
                if key.startswith("optimizer/") and key.split("/", 2)[2] == name
            }
            if found:
                self.optimizer.state[master] = {key: value.clone() for key, value in found.items()}
        if self.is_mixed:
            self.publish()

    def _groups(self, scales: Mapping[str, float], config: TrainConfig) -> list[dict[str, object]]:
        """Parameters that share rate and decay. Biases and norms are not decayed (they have one dimension)."""
        groups: dict[tuple[float, float], list[Tensor]] = {}
        for name, master in zip(self.names, self.masters, strict=True):
            decay = config.weight_decay if master.ndim > 1 else 0.0
            groups.setdefault((scales.get(name, 1.0), decay), []).append(master)
        return [{"params": params, "lr": config.rate * scale, "weight_decay": decay} for (scale, decay), params in groups.items()]


def _optimizer(groups: list[dict[str, object]], config: TrainConfig) -> torch.optim.Optimizer:
    match config.optimizer:
        case "sgd":
            return torch.optim.SGD(groups, lr=config.rate, momentum=config.momentum, nesterov=config.momentum > 0, fused=True)
        case "adam":
            return torch.optim.Adam(groups, lr=config.rate, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, lr=config.rate, fused=True)
    raise InvalidInput("unknown_plugin", kind="optimizer", name=config.optimizer, choices="adam, adamw, sgd")


class Average:
    """A running mean of weights: mean += (1 - decay) x (weights - mean). Source: Polyak and Juditsky (1992), exponential form.

    The first steps count with a smaller decay, so that the random start is soon forgotten.
    """

    def __init__(self, weights: Sequence[Tensor], decay: float) -> None:
        self.decay = decay
        self.means = [weight.detach().clone() for weight in weights]
        self.count = 0

    @torch.no_grad()
    def update(self, weights: Sequence[Tensor]) -> None:
        """Take the weights after one step into account."""
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        torch._foreach_lerp_(self.means, [weight.detach() for weight in weights], 1 - decay)
