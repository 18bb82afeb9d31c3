"""One base that writes under many adapters: each row is written as by its adapter alone, whoever shares the batch; they come and go."""

from __future__ import annotations

import json
import random
import re
import shutil
import string
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.engines.test_engines_streaming import gathered
from tests.networks.test_networks_lora_writers import ON_BERT, base_of
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import nn
from torch.nn import functional

from hanlin.engines.sharing import can_share, load_shared
from hanlin.engines.torch_shared_writer import TorchSharedWriter
from hanlin.errors import EngineFailed, InvalidInput
from hanlin.generation import Constraint, Generated, GenerationSettings
from hanlin.networks.adapter import WEIGHTS_FILE, AdapterSettings
from hanlin.networks.generation.run import generate, step_model
from hanlin.networks.loading import load_model, save_network
from hanlin.networks.lora import attach, lay_out_base, weight_names
from hanlin.networks.mixed_layers import BatchPlaces, MixedLinear, Rows

ADAPTERS = ((4, ()), (2, ("all",)), (6, ("all",)))  # rank and targets
LONG = [(7 * place + 3) % 37 + 4 for place in range(40)]
ROWS = [[5, 6, 7, 8], [9], LONG[:12]]


def adapters_of(kind: str, root: Path) -> list[Path]:
    """Artifact folders over one base: random matrices of the ranks and at the layers above."""
    base, found = base_of(kind, root / "made"), []
    for number, (rank, targets) in enumerate(ADAPTERS):
        found.append(adapter_of(base, root / f"a{number}", number, rank, targets))
    return found


def adapter_of(base: Path, folder: Path, number: int, rank: int, targets: tuple[str, ...]) -> Path:
    """One artifact folder: random matrices by its number."""
    module = load_model(base)
    attach(module, AdapterSettings(rank, 8.0, targets=targets), weight_names(base / "model.safetensors"))
    torch.manual_seed(number)
    for name, parameter in module.named_parameters():
        if ".lora_" in name:
            nn.init.normal_(parameter, std=0.4)
    folder.mkdir()
    save_network(module, folder)
    lay_out_base(base, folder)
    (folder / "tokenizer.json").write_text(letters().to_str(), encoding="utf-8")
    return folder


def letters() -> Tokenizer:
    """A token for each letter: enough that forms can be spelt."""
    names = ["<pad>", "<unk>", "<begin>", "<end>", *string.ascii_letters, *"0123"]
    tokenizer = Tokenizer(models.BPE({name: number for number, name in enumerate(names)}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return tokenizer


def shared(folder: Path) -> TorchSharedWriter:
    session = load_shared(folder, "torch-fp32", threads=1)
    assert isinstance(session, TorchSharedWriter)
    return session


def alone(folder: Path, row: list[int], settings: GenerationSettings) -> Generated:
    """By the adapter's own network, the matrices taken into the weights."""
    return generate(step_model(load_model(folder)), [row], [settings])[0]


def assert_alike(found: object, expected: Generated) -> None:
    assert isinstance(found, Generated), found
    assert (found.ids, found.finish) == (expected.ids, expected.finish)
    assert found.score == pytest.approx(expected.score, abs=1e-3)
    assert [seen.log for seen in found.seen] == pytest.approx([seen.log for seen in expected.seen], abs=1e-4)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "hanlin-decoder", "t5", "hanlin-seq2seq", ON_BERT])
def test_each_row_is_written_as_by_its_adapter_alone(tmp_path: Path, kind: str) -> None:
    folders = adapters_of(kind, tmp_path)
    session = shared(folders[1])
    seats: list[int | None] = [None, *(session.take(folder).number for folder in folders)]
    who = [folders[0] / "base", *folders]
    asked = [
        (number, row, GenerationSettings(max_new_tokens=9, tells=True, temperature=heat, seed=number, adapter=seats[number % 4]))
        for number, (row, heat) in enumerate((row, heat) for row in ROWS for heat in (0.0, 1.2, 0.0, 0.0))
    ]
    random.Random(4).shuffle(asked)
    found = gathered(session, range(len(asked)), asked)
    told = {number: alone(who[number % 4], row, replace(settings, adapter=None)) for number, row, settings in asked}
    for number, expected in told.items():
        assert_alike(found[number], expected)
    assert len({told[number].ids for number in range(4)}) > 2  # the matrices do say something
    ways = [{"num_beams": 3}] + ([{"reads": True}] if kind not in {"t5", "hanlin-seq2seq", ON_BERT} else [])
    for way in ways:  # what runs in steps: rows of all at once as well
        plain = GenerationSettings(max_new_tokens=6, **way)
        whole = session.generate([ROWS[2]] * 4, [replace(plain, adapter=seat) for seat in seats])
        for one, folder in zip(whole, who, strict=True):
            assert_alike(one, alone(folder, ROWS[2], plain))


def test_what_one_has_read_another_never_sees_and_who_leaves_takes_only_its_own(tmp_path: Path) -> None:
    folders = adapters_of("llama", tmp_path)
    session, asked = shared(folders[0]), GenerationSettings(max_new_tokens=5)
    first, second = (session.take(folder).number for folder in folders[:2])

    def cached(number: int | None, folder: Path) -> int:
        session.admit(1, LONG, replace(asked, adapter=number))
        found = gathered(session, [1])[1]
        assert_alike(found, alone(folder, LONG, asked))
        assert isinstance(found, Generated)
        return found.num_cached

    assert [cached(first, folders[0]), cached(second, folders[1]), cached(None, folders[0] / "base")] == [0, 0, 0]
    assert [cached(first, folders[0]), cached(second, folders[1])] == [39, 39]
    endless = GenerationSettings(max_new_tokens=15, stop_ids=())
    for number, seat in ((1, first), (2, second), (3, first)):
        session.admit(number, ROWS[0], replace(endless, adapter=seat))
    session.turn()
    session.admit(4, LONG, replace(endless, adapter=first))  # waits
    session.leave(first)
    third = session.take(folders[2]).number
    assert third not in {first, second}
    session.admit(5, LONG, replace(asked, adapter=third))
    found = gathered_from(session, {1, 2, 3, 4, 5})
    assert all(isinstance(found[number], EngineFailed) for number in (1, 3, 4))
    assert found[2] == alone(folders[1], ROWS[0], endless).ids[1:]  # the first came before
    assert found[5] == alone(folders[2], LONG, asked).ids
    again = session.take(folders[0]).number  # has its place, and nothing that was there
    assert [cached(again, folders[0]), cached(third, folders[2]), cached(second, folders[1])] == [0, 39, 39]
    session.close()


def test_adapters_that_come_and_go_at_an_idle_base_take_no_place_each(tmp_path: Path) -> None:
    folders = adapters_of("llama", tmp_path)
    session, asked = shared(folders[0]), GenerationSettings(max_new_tokens=2)
    session.admit(1, ROWS[0], asked)
    gathered(session, [1])  # from now on there are rows to look after
    for _ in range(3):
        session.leave(session.take(folders[0]).number)
    last = session.take(folders[0]).number
    assert list(session._open()._places) == [last]
    session.admit(2, ROWS[0], replace(asked, adapter=last))
    session.turn()
    session.leave(last)
    session.take(folders[1])
    assert last in session._open()._places, "a row is written there"
    session.close()


def test_dozens_of_adapters_are_written_in_one_batch_while_some_come_and_go(tmp_path: Path) -> None:
    base = base_of("llama", tmp_path / "made")
    folders = [adapter_of(base, tmp_path / f"a{number}", number, 1 + number % 5, (("all",), ())[number % 2]) for number in range(33)]
    session, asked = shared(folders[0]), GenerationSettings(max_new_tokens=12, stop_ids=())
    seats = [session.take(folder).number for folder in folders[:30]]
    assert len({*seats}) == 30

    def row_of(number: int) -> list[int]:
        return LONG[number % 7 : number % 7 + 3 + number % 4]

    written: dict[int, tuple[int, ...]] = dict.fromkeys(range(33), ())
    lost: set[int] = set()

    def turn() -> None:
        for delta in session.turn():
            written[delta.number] += delta.ids
            if delta.error is not None:
                lost.add(delta.number)

    for number, seat in enumerate(seats):
        session.admit(number, row_of(number), replace(asked, adapter=seat))
    turn()
    assert all(written[number] for number in range(30)), "all in one batch"
    for number in (4, 11, 29):
        session.leave(seats[number])
    for number in (30, 31, 32):  # in the places of those that left, or new ones
        session.admit(number, row_of(number), replace(asked, adapter=session.take(folders[number]).number))
        turn()
    for _ in range(12):
        turn()
    assert lost == {4, 11, 29}
    stayed = [number for number in written if number not in lost]
    expected = {number: alone(folders[number], row_of(number), asked).ids for number in stayed}
    assert {number: written[number] for number in stayed} == expected
    assert len({*expected.values()}) > 25, "the matrices do say something"
    session.close()


class Growing(MixedLinear):
    """Whenever its matrices have been looked at, an adapter of a larger rank comes."""

    @property
    def stacks(self) -> tuple[torch.Tensor, torch.Tensor]:  # type: ignore[override]
        down, up = self._stacks
        self._stacks = (functional.pad(down, (0, 0, 0, 1)), functional.pad(up, (0, 0, 0, 1)))
        return down, up

    @stacks.setter
    def stacks(self, stacks: tuple[torch.Tensor, torch.Tensor]) -> None:
        self._stacks = stacks


def test_an_adapter_that_comes_in_the_midst_of_a_step_does_not_hurt_it() -> None:
    torch.manual_seed(0)
    batch, hidden = BatchPlaces(), torch.randn(2, 3, 8)
    batch.rows = Rows(torch.tensor([1, 0]), 0, is_adapted=True)
    linear = nn.Linear(8, 6)
    growing = Growing(linear, batch)
    down, up = torch.randn(2, 2, 8), torch.randn(2, 2, 6)
    growing.stacks = (down, up)
    expected = linear(hidden) + hidden @ down[[1, 0]].mT @ up[[1, 0]]
    torch.testing.assert_close(growing(hidden), expected)


def gathered_from(session: TorchSharedWriter, numbers: set[int]) -> dict[int, object]:
    """What is told of rows that are open already: their further ids, or their error."""
    ids: dict[int, tuple[int, ...]] = dict.fromkeys(numbers, ())
    found: dict[int, object] = {}
    while len(found) < len(numbers):
        for delta in session.turn():
            ids[delta.number] += delta.ids
            if delta.finish is not None:
                found[delta.number] = delta.error or ids[delta.number]
    return found


def test_forms_are_kept_to_and_what_does_not_fit_is_refused_alone(tmp_path: Path) -> None:
    folders = adapters_of("llama", tmp_path)
    session = shared(folders[0])
    seat = session.take(folders[0])
    form = GenerationSettings(max_new_tokens=8, constraint=Constraint("regex", "da?(bc)+"), adapter=seat.number)
    session.admit(1, ROWS[0], form)
    kept = gathered(session, [1])[1]
    assert isinstance(kept, Generated)
    assert re.fullmatch("da?(bc)*b?", letters().decode(kept.ids).replace(" ", ""))

    def refused(code: str, folder: Path) -> None:
        with pytest.raises(InvalidInput) as error:
            session.take(folder)
        assert error.value.code == code

    for name, value in (("rms_norm_eps", 1e-3), ("eos_token_id", [3, 7])):
        refused("adapter_not_shared", changed(folders[1], tmp_path / name, {name: value}))
    session.take(changed(folders[1], tmp_path / "drops", {"attention_dropout": 0.3, "pad_token_id": 5}))
    refused("weights_do_not_fit", broken(folders[1], tmp_path / "nan", float("nan")))
    session.admit(2, ROWS[0], GenerationSettings(max_new_tokens=5, adapter=seat.number))
    assert_alike(gathered(session, [2])[2], alone(folders[0], ROWS[0], GenerationSettings(max_new_tokens=5)))
    assert [can_share(variant) for variant in ("torch-fp32", "torch-bf16", "torch-int8", "openvino-fp32")] == [True, True, False, False]


def changed(folder: Path, out: Path, values: dict[str, object]) -> Path:
    shutil.copytree(folder, out)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    (out / "config.json").write_text(json.dumps(config | values), encoding="utf-8")
    return out


def broken(folder: Path, out: Path, value: float) -> Path:
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, out)
    tensors = load_file(out / WEIGHTS_FILE)
    next(iter(tensors.values()))[0, 0] = value
    save_file(tensors, out / WEIGHTS_FILE)
    return out
