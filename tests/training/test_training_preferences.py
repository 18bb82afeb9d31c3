"""Preference pairs: the loss by hand, tiny decoders that come to prefer, whole and by an adapter, and runs that were cut off."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from hanlin.datasets import Split
from hanlin.errors import InvalidInput
from hanlin.models.importing import import_folder
from hanlin.models.tokenizers import save_tokenizer, train_tokenizer
from hanlin.networks.adapter import WEIGHTS_FILE
from hanlin.networks.loading import load_writer
from hanlin.tasks.chat import Message
from hanlin.tasks.chat_form import plain_form
from hanlin.tasks.continued_texts import ContinuedTexts, Passage
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import canonical
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.tokenizer import load_tokenizer
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig, preset
from hanlin.training.continued import MARK, READ, SAID, continued_rows, passage_row
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.lesson import LESSONS, Setting
from hanlin.training.ports import Silent
from hanlin.training.preferred import REFERENCE_FILE, Pairs, PreferenceCourse, all_logs, answer_logs, pairs_of
from hanlin.training.train import TrainReport, train
from hanlin.types import JsonObject, JsonValue

InChild = Callable[[Callable[[], object]], int]
FORM = ContinuedTexts()
QUESTIONS = ["ping?", "two and two", "who is there", "你好"]
TINY: JsonObject = {
    "epochs": 30, "batch_size": 4, "max_length": 96, "train_length": 96, "precision": "fp32", "threads": 1, "rate": 0.003,
}  # fmt: skip


def split_of(*rows: JsonObject, times: int = 1) -> Split:
    read = [FORM.read(row) for row in rows]
    return Split([one.text for one in read] * times, [one.annotation for one in read] * times)


TALKS = split_of(*(
    {"prompt": [{"role": "user", "content": question}], "chosen": f"yes, {question}", "rejected": f"no, never {question}"}
    for question in QUESTIONS
))  # fmt: skip
TEXTS = split_of(*({"prompt": f"Q: {question}\nA:", "chosen": " yes", "rejected": " no, never"} for question in QUESTIONS))
DATA = {"talks": TALKS, "texts": TEXTS}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama of random weights, as an import lays it out."""
    import transformers as hf

    folder = tmp_path_factory.mktemp("llama")
    tokenizer = train_tokenizer([*TALKS.texts, *TEXTS.texts, "no, never"] * 2, "byte-bpe", 300)
    (folder / "source").mkdir()
    save_tokenizer(tokenizer, folder / "source")
    torch.manual_seed(3)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}
    ids = {"vocab_size": tokenizer.get_vocab_size(), "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    hf.AutoModelForCausalLM.from_config(hf.LlamaConfig(**ids, **sizes, max_position_embeddings=128)).save_pretrained(folder / "source")
    import_folder(folder / "source", folder / "base", task="text-generation")
    return folder / "base"


def run(folder: Path, base: Path, rows: Split = TALKS, progress: Silent | None = None, **options: JsonValue) -> TrainReport:
    folder.mkdir(exist_ok=True)
    config = TrainConfig.from_json({**TINY, "objective": "dpo", **options}, model="base", task="text-generation")
    checkpoints = FolderCheckpoints(folder / "checkpoints")
    return train(config, TrainData(rows, rows, ()), base=base, out=folder / "out", progress=progress or Silent(), checkpoints=checkpoints)


def course_of(folder: Path, base: Path, rows: Split, **options: JsonValue) -> PreferenceCourse:
    (folder / "out").mkdir(parents=True)
    config = TrainConfig.from_json({**TINY, "objective": "dpo", **options}, model="base", task="text-generation")
    course = LESSONS.get("text-generation").prepare(Setting(config, TrainData(rows, rows, ()), folder / "out", Silent(), base=base))
    assert isinstance(course, PreferenceCourse)
    return course


@pytest.mark.parametrize("kind", ["talks", "texts"])
def test_answers_alone_count_and_padding_does_not(tmp_path: Path, base: Path, kind: str) -> None:
    course = course_of(tmp_path, base, DATA[kind])
    tokenizer = load_tokenizer(tmp_path / "out" / "tokenizer.json")
    rows = course.train.rows
    told = [
        tokenizer.decode([i for i, kind in zip(ids, kinds, strict=True) if kind == SAID])
        for ids, kinds in zip(rows.ids, rows.kinds, strict=True)
    ]
    wanted = [" yes", " no, never"] if kind == "texts" else ["yes, ping?", "no, never ping?"]
    assert [text.strip() for text in told[:2]] == [text.strip() for text in wanted]
    assert all(list(kinds).count(MARK) == 1 for kinds in rows.kinds)
    for number in range(4):
        ids = torch.tensor([list(rows.ids[number])])
        with torch.inference_mode():
            logs = functional.log_softmax(course.module.eval()(input_ids=ids).logits.double(), -1)[0]
        by_hand = sum(
            float(logs[place - 1, token]) for place, (token, each) in enumerate(zip(rows.ids[number], rows.kinds[number], strict=True))
            if each != READ
        )  # fmt: skip
        assert float(all_logs(course.module, course.train, 0)[number]) == pytest.approx(by_hand, rel=1e-5)
    assert course.loss(course.module, range(4)).item() == pytest.approx(math.log(2), abs=1e-5), "the base is its own reference"


def test_the_gradient_of_the_first_step_lifts_the_better_answer(tmp_path: Path, base: Path) -> None:
    """At the beginning it is β / 2 times the slope of log π(worse) - log π(better), whatever the weights."""
    course = course_of(tmp_path, base, TEXTS, beta=0.4)
    course.module.train()
    course.loss(course.module, [1]).backward()
    found = {name: weight.grad.clone() for name, weight in course.module.named_parameters() if weight.grad is not None}
    course.module.zero_grad()
    logs = answer_logs(course.module, course.train.rows, [2, 3], 0)
    (0.2 * (logs[1] - logs[0])).backward()
    for name, weight in course.module.named_parameters():
        assert weight.grad is not None
        torch.testing.assert_close(found[name], weight.grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("options", [{}, {"adapter": "lora", "lora_targets": "all", "rate": 0.02}, {"label_smoothing": 0.1}])
@pytest.mark.parametrize("kind", ["talks", "texts"])
def test_a_tiny_decoder_comes_to_prefer(tmp_path: Path, base: Path, kind: str, options: dict[str, JsonValue]) -> None:
    report = run(tmp_path, base, DATA[kind], **options)
    found = report.history[-1].validation
    assert found["reward_accuracy"] >= 0.9
    assert found["margin"] == pytest.approx(found["chosen_reward"] - found["rejected_reward"], abs=1e-6)
    assert found["margin"] > 0.3
    assert found["loss"] < 0.6 < math.log(2)
    out = tmp_path / "out"
    assert (out / WEIGHTS_FILE).exists() == ("adapter" in options)
    if "adapter" in options:
        assert (out / "base" / "model.safetensors").read_bytes() == (base / "model.safetensors").read_bytes()
        assert all(".lora_" in name for name in load_file(out / WEIGHTS_FILE))
    assert evaluate(out, DATA[kind]).metrics.get("perplexity") > 1, "what it is judged on are the better answers"


@pytest.mark.parametrize("options", [{}, {"adapter": "lora", "lora_dropout": 0.2}])
@pytest.mark.parametrize("moment", ["reference_read", 5])
def test_killed_it_ends_in_the_same_bits(
    tmp_path: Path, base: Path, options: dict[str, JsonValue], moment: int | str, *, kill_at: type, in_child: InChild
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    told = run(whole, base, epochs=4, batch_size=2, **options)
    assert in_child(lambda: run(broken, base, progress=kill_at(moment), epochs=4, batch_size=2, **options)) == signal.SIGKILL
    assert (broken / REFERENCE_FILE).exists() == (moment == 5)
    again = run(broken, base, epochs=4, batch_size=2, **options)
    assert [point.validation for point in again.history] == [point.validation for point in told.history]
    name = WEIGHTS_FILE if options else "model.safetensors"
    assert (whole / "out" / name).read_bytes() == (broken / "out" / name).read_bytes()


def test_the_reference_is_read_once_and_again_for_other_rows(tmp_path: Path, base: Path) -> None:
    said: list[str] = []

    class Told(Silent):
        def message(self, code: str, /, **params: object) -> None:
            said.append(code)

    for rows, count in ((TALKS, 1), (TALKS, 1), (TEXTS, 2)):
        run(tmp_path, base, rows, Told(), epochs=1)
        assert said.count("reference_read") == count
    (tmp_path / REFERENCE_FILE).write_bytes(b"damaged")
    run(tmp_path, base, TEXTS, Told(), epochs=1)
    assert said.count("reference_read") == 3


def test_the_seed_decides_the_run(tmp_path: Path, base: Path) -> None:
    weights = []
    for place, seed in enumerate((1, 1, 2)):
        run(tmp_path / str(place), base, epochs=1, batch_size=2, seed=seed, adapter="lora")
        weights.append((tmp_path / str(place) / "out" / WEIGHTS_FILE).read_bytes())
    assert weights[0] == weights[1] != weights[2]


def read_of(pairs: Pairs, number: int, encoder: TextEncoder) -> str:
    """What of a row is only read."""
    ids, kinds = pairs.rows.ids[number], pairs.rows.kinds[number]
    return encoder.tokenizer.decode([token for token, kind in zip(ids, kinds, strict=True) if kind == READ])


def test_both_answers_stand_behind_the_same_late_turns(base: Path) -> None:
    spec, encoder = replace(ModelSpec.load(base), chat=plain_form("[EOS]")), TextEncoder.load(base)
    turns = [Message("system", "be kind")]
    for number in range(6):
        turns += [Message("user", f"question {number}"), Message("assistant", f"answer {number}")]
    label = canonical({"messages": [each.to_json() for each in turns], "rejected": "a much longer answer " * 2})
    for longest in (40, 60, 100):
        encoder.max_length = longest
        pairs = pairs_of(Split(["x"], [label]), encoder, spec, end=3, longest=longest)
        if not len(pairs):
            continue
        asked = [read_of(pairs, number, encoder).rstrip() for number in (0, 1)]  # the last space may be the answer's
        assert asked[0] == asked[1]
        assert asked[0].endswith("question 5\nAssistant:")
        assert max(pairs.rows.lengths) <= longest
    assert len(pairs) == 1
    tiny = pairs_of(Split(["x"], [label]), encoder, spec, end=3, longest=8)
    assert (len(tiny), tiny.num_left) == (0, 1)


def test_a_long_prompt_loses_its_beginning_for_both_answers(base: Path) -> None:
    spec, encoder = ModelSpec.load(base), TextEncoder.load(base)
    rows = split_of({"prompt": "ping? " * 40 + "A:", "chosen": " yes", "rejected": " no, never you"})
    pairs = pairs_of(rows, encoder, spec, end=3, longest=24)
    asked = [read_of(pairs, number, encoder) for number in (0, 1)]
    assert asked[0] == asked[1]
    assert asked[0].endswith("ping? A:")
    assert max(pairs.rows.lengths) == 24


def test_completions_are_learned_and_prompts_are_not(tmp_path: Path, base: Path) -> None:
    spec, encoder = ModelSpec.load(base), TextEncoder.load(base)
    rows = split_of(*({"prompt": f"Q: {question}\nA:", "completion": " yes, " + question} for question in QUESTIONS))
    found = continued_rows(rows, encoder, spec, end=3, longest=96)
    for question, ids, kinds in zip(QUESTIONS, found.ids, found.kinds, strict=True):
        said = encoder.tokenizer.decode([i for i, kind in zip(ids, kinds, strict=True) if kind == SAID])
        assert said == f" yes, {question}"
        assert (ids[-1], kinds[-1]) == (3, MARK)
    assert found.size_bytes == sum(len(f" yes, {question}".encode()) for question in QUESTIONS)
    assert passage_row(Passage("", "yes"), encoder).prompt == []
    run(tmp_path, base, rows, objective="clm", epochs=60, rate=0.01)
    module = load_writer(tmp_path / "out", dropout=0.0)
    assert answer_logs(module.eval(), found, [0], 0).item() > -1.0


def test_answers_of_weight_0_are_only_read(base: Path) -> None:
    spec, encoder = replace(ModelSpec.load(base), chat=plain_form("[EOS]")), TextEncoder.load(base)
    talk = [
        {"role": "user", "content": "ping?"}, {"role": "assistant", "content": "never", "weight": 0},
        {"role": "user", "content": "ping?"}, {"role": "assistant", "content": "yes"},
    ]  # fmt: skip
    for longest in (96, 20):
        found = continued_rows(split_of({"messages": talk}), encoder, spec, end=3, longest=longest)
        said = [i for i, kind in zip(found.ids[0], found.kinds[0], strict=True) if kind == SAID]
        assert encoder.tokenizer.decode(said).strip() == "yes"


def test_rows_and_options_that_do_not_go_together_are_refused(tmp_path: Path, base: Path) -> None:
    mixed = Split([*TALKS.texts, "hello"], [*TALKS.labels, ""])
    with pytest.raises(InvalidInput) as refused:
        run(tmp_path, base, mixed)
    assert (refused.value.code, refused.value.params["row"]) == ("not_preferences", 5)
    wrong: list[tuple[str, JsonObject, str]] = [
        ("lstm", {"objective": "dpo"}, "preferences_need_base"), ("base", {"objective": "dpo", "packing": True}, "preferences_need_base"),
        ("base", {"beta": 0.5}, "option_needs_another"), ("base", {"objective": "dpo", "metric": "accuracy"}, "invalid_training_option"),
        ("base", {"metric": "margin"}, "invalid_training_option"), ("base", {"objective": "mlm"}, "invalid_training_option"),
        ("base", {"objective": "dpo", "beta": 0.0}, "invalid_training_option"),
    ]  # fmt: skip
    for model, options, code in wrong:
        with pytest.raises(InvalidInput) as told:
            TrainConfig.from_json(options, model=model, task="text-generation")
        assert told.value.code == code, options


def test_what_is_usual_for_preferences() -> None:
    usual = preset("base", "text-generation")
    found = [
        TrainConfig.from_json({"objective": "dpo", **more}, model="base", task="text-generation") for more in ({}, {"adapter": "lora"})
    ]
    assert usual.objective == "clm"
    assert [(config.rate, config.dropout, config.beta, config.metric) for config in found] == [
        (pytest.approx(1e-5), 0.0, 0.1, "loss"), (pytest.approx(1e-4), 0.0, 0.1, "loss"),
    ]  # fmt: skip


def test_two_processes_take_the_steps_of_one(tmp_path: Path, base: Path) -> None:
    found = []
    for name, processes in (("one", 1), ("two", 2)):
        told = run(tmp_path / name, base, epochs=3, processes=processes, threads=2, optimizer="sgd", rate=0.5, clip=0.0)
        found.append([figure for point in told.history for figure in point.validation.values()])
    assert found[1] == pytest.approx(found[0], abs=1e-4)
    assert found[0][-3] > 0, "the margin, which has moved"
