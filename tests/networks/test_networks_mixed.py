"""Many adapters over one encoder: every row is answered as by its adapter alone, whatever its neighbours; they come and go."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hanlin.errors import InvalidInput
from hanlin.networks.adapter import AdapterSettings
from hanlin.networks.head import Head
from hanlin.networks.heads import PretrainedClassifier, PretrainedEmbedder
from hanlin.networks.loading import load_model, save_network
from hanlin.networks.lora import attach, inner_of, lay_out_base, weight_names
from hanlin.networks.mixed import MixedModel, Place

SIZES: dict[str, dict[str, int]] = {
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 40},
    "modernbert": {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 64,
        "pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3,
    },
}  # fmt: skip
USUAL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40}
# rank, targets, labels (0: vectors; below: of tokens)
ADAPTERS = (
    (4, (), 3),
    (8, ("all",), 2),
    (0, (), 5),
    (2, (), 1),
    (4, ("key", "k_lin", "Wqkv"), -4),
    (0, (), -3),
    (4, (), 0),
    (3, ("all",), 0),
)
KINDS = ("bert", "roberta", "distilbert", "electra", "modernbert")


def bare(folder: Path, kind: str, *, has_pooler: bool = True) -> Path:
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(1)
    config = AutoConfig.for_model(kind, vocab_size=60, initializer_range=0.2, **{"pad_token_id": 0, **SIZES.get(kind, USUAL)})
    model = AutoModel.from_config(config)
    if not has_pooler:
        model.pooler = None
    model.save_pretrained(folder)
    return folder


def adapter(  # noqa: PLR0917  # as the rows of the table above
    folder: Path, base: Path, number: int, rank: int, targets: tuple[str, ...], labels: int
) -> Path:
    """An artifact folder with random matrices and head."""
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoModelForTokenClassification

    folder.mkdir()
    lay_out_base(base, folder)
    torch.manual_seed(100 + number)
    settings = AdapterSettings(rank, 8.0, targets=targets)
    if labels == 0:
        head = Head("embeddings", "mean", is_normalized=True)
        inner = AutoModel.from_pretrained(base)
        if hasattr(inner, "pooler"):
            inner.pooler = None
        module: torch.nn.Module = PretrainedEmbedder(inner, head)
    else:
        head = Head("logits" if labels > 0 else "token_logits")
        made = AutoModelForSequenceClassification if labels > 0 else AutoModelForTokenClassification
        module = PretrainedClassifier(made.from_pretrained(base, config=AutoConfig.from_pretrained(base, num_labels=abs(labels))))
    if head != Head():
        inner_of(module).config.update({"hanlin_head": head.to_json()})
    attach(module, settings, weight_names(base / "model.safetensors"))
    for parameter in module.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    save_network(module.eval(), folder)
    return folder


class Gathered:
    """A base, its adapters alone, and all of them together."""

    def __init__(self, folder: Path, kind: str, *, has_pooler: bool = True) -> None:
        base = bare(folder / "base", kind, has_pooler=has_pooler)
        self.folders = [adapter(folder / f"a{number}", base, number, *form) for number, form in enumerate(ADAPTERS)]
        self.alone = [load_model(path) for path in self.folders]
        self.model = MixedModel(self.folders[0])
        self.places = [self.model.add(path) for path in self.folders]

    def check(self, numbers: list[int], rows: list[list[int]]) -> None:
        """Rows of adapters of one kind, mixed, against each alone and unpadded."""
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        with torch.inference_mode():
            found = self.model.run([self.places[number].number for number in numbers], (ids, mask))[0]
            for number, row, values in zip(numbers, rows, found, strict=True):
                one = torch.tensor([row])
                expected = self.alone[number](one, torch.ones_like(one))[0]
                own = values[: len(row)] if expected.dim() == 2 else values
                np.testing.assert_allclose(own[..., : self.places[number].width], expected, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module", params=[*KINDS, "bert-bare"])
def gathered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Gathered:
    return Gathered(tmp_path_factory.mktemp(request.param), request.param.removesuffix("-bare"), has_pooler="bare" not in request.param)


def kinds(places: list[Place]) -> list[list[int]]:
    return [[number for number, place in enumerate(places) if place.kind == kind] for kind in sorted({place.kind for place in places})]


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_row_is_answered_as_by_its_adapter_alone(gathered: Gathered, data: st.DataObject) -> None:
    groups = kinds(gathered.places)
    assert len(groups) == 3  # labels of texts, labels of tokens, vectors
    numbers = data.draw(st.lists(st.sampled_from(data.draw(st.sampled_from(groups))), min_size=1, max_size=12))
    token = st.integers(4, 59)
    rows = [[2, *data.draw(st.lists(token, min_size=1, max_size=20)), 3] for _ in numbers]
    gathered.check(numbers, rows)


def test_adapters_go_and_others_take_their_places(tmp_path: Path) -> None:
    gathered = Gathered(tmp_path, "bert")
    gathered.model.remove(gathered.places[0].number)
    gathered.model.remove(gathered.places[2].number)
    places = [gathered.model.add(gathered.folders[number]) for number in (2, 0)]
    assert [place.number for place in places] == [0, 2]  # the matrices of the first are gone from what has none
    gathered.places[2], gathered.places[0] = places
    gathered.check([0, 1, 2, 3, 2, 0], [[2, 7, 8, 9, 3]] * 6)


def test_they_come_while_others_are_answered(tmp_path: Path) -> None:
    gathered = Gathered(tmp_path, "bert")
    problems: list[Exception] = []

    def come() -> None:
        try:
            for number in range(20, 45):
                gathered.model.add(
                    adapter(tmp_path / f"a{number}", tmp_path / "base", number, number % 12, ("all",) if number % 12 else (), 4)
                )
        except Exception as error:
            problems.append(error)

    thread = threading.Thread(target=come)
    thread.start()
    while thread.is_alive():
        gathered.check([0, 1, 2, 3], [[2, 7, 8, 9, 3], [2, 5, 3], [2, 6, 6, 3], [2, 9, 3]])
    thread.join()
    assert not problems
    gathered.check([3, 2, 1, 0], [[2, 7, 8, 9, 3]] * 4)


def test_a_step_of_one_thread_knows_nothing_of_another_threads(tmp_path: Path) -> None:
    """An adapter that comes was warmed up amid a step of others, who were answered by its matrices and head."""
    gathered = Gathered(tmp_path, "bert")
    row = [2, 7, 8, 9, 3]

    def warm_up(*_: object) -> None:
        handle.remove()
        thread = threading.Thread(target=gathered.check, args=([1], [row]))
        thread.start()
        thread.join()

    handle = gathered.model.encoder.get_submodule("encoder.layer.1").register_forward_hook(warm_up)
    gathered.check([0, 2, 0], [row] * 3)


def test_an_adapter_of_another_base_is_refused_and_nothing_remains_of_it(tmp_path: Path) -> None:
    gathered = Gathered(tmp_path, "bert")
    (tmp_path / "other").mkdir()
    base = bare(tmp_path / "other" / "base", "distilbert")
    with pytest.raises(InvalidInput) as caught:
        gathered.model.add(adapter(tmp_path / "other" / "a", base, 1, 4, (), 3))
    assert caught.value.code == "weights_do_not_fit"
    assert gathered.model.add(gathered.folders[0]).number == len(ADAPTERS)
