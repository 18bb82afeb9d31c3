"""Every option does something or is refused: over all tasks and models by the table, and by two steps of tiny networks."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from hanlin.datasets import Split
from hanlin.errors import InvalidInput
from hanlin.tasks.base import TASKS
from hanlin.tasks.labelled import Gold
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig, preset
from hanlin.training.examples import TrainData
from hanlin.training.goals import watching
from hanlin.training.option_rules import BUILT_IN, CHOICES, CLASSIFYING, NEEDS, REACHES, Case, applies, check_effects
from hanlin.training.ports import Silent
from hanlin.training.search.space import Choices, Space
from hanlin.training.train import train

LINES = ["the cat sat on the mat", "my dog ran to the park", "a bird sang in the old tree all day", "we ate soup"]
OTHERS = ["le chat", "mon chien courut", "un oiseau chantait", "soupe"]
PAIRS = list(zip(LINES, OTHERS, strict=True))
FIELDS: dict[str, list[dict[str, Any]]] = {
    "text-classification": [{"text": line, "label": "ab"[at == 0]} for at, line in enumerate(LINES)],
    "sentiment": [{"text": line, "polarity": ("good", "bad", "neutral")[at % 3]} for at, line in enumerate(LINES)],
    "token-classification": [
        {"text": LINES[0], "entities": [{"start": 4, "end": 7, "label": "X"}]},
        {"text": LINES[1], "entities": [{"start": 3, "end": 6, "label": "X"}]},
        {"text": LINES[2], "entities": []},
    ],
    "semantic-role-labelling": [
        {"tokens": ["the", "cat", "sat"], "frames": [{"predicate": 2, "arguments": [{"start": 0, "end": 2, "role": "ARG0"}]}]},
        {"tokens": ["a", "dog", "ran", "off"], "frames": [{"predicate": 2, "arguments": [{"start": 0, "end": 2, "role": "ARG0"}]}]},
    ],
    "semantic-parsing": [
        {"text": LINES[0], "intent": "sit", "slots": {"who": "cat"}, "spans": [["who", 4, 7]]},
        {"text": LINES[1], "intent": "run", "slots": {"who": "dog"}, "spans": [["who", 3, 6]]},
        {"text": LINES[2], "intent": "run", "slots": {"who": "bird"}, "spans": [["who", 2, 6]]},
        {"text": LINES[3], "intent": "sit", "slots": {"who": "we"}, "spans": [["who", 0, 2]]},
    ],
    "question-answering": [
        {"context": LINES[0], "question": "it sat on", "answers": ["mat"]},
        {"context": LINES[1], "question": "my dog", "answers": ["ran"]},
    ],
    "embedding": [{"anchor": f"{line} {'so ' * at}", "positive": f"{other} {line[:9]} {at}"} for at in range(4) for line, other in PAIRS],
    "reranking": [{"query": f"{line} {'so ' * at}", "text": f"{other} {line[:9]} {at}"} for at in range(4) for line, other in PAIRS],
    "fill-mask": [{"text": line} for line in LINES],
    "translation": [{"source": line, "target": other} for line, other in PAIRS],
    "text-generation": [{"text": line} for line in LINES],
}
OTHER_VALUES: dict[str, Any] = {
    "class_weights": "balanced", "label_smoothing": 0.3, "wide": True, "scale": "good<neutral<bad", "tokenizer": "wordpiece",
    "vocab_size": 10,
    "min_count": 40, "text": {"cleaning": ["lower"], "segmentation": "character"}, "embedding_size": 12, "hidden_size": 24, "layers": 2,
    "heads": 4, "positions": "learned", "embedding_dropout": 0.5, "ngrams": True, "ngram_buckets": 64, "ngram_dropout": 0.9,
    "decoder_layers": 2, "max_target_length": 4, "layer_decay": 0.5, "head_rate": 5.0, "adapter": "head", "lora_rank": 2, "lora_alpha": 4.0,
    "lora_dropout": 0.5, "lora_targets": "all", "curriculum": "length", "crf": False, "loss": "triplet", "negatives": 2,
    "temperature": 0.5, "margin": 0.0, "symmetric": False, "matryoshka": [4], "pooling": "cls", "query_prompt": "ask: ",
    "passage_prompt": "tell: ", "objective": "mlm+nsp", "beta": 0.5, "mask_share": 0.4, "dropout": 0.5,
    "schema": {"intents": {"wave": {"hand": {"enum": ["left", "right"]}}}},
}  # fmt: skip
BESIDE: dict[str, dict[str, Any]] = {  # what an option only says something with
    "ngram_buckets": {"ngrams": True}, "ngram_dropout": {"ngrams": True}, "margin": {"loss": "triplet", "negatives": 2},
    "class_weights": {"batch_size": 16},
    "lora_rank": {"adapter": "lora"}, "lora_alpha": {"adapter": "lora"}, "lora_dropout": {"adapter": "lora"},
    "lora_targets": {"adapter": "lora"}, "matryoshka_weights": {"matryoshka": [4]},
}  # fmt: skip
SMALL: dict[str, Any] = {
    "epochs": 1, "batch_size": 2, "rate": 1e-3, "threads": 1, "precision": "fp32", "average": 0.0, "max_length": 48, "train_length": 48,
    "hidden_size": 16, "embedding_size": 16, "layers": 1, "heads": 2, "decoder_layers": 1, "vocab_size": 300, "min_count": 1,
    "dropout": 0.0, "embedding_dropout": 0.0, "ngrams": False, "wide": False, "warmup": 0.0, "seed": 5, "label_smoothing": 0.0,
}  # fmt: skip
NEW_DECODER = ("decoder_layers", "head_rate")  # of an encoder that learns to write
ALL = [(model, task) for task in BUILT_IN for model in CHOICES["model"]]


OPTIONS = (*(name for name in REACHES if name in {field.name for field in fields(TrainConfig)}), "dropout")
OF_TASK: dict[str, dict[str, Any]] = {
    "reranking": {"loss": "listwise"}, "embedding": {"loss": "triplet", "adapter": "lora"}, "translation": {"adapter": "lora"},
    "text-generation": {"adapter": "lora"}, "fill-mask": {"adapter": "lora"},
}  # fmt: skip


def switched_on(name: str) -> dict[str, Any]:
    """The option that `name` needs, where it needs one."""
    if name not in NEEDS:
        return {}
    switch, values = NEEDS[name]
    return {switch: values[0]}


def other_value(name: str, config: TrainConfig) -> Any:
    """A value that is neither the usual one nor says that the option is off; None where there is none."""
    usual, off = getattr(config, name), REACHES[name].off if name in REACHES else None
    found = OTHER_VALUES.get(name, next((value for value in CHOICES.get(name, ()) if value not in (usual, off)), None))
    if isinstance(usual, bool):
        found = not usual
    if name == "pooling" and config.task in CLASSIFYING and config.model != "base":
        found = "attention"  # of our own classifiers
    if name == "objective" and config.task == "text-generation":
        found = "dpo" if config.model == "base" else None
    return [2.0] if name == "matryoshka_weights" else None if found in (usual, off) else found


def small(model: str, task: str) -> dict[str, Any]:
    """Of what applies; a base that writes brings its decoder."""
    return {
        name: value for name, value in SMALL.items() if applies(name, Case(model, task)) and (model, name) != ("base", "decoder_layers")
    }  # fmt: skip


def data_of(task: str) -> TrainData:
    read = [TASKS.get(task).examples.read(row) for row in FIELDS[task]] * (16 // len(FIELDS[task]))
    rows = Split([one.text for one in read], [one.annotation for one in read])
    return TrainData(rows, rows, tuple(sorted({name for one in read for name in one.labels})))


def digest(folder: Path, model: str, task: str, base: Path | None, **options: Any) -> str:
    config = TrainConfig.from_json({**small(model, task), **options}, model=model, task=task)
    out = folder / "out"
    checkpoints = FolderCheckpoints(folder / "checkpoints", keep=1)
    train(config, data_of(task), base=base, out=out, progress=Silent(), checkpoints=checkpoints)
    found = hashlib.sha256()
    for path in sorted(file for file in out.rglob("*") if file.is_file() and "base" not in file.parts[len(out.parts) :]):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny networks to fine-tune: one that reads, one that writes for a text, one that goes on."""
    folder = tmp_path_factory.mktemp("bases")
    for task in ("fill-mask", "translation", "text-generation"):
        digest(folder / task, "transformer", task, None)
    return {task: folder / (task if task in ("translation", "text-generation") else "fill-mask") / "out" for task in FIELDS}


TRAINED = [
    ("gru", "text-classification"), ("base", "text-classification"), ("gru", "sentiment"), ("transformer", "token-classification"),
    ("base", "token-classification"), ("gru", "semantic-role-labelling"), ("gru", "semantic-parsing"), ("base", "question-answering"),
    ("transformer", "embedding"), ("base", "embedding"), ("base", "reranking"), ("transformer", "fill-mask"), ("base", "fill-mask"),
    ("transformer", "translation"), ("base", "translation"), ("gru", "text-generation"), ("base", "text-generation"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "task"), TRAINED)
def test_an_option_that_is_taken_changes_what_is_made(model: str, task: str, bases: dict[str, Path], tmp_path: Path) -> None:
    made: dict[str, str] = {}

    def make(*, start: str = task, **options: Any) -> str:
        key = repr((start, sorted(options.items())))
        if key not in made:
            made[key] = digest(tmp_path / str(len(made)), model, task, bases[start] if model == "base" else None, **options)
        return made[key]

    config, is_new = preset(model, task), model == "base" and TASKS.get(task).head == "targets"
    tried = {name: other_value(name, config) for name in OPTIONS if applies(name, Case(model, task))}
    tried |= {name: value for name, value in OF_TASK.get(task, {}).items() if name in tried}
    tried = {name: value for name, value in tried.items() if value is not None}
    if task == "text-generation":  # preferences want other rows: test_training_preferences.py
        tried = {name: value for name, value in tried.items() if name not in {"objective", "beta"}}
    if config.tokenizer == "byte-bpe":
        tried.pop("tokenizer", None)  # networks that write take no other
        tried |= {"vocab_size": 262} if "vocab_size" in tried else {}
    if task in ("token-classification", "semantic-role-labelling") and "label_smoothing" not in tried:
        assert make(crf=False, label_smoothing=0.3) != make(crf=False), "label_smoothing without a CRF"
    beside = {name: BESIDE.get(name, {}) | ({"start": "fill-mask"} if is_new and name in NEW_DECODER else {}) for name in tried}
    idle = [name for name, value in tried.items() if make(**beside[name], **{name: value}) == make(**beside[name])]
    assert not idle


@pytest.mark.parametrize(("model", "task"), ALL)
def test_an_option_that_does_nothing_is_refused_and_the_place_where_it_works_is_named(model: str, task: str) -> None:
    config = preset(model, task)
    if task in ("embedding", "reranking") and model in ("rnn", "lstm", "gru"):
        with pytest.raises(InvalidInput):
            TrainConfig.from_json({}, model=model, task=task)
        return
    for name in OPTIONS:
        if (value := other_value(name, config)) is None:
            continue
        options = {**(BESIDE.get(name, {}) if name == "matryoshka_weights" else {}), name: value}
        if applies(name, Case(model, task, config.crf)):
            TrainConfig.from_json(options | switched_on(name), model=model, task=task)
            continue
        with pytest.raises(InvalidInput) as refused:
            TrainConfig.from_json(options, model=model, task=task)
        assert refused.value.code == "option_without_effect"
        assert name in f"{refused.value.message} {refused.value.params['name']}" or name == "matryoshka_weights"
        assert task in refused.value.message
        for value in (getattr(config, name), REACHES[name].off):  # to say what holds anyway is no mistake
            if value is not None and name != "text":
                TrainConfig.from_json({name: value}, model=model, task=task)


@pytest.mark.parametrize(("model", "task"), ALL)
def test_a_preset_sets_nothing_that_does_nothing(model: str, task: str) -> None:
    config, plain = preset(model, task), {field.name: field.default for field in fields(TrainConfig)}
    for name, reach in REACHES.items():
        if name in plain and not applies(name, config.case):
            assert getattr(config, name) in (plain[name], reach.off), name


@pytest.mark.parametrize("task", CLASSIFYING)
@pytest.mark.parametrize(
    ("problem", "options", "is_taken"),
    [
        ("single-label", {"class_weights": "balanced"}, True),
        ("multi-label", {"class_weights": "balanced"}, True),
        ("regression", {"class_weights": "balanced"}, False),
        ("single-label", {"label_smoothing": 0.2}, True),
        ("multi-label", {"label_smoothing": 0.2}, False),
        ("regression", {"label_smoothing": 0.2}, False),
        ("multi-label", {"wide": False, "label_smoothing": 0.0}, True),
    ],
)
def test_what_the_labels_are_decides_too(task: str, problem: Any, options: dict[str, Any], is_taken: bool) -> None:
    config = TrainConfig.from_json({**options, "metric": "loss"}, model="lstm", task=task)
    if is_taken:
        watching(config, problem)
        return
    with pytest.raises(InvalidInput) as refused:
        watching(config, problem)
    assert refused.value.code == "option_without_effect"
    assert f"({problem})" in refused.value.message


def test_pairs_that_a_base_tells_apart_have_no_linear_road(bases: dict[str, Path], tmp_path: Path) -> None:
    rows = Split(["the cat", "my dog"] * 4, [Gold("single-label", (label,), pair="sat").annotation for label in "ab" * 4])
    config = TrainConfig.from_json({**small("base", "text-classification"), "wide": True}, model="base")
    with pytest.raises(InvalidInput) as refused:
        train(
            config, TrainData(rows, rows, ("a", "b")), base=bases["fill-mask"], out=tmp_path / "out", progress=Silent(),
            checkpoints=FolderCheckpoints(tmp_path / "c"),
        )  # fmt: skip
    assert refused.value.params["name"] == "'wide'"


@pytest.mark.parametrize("name", ["vectors", "raw_text"])
@pytest.mark.parametrize(("model", "task"), ALL)
def test_files_of_words_are_for_our_networks_that_read(model: str, task: str, name: str) -> None:
    is_read = model != "base" and task in (*CLASSIFYING, "token-classification", "semantic-role-labelling", "semantic-parsing")
    assert applies(name, Case(model, task)) == is_read
    if not is_read:
        with pytest.raises(InvalidInput) as refused:
            check_effects({name: True}, {}, Case(model, task))
        assert refused.value.code == "option_without_effect"


def test_another_packages_task_takes_what_it_says_itself() -> None:
    assert all(applies(name, Case("base", "rhymes")) for name in REACHES)


@pytest.mark.parametrize(
    ("model", "task"), [pair for pair in ALL if pair[1] not in ("embedding", "reranking") or pair[0] in ("base", "transformer")]
)
def test_the_default_space_holds_the_preset_and_only_what_does_something(model: str, task: str) -> None:
    for problem in ("single-label", "multi-label", "regression") if task in CLASSIFYING else ("",):
        space = Space.from_json(None, fixed={}, model=model, task=task, problem=problem)
        assert space.defaults() is not None, "trial 0 is what a training without a search has"
        case = preset(model, task).case._replace(problem=problem)
        assert len(space.options) >= 5 and all(applies(name, case) for name in space.options)
        assert {"rate", "epochs", "batch_size"} <= space.options.keys()
        for name, item in space.options.items():
            bounds = item.values if isinstance(item, Choices) else (item.to_json()["min"], item.to_json()["max"])
            assert len(set(bounds)) > 1
            for value in bounds:
                space.config({name: value})  # type: ignore[dict-item]  # plain values


def test_the_default_space_goes_by_what_is_set() -> None:
    space = Space.from_json(None, fixed={"crf": False, "epochs": 30}, model="lstm", task="token-classification")
    assert "label_smoothing" in space.options and "epochs" not in space.options
    assert space.defaults() is not None
