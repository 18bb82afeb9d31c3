"""Decoders on the `openvino` engine: sessions that write, over blocks of keys and values. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hanlin.engines.base import Floats, Ids, load_failed, step_failed
from hanlin.engines.blocks import BLOCK_TOKENS
from hanlin.engines.constraint_form import refused
from hanlin.engines.constraints import Constraints
from hanlin.engines.drafting import Drafter, check_draft
from hanlin.engines.openvino_paged import Paged, PagedModel
from hanlin.engines.paged_batch import MAX_ROWS, PagedBatch
from hanlin.engines.paged_reading import PagedReader
from hanlin.engines.token_choice import Line
from hanlin.errors import HanlinError, InvalidInput, as_exception
from hanlin.generation import Delta, Generated, GenerationSettings, longer
from hanlin.networks.config import read_config
from hanlin.networks.generation.form import PATIENCE_S, Form
from hanlin.tasks.spec import DRAFT_FOLDER

if TYPE_CHECKING:
    from openvino import Core

_POSITIONS = ("n_positions", "max_position_embeddings")  # where a config counts them
_UNKNOWN_POSITIONS = 4096  # of a config that does not say
_OVERCOMMIT = 2  # rows may be admitted for so many times what there is: few write all that they may, and who finds no block is set back
_LEAST_TOKENS = 4096  # a shorter row than a model could count is better than gigabytes for one row


class OpenvinoWriter:
    """See `StreamingSession`.

    Args:
        stops: what ends a target unless the settings say otherwise.
        positions: tokens that the network can count.
        tokenizer: the artifact's `tokenizer.json`, which constraints need; None: none is kept to.
        drafter: guesses for a row that is alone, where it is told.
    """

    num_streams = 1
    step_tokens: int | None = None
    has_tokens = False
    max_rows = MAX_ROWS

    def __init__(
        self, model: Paged, variant: str, *, stops: Sequence[int], positions: int, tokenizer: Path | None = None,
        drafter: Drafter | None = None,
    ) -> None:  # fmt: skip
        self._model: Paged | None = model
        self._variant, self._stops = variant, frozenset(stops)
        self._batch = PagedBatch(model, lambda error: step_failed(variant, error), drafter=drafter)
        self._most = min(positions, model.size * BLOCK_TOKENS)
        self._constraints: Constraints | None = None
        if tokenizer is not None:
            self._constraints = Constraints(tokenizer, num_tokens=model.vocabulary, stop_ids=stops)
        # A row fills its last block by one token at least.
        self.room_tokens: int | None = max(self._most, _OVERCOMMIT * (model.size - MAX_ROWS) * BLOCK_TOKENS)

    def run(
        self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, Floats]:
        """See `WritingSession`: it has no arrays to answer with."""
        raise step_failed(self._variant, TypeError("a network that writes"))

    def admit(self, number: int, row: Sequence[int], settings: GenerationSettings) -> None:
        """See `StreamingSession.admit`. A form that takes long is made meanwhile; if it is none its row ends with that error."""
        if settings.reads:
            raise InvalidInput("setting_not_served", variant=self._variant, name="reads")
        line, form = self._line(row, settings), self._form(settings)
        if form is not None:
            with suppress(TimeoutError):
                form.result(PATIENCE_S)
        self._batch.admit(number, line, form)

    def drop(self, number: int) -> None:
        """See `StreamingSession.drop`."""
        self._batch.drop(number)

    def turn(self) -> list[Delta]:
        """See `StreamingSession.turn`."""
        assert self._model is not None, "closed session"
        try:
            return self._batch.turn()
        except BaseException as error:
            self._batch.clear()
            if isinstance(error, HanlinError):
                raise
            raise step_failed(self._variant, as_exception(error)) from error

    def generate(
        self, rows: Sequence[Sequence[int]], settings: Sequence[GenerationSettings], *, is_wanted: Callable[[int], bool] = lambda row: True
    ) -> list[Generated]:
        """See `WritingSession.generate`. Nothing that is known of earlier rows is used: such calls judge and measure."""
        assert self._model is not None, "closed session"
        read = [number for number, each in enumerate(settings) if each.reads]
        lines = {number: self._line(row, each) for number, (row, each) in enumerate(zip(rows, settings, strict=True)) if not each.reads}
        try:
            found = self._read({number: rows[number] for number in read}, settings, is_wanted) if read else {}
            found |= self._write(lines, is_wanted)
        except (RuntimeError, IndexError) as error:
            self._batch.clear()
            raise step_failed(self._variant, error) from error
        return [found[number] for number in range(len(rows))]

    def close(self) -> None:
        """Drop the models."""
        self._model = None
        self._batch.close()
        if self._constraints is not None:
            self._constraints.close()

    def _line(self, row: Sequence[int], settings: GenerationSettings) -> Line:
        if settings.num_beams > 1:
            raise InvalidInput("setting_not_served", variant=self._variant, name="num_beams")
        stops = self._stops if settings.stop_ids is None else frozenset(settings.stop_ids)
        assert settings.grammar is None or stops, "a grammar needs a token that ends its forms"
        return Line(settings, tuple(row), stops, min(settings.max_new_tokens, self._most - len(row)))

    def _form(self, settings: GenerationSettings) -> Future[Form] | None:
        if settings.constraint is None:
            return None
        if self._constraints is None:
            raise refused("the model has no tokenizer.json")
        made: Future[Form] = self._constraints.form(settings.constraint)
        return made

    def _write(self, lines: Mapping[int, Line], is_wanted: Callable[[int], bool]) -> dict[int, Generated]:
        found: dict[int, Generated] = {}
        for number, line in lines.items():
            self._batch.admit(number, line, self._form(line.settings), shares=False)
        so_far = dict.fromkeys(lines, Generated((), "cancelled"))
        while len(found) < len(lines):
            for number in [number for number in lines if number not in found and not is_wanted(number)]:
                self._batch.drop(number)
                found[number] = so_far[number]
            for delta in self._batch.turn():
                if delta.error is not None:
                    self._batch.clear()
                    raise delta.error
                so_far[delta.number] = longer(so_far[delta.number], delta)
                if delta.finish is not None:
                    found[delta.number] = so_far[delta.number]
        return found

    def _read(
        self, rows: Mapping[int, Sequence[int]], settings: Sequence[GenerationSettings], is_wanted: Callable[[int], bool]
    ) -> dict[int, Generated]:
        assert self._model is not None
        if any(len(row) > self._most or not 0 <= min(row) <= max(row) < self._model.vocabulary for row in rows.values()):
            raise IndexError("a row that is too long, or an id beyond the vocabulary")
        reader = PagedReader(self._model, self._batch.pool)
        return reader.read(rows, {number: settings[number].likeliest for number in rows}, is_wanted)


def load_writer(core: Core, folder: Path, variant: str, files: Sequence[Path], properties: Mapping[str, str]) -> OpenvinoWriter:
    """The decoder whose stateful model is in `files`, with its draft model where the folder has one. Raises EngineFailed
    (`engine_load_failed`)."""
    config = read_config(folder)
    positions, stops = _positions(config), config.get("eos_token_id")
    paged = _paged(core, variant, files, properties, num_rows=MAX_ROWS, positions=positions)
    drafter = _drafter(core, folder, variant, properties, paged.vocabulary) if (folder / DRAFT_FOLDER).is_dir() else None
    found, tokenizer = stops if isinstance(stops, list) else [stops], folder / "tokenizer.json"
    return OpenvinoWriter(
        paged, variant, stops=[token for token in found if isinstance(token, int)], positions=positions,
        tokenizer=tokenizer if tokenizer.is_file() else None, drafter=drafter,
    )  # fmt: skip


def _drafter(core: Core, folder: Path, variant: str, properties: Mapping[str, str], vocabulary: int) -> Drafter:
    """On the threads of the other model, in whatever precision is there."""
    draft = check_draft(folder, variant)
    xml = next(iter(sorted(draft.glob("variants/openvino*/model.xml"))), None)
    if xml is None:
        raise load_failed(variant, "its draft model has no variant of this engine")
    positions = _positions(read_config(draft))
    model = _paged(core, variant, (xml, xml.with_suffix(".bin")), properties, num_rows=1, positions=positions)
    return Drafter(model, positions=positions, vocabulary=vocabulary)


def _positions(config: Mapping[str, object]) -> int:
    return next((found for name in _POSITIONS if isinstance(found := config.get(name), int) and found > 0), _UNKNOWN_POSITIONS)


def _paged(core: Core, variant: str, files: Sequence[Path], properties: Mapping[str, str], *, num_rows: int, positions: int) -> PagedModel:
    try:
        model = core.read_model(*map(str, files))
        return PagedModel(core, model, properties, most_tokens=num_rows * positions, least_tokens=min(positions, _LEAST_TOKENS))
    except Exception as error:  # native exceptions of several kinds
        raise load_failed(variant, "model.xml or model.bin is damaged or not a valid model", details=str(error)) from error
