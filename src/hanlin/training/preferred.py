"""Learning from preference pairs: the better answer gains on the worse one, measured against the model as it was before.

    loss = -log σ(β ((log π(better) - log π_ref(better)) - (log π(worse) - log π_ref(worse))))

Source: Rafailov et al., Direct Preference Optimization (2023), equation 7; with label smoothing ε the share ε of the pairs is taken to
stand the wrong way round (Mitchell, A note on DPO with noisy preferences, 2023). The reference's logarithms do not change, so they are
computed once, before the first step, and kept in a file beside the checkpoints: no second network stays in memory.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from hanlin.errors import InvalidInput
from hanlin.tasks.chat import Message, check_learnable, late_part, num_system, speak
from hanlin.tasks.continued_texts import Passage, messages_of, passage_of, rejected_of
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.read_texts import start_of
from hanlin.tasks.spec import ModelSpec
from hanlin.training.batches import plan_evaluation
from hanlin.training.config import TrainConfig
from hanlin.training.continued import IGNORED, READ, ContinuedRows, kinds_of, passage_row, runs_of, scores_of
from hanlin.training.encoders import scales_of
from hanlin.training.lesson import Setting
from hanlin.training.ports import Rows

REFERENCE_FILE = "reference.safetensors"
_JUDGED_TOKENS = 4096  # of a batch: scores of a vocabulary stand at each


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs as rows: the better answer of pair n is row 2 n, the worse one row 2 n + 1; both behind the same tokens where they can be.

    Attributes:
        num_left: pairs without a token that could be learned, because the question fills the row.
    """

    rows: ContinuedRows
    num_left: int = 0

    def __len__(self) -> int:
        return len(self.rows.ids) // 2

    @property
    def lengths(self) -> list[int]:
        """Tokens of every pair, padding of the shorter row included."""
        lengths = self.rows.lengths
        return [2 * max(lengths[place : place + 2]) for place in range(0, len(lengths), 2)]

    def digest(self) -> bytes:
        """Changes with every id and kind."""
        found = hashlib.sha256()
        for ids, kinds in zip(self.rows.ids, self.rows.kinds, strict=True):
            found.update(len(ids).to_bytes(4, "little") + ids.tobytes() + kinds.tobytes())
        return found.digest()


def pairs_of(rows: Rows, encoder: TextEncoder, spec: ModelSpec, *, end: int, longest: int) -> Pairs:
    """The pairs of a split, cut to `longest` tokens a row: of both rows the same beginning is left out.

    Raises:
        InvalidInput: `not_preferences` with the row; `no_chat_form` for a talk where the model knows no form;
            `chat_template_not_learnable`.
    """
    found = ContinuedRows([], [], 0)
    num_left = 0
    for index, label in enumerate(rows.labels):
        worse = rejected_of(label)
        if worse is None:
            raise InvalidInput("not_preferences", row=index + 1)
        talk, passage = messages_of(label), passage_of(label)
        if talk:
            two = _talk_rows(talk, worse, encoder, spec, index=index, longest=longest)
        else:
            assert passage is not None, "a pair is of talks or of texts"
            two = _passage_rows(passage, worse, encoder, start_of(encoder, spec), end=end, longest=longest)
        if two[0][0] == two[1][0] or not all(any(kinds[1:]) for _, kinds in two):
            num_left += 1
            continue
        for ids, kinds in two:
            found.ids.append(array("i", ids))
            found.kinds.append(array("i", kinds))
    return Pairs(found, num_left)


_Row = tuple[list[int], list[int]]


def _talk_rows(
    talk: Sequence[Message], worse: str, encoder: TextEncoder, spec: ModelSpec, *, index: int, longest: int
) -> tuple[_Row, _Row]:  # fmt: skip
    if spec.chat is None:
        raise InvalidInput("no_chat_form", index=index)
    form, room, tokenizer = spec.chat, longest - len(encoder.head), encoder.tokenizer
    talks = (talk, (*talk[:-1], Message("assistant", worse)))
    for one in talks:
        check_learnable(form, one, index=index)
    system = num_system(talk)
    out = max(late_part(tokenizer, form, one, is_asking=False, room=room, index=index)[1] for one in talks)

    def row(one: Sequence[Message]) -> _Row:
        said = speak(tokenizer, form, [*one[:system], *one[system + out :]], is_asking=False, index=index)
        begin = runs_of(said.is_answer)[-1][0]  # what the assistant said before is part of the question
        kinds = [READ] * begin + kinds_of(said)[begin:]
        return [*encoder.head, *said.ids[:room]], [READ] * len(encoder.head) + kinds[:room]

    return row(talks[0]), row(talks[1])


def _passage_rows(
    passage: Passage, worse: str, encoder: TextEncoder, start: Sequence[int], *, end: int, longest: int
) -> tuple[_Row, _Row]:  # fmt: skip
    rows = [passage_row(one, encoder) for one in (passage, Passage(passage.prompt, worse))]
    room, size = longest - len(start), max(len(row.completion) for row in rows)
    rooms = [room - (size - len(row.completion)) for row in rows]  # the shorter one leaves some free: both read the same prompt
    better, other = (row.row(start, end, room=min(room, max(own, len(row.completion) + 1))) for row, own in zip(rows, rooms, strict=True))
    return better, other


def answer_logs(module: nn.Module, rows: ContinuedRows, numbers: Sequence[int], pad_id: int) -> Tensor:
    """Natural logarithms of the chances of these rows' answers, (rows,) float32."""
    scores, gold, _ = scores_of(module, rows, numbers, pad_id)
    losses = functional.cross_entropy(scores.flatten(0, 1), gold.flatten(), ignore_index=IGNORED, reduction="none")
    return -losses.view_as(gold).sum(1)


def all_logs(module: nn.Module, pairs: Pairs, pad_id: int, check: Callable[[], None] = lambda: None) -> Tensor:
    """The same of every row, (2 × pairs,); the module is in eval mode afterwards.

    Args:
        check: called now and then; what it raises ends the work.
    """
    module.eval()
    found = torch.empty(len(pairs.rows.ids))
    with torch.inference_mode():
        for batch in plan_evaluation(pairs.rows.lengths, batch_tokens=_JUDGED_TOKENS):
            check()
            found[torch.tensor(batch)] = answer_logs(module, pairs.rows, batch, pad_id)
    return found


def gains_of(logs: Tensor, reference: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Rewards of the better and of the worse answers, (pairs,) each: β times what they gained on the reference.

    Args:
        logs, reference: (2 × pairs,), better and worse by turns.
    """
    gains = beta * (logs - reference).view(-1, 2)  # (pairs, 2)
    return gains[:, 0], gains[:, 1]


def preference_loss(margins: Tensor, smoothing: float = 0.0) -> Tensor:
    """Loss of each pair whose better answer has gained so much more, (pairs,)."""
    return -(1 - smoothing) * functional.logsigmoid(margins) - smoothing * functional.logsigmoid(-margins)


@dataclass(frozen=True, slots=True)
class PreferenceCourse:
    """See `Course`. Also `Divided`."""

    config: TrainConfig
    module: nn.Module
    pad_id: int
    train: Pairs
    validation: Pairs
    reference: Mapping[str, Tensor]
    save: Callable[[], None]

    @property
    def scales(self) -> Mapping[str, float]:
        """See `Course`."""
        return scales_of(self.module, self.config)

    @property
    def lengths(self) -> Sequence[int]:
        """See `Course`."""
        return self.train.lengths

    def loss(self, module: nn.Module, rows: Sequence[int]) -> Tensor:
        """See `Course.loss`: the mean over the pairs."""
        numbers = [number for row in rows for number in (2 * row, 2 * row + 1)]
        logs = answer_logs(module, self.train.rows, numbers, self.pad_id)
        better, worse = gains_of(logs, self.reference["train"][torch.tensor(numbers)], self.config.beta)
        return preference_loss(better - worse, self.config.label_smoothing).mean()

    def weight(self, rows: Sequence[int]) -> float:
        """See `Divided.weight`."""
        return len(rows)

    def judge(self) -> dict[str, float]:
        """See `Course.judge`: the loss as it is learned, the share of pairs whose better answer gains more, what both gain."""
        logs = all_logs(self.module, self.validation, self.pad_id)
        better, worse = (gains.double() for gains in gains_of(logs, self.reference["validation"], self.config.beta))
        return {
            "loss": float(preference_loss(better - worse, self.config.label_smoothing).mean()),
            "reward_accuracy": float((better > worse).double().mean()), "margin": float((better - worse).mean()),
            "chosen_reward": float(better.mean()), "rejected_reward": float(worse.mean()),
        }  # fmt: skip

    def finish(self, best: float) -> float:
        """See `Course.finish`."""
        self.save()
        return best


def preference_course(
    setting: Setting, module: nn.Module, spec: ModelSpec, encoder: TextEncoder, *, end: int, save: Callable[[], None]
) -> PreferenceCourse:  # fmt: skip
    """The pairs of a run, and what its base thinks of them: read from the file beside the checkpoints, or computed and kept there.

    Raises:
        InvalidInput: as `pairs_of`; `nothing_to_learn` where a split has no pair that fits.
    """
    data, longest = setting.data, encoder.max_length
    train, validation = (pairs_of(rows, encoder, spec, end=end, longest=longest) for rows in (data.train, data.validation))
    if not len(train) or not len(validation):
        raise InvalidInput("nothing_to_learn", problem="no pair has answers that fit", train=len(train), validation=len(validation))
    if left := train.num_left + validation.num_left:
        setting.progress.message("pairs_left_out", pairs=left, length=longest)
    reference = _reference(setting, module, {"train": train, "validation": validation}, spec.pad_id)
    return PreferenceCourse(setting.config, module, spec.pad_id, train, validation, reference, save)


def _reference(setting: Setting, module: nn.Module, parts: Mapping[str, Pairs], pad_id: int) -> dict[str, Tensor]:
    assert setting.base is not None, "checked with the options"
    digest, path = _digest(setting.base, parts), setting.out.parent / REFERENCE_FILE
    if (known := _read(path, digest)) is not None:
        return known
    setting.progress.message("reference_read", pairs=sum(map(len, parts.values())))
    found = {name: all_logs(module, pairs, pad_id, setting.progress.check_cancelled) for name, pairs in parts.items()}
    part = path.with_suffix(".part")
    save_file(found, part, {"digest": digest})
    part.replace(path)
    return found


def _read(path: Path, digest: str) -> dict[str, Tensor] | None:
    try:
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("digest") != digest:
                return None
            return {name: file.get_tensor(name) for name in ("train", "validation")}
    except (OSError, SafetensorError):
        return None


def _digest(base: Path, parts: Mapping[str, Pairs]) -> str:
    with (base / "model.safetensors").open("rb") as file:
        found = hashlib.file_digest(file, "sha256")
    for pairs in parts.values():
        found.update(pairs.digest())
    return found.hexdigest()
