"""Language models learn a poem by heart, or answers and nothing else; they are saved, and say the same; runs that were cut off go on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import processors

from hanlin.datasets import Split
from hanlin.engines.asking import Questioner
from hanlin.engines.trained import trained_session
from hanlin.errors import Cancelled, InvalidInput
from hanlin.models.importing import import_folder
from hanlin.models.tokenizers import save_tokenizer, train_tokenizer
from hanlin.networks.adapter import WEIGHTS_FILE
from hanlin.networks.lora import weight_names
from hanlin.tasks.base import TASKS, Limits
from hanlin.tasks.chat_form import CHATML, ChatTemplate, plain_form
from hanlin.tasks.counting import count
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import canonical
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text import TextSettings
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig, preset
from hanlin.training.continued import MARK, READ, SAID, continued_rows
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.option_rules import Case, applies
from hanlin.training.ports import Silent
from hanlin.training.train import TrainReport, train
from hanlin.types import JsonObject, JsonValue

POEM = "床前明月光，疑是地上霜。\n举头望明月，低头思故乡。"
POEMS = Split([POEM, "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。"] * 4, [""] * 8)
TALKS = (("ping?", "pong!"), ("你好", "你好，请问要办什么？"), ("two and two", "four"))
TINY: JsonObject = {
    "epochs": 40, "hidden_size": 32, "layers": 1, "heads": 2, "vocab_size": 300, "batch_size": 8, "rate": 0.01, "max_length": 96,
    "train_length": 96, "precision": "fp32", "threads": 1, "average": 0.0, "dropout": 0.0, "embedding_dropout": 0.0,
}  # fmt: skip


def talk(question: str, answer: str) -> str:
    return canonical({"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]})


CHATS = Split([f"{one}\n{other}" for one, other in TALKS] * 3, [talk(*pair) for pair in TALKS] * 3)


TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '[' ~ m.role | capitalize ~ '] ' ~ m.content ~ eos_token }}{% endfor %}"
    "{{ '[Assistant] ' if add_generation_prompt }}"
)


class Stopped(Silent):
    """Cancels once, after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def check_cancelled(self) -> None:
        self.left -= 1
        if not self.left:
            raise Cancelled("job_cancelled")


def run(
    folder: Path, rows: Split, progress: Silent | None = None, *, base: Path | None = None, model: str = "transformer", **options: JsonValue
) -> TrainReport:
    kind = "base" if base else model
    tiny = {name: value for name, value in TINY.items() if applies(name, Case(kind, "text-generation"))}
    config = TrainConfig.from_json({**tiny, **options}, model=kind, task="text-generation")
    return train(
        config, TrainData(rows, rows, ()), out=folder / "out", progress=progress or Silent(),
        checkpoints=FolderCheckpoints(folder / "checkpoints"), base=base,
    )  # fmt: skip


def say(folder: Path, inputs: JsonValue, **parameters: JsonValue) -> JsonValue:
    session, _ = trained_session(folder, threads=1)
    asked = Questioner(session, TASKS.get("text-generation"), ModelSpec.load(folder), TextEncoder.load(folder))
    (found,) = asked.ask([(inputs, parameters)]).answers
    assert isinstance(found, dict)
    assert found.pop("num_tokens")
    return found


def test_a_poem_is_learned_by_heart(tmp_path: Path) -> None:
    report = run(tmp_path, POEMS)
    found = evaluate(tmp_path / "out", POEMS).metrics
    assert found.get("accuracy") > 0.95
    assert found.get("bits_per_byte") < 0.3
    assert found.get("perplexity") == pytest.approx(report.history[-1].validation["perplexity"], rel=1e-3)
    assert found.get("bits_per_byte") == pytest.approx(report.history[-1].validation["bits_per_byte"], rel=1e-3)
    rest = "疑是地上霜。\n举头望明月，低头思故乡。"
    assert say(tmp_path / "out", "床前明月光，") == {"generated_text": rest, "finish_reason": "stop"}
    assert say(tmp_path / "out", "床前明月光，", stop=["举"], return_full_text=True) == {
        "generated_text": "床前明月光，疑是地上霜。\n", "finish_reason": "stop", "stop_sequence": "举",
    }  # fmt: skip
    assert say(tmp_path / "out", "床前明月光，", max_new_tokens=2)["finish_reason"] == "length"  # type: ignore[index,call-overload]


def test_answers_are_learned_and_questions_are_not(tmp_path: Path) -> None:
    run(tmp_path, CHATS)
    spec, encoder = ModelSpec.load(tmp_path / "out"), TextEncoder.load(tmp_path / "out")
    assert spec.chat == CHATML
    for question, answer in TALKS:
        messages: JsonValue = [{"role": "user", "content": question}]
        assert say(tmp_path / "out", {"messages": messages}) == {"generated_text": answer, "finish_reason": "stop"}
    rows = continued_rows(CHATS, encoder, spec, end=3, longest=96)
    learned = [
        encoder.tokenizer.decode([i for i, kind in zip(ids, kinds, strict=True) if kind == SAID])
        for ids, kinds in zip(rows.ids, rows.kinds, strict=True)
    ]
    assert learned[:3] == [answer for _, answer in TALKS]
    marks = {
        encoder.tokenizer.id_to_token(token)
        for ids, kinds in zip(rows.ids, rows.kinds, strict=True)
        for token, kind in zip(ids, kinds, strict=True)
        if kind == MARK
    }
    assert marks == {"<|im_end|>"}
    assert rows.size_bytes == sum(len(answer.encode()) for _, answer in TALKS) * 3


def test_a_run_that_was_cut_off_is_the_run_that_was_not(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", POEMS, epochs=4, batch_size=2)
    with pytest.raises(Cancelled):
        run(tmp_path / "cut", POEMS, Stopped(7), epochs=4, batch_size=2)
    resumed = run(tmp_path / "cut", POEMS, epochs=4, batch_size=2)
    assert [point.validation for point in resumed.history] == [point.validation for point in whole.history]
    weights = [(tmp_path / name / "out" / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_a_long_text_comes_in_pieces_that_are_all_learned(tmp_path: Path) -> None:
    run(tmp_path, POEMS, epochs=1)
    spec, encoder = ModelSpec.load(tmp_path / "out"), TextEncoder.load(tmp_path / "out")
    encoder.max_length = 16
    rows = continued_rows(Split([POEM], [""]), encoder, spec, end=3, longest=16)
    said = [token for ids, kinds in zip(rows.ids, rows.kinds, strict=True) for token, kind in zip(ids, kinds, strict=True) if kind == SAID]
    assert encoder.tokenizer.decode(said) == POEM
    assert max(rows.lengths) <= 16
    assert all(ids[0] == 2 and kinds[0] == READ for ids, kinds in zip(rows.ids, rows.kinds, strict=True))
    assert [list(kinds).count(MARK) for kinds in rows.kinds] == [0] * (len(rows.kinds) - 1) + [1]


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
def test_a_recurrent_network_learns_a_poem_by_heart(tmp_path: Path, model: str) -> None:
    report = run(tmp_path, POEMS, model=model, hidden_size=64, rate=0.015, epochs=60)
    found = evaluate(tmp_path / "out", POEMS).metrics
    assert found.get("bits_per_byte") < 0.3
    assert found.get("bits_per_byte") == pytest.approx(min(point.validation["bits_per_byte"] for point in report.history), rel=1e-3)
    rest = "疑是地上霜。\n举头望明月，低头思故乡。"
    assert say(tmp_path / "out", "床前明月光，") == {"generated_text": rest, "finish_reason": "stop"}
    assert say(tmp_path / "out", "床前明月光，", num_beams=3) == {"generated_text": rest, "finish_reason": "stop"}


def test_a_recurrent_network_writes_on_beyond_the_length_of_its_rows(tmp_path: Path) -> None:
    """It counts no positions: it may write as much as a version's length, whatever was read before."""
    run(tmp_path, POEMS, model="gru", epochs=1, train_length=16)
    found = say(tmp_path / "out", POEM[:20], max_new_tokens=96, min_new_tokens=96)
    assert isinstance(found, dict)
    assert found["finish_reason"] == "length"


def test_a_recurrent_run_that_was_cut_off_is_the_run_that_was_not(tmp_path: Path) -> None:
    options: JsonObject = {"epochs": 3, "batch_size": 2, "model": "lstm", "dropout": 0.3, "embedding_dropout": 0.1}
    run(tmp_path / "whole", POEMS, **options)  # type: ignore[arg-type]  # one of them is the model
    with pytest.raises(Cancelled):
        run(tmp_path / "cut", POEMS, Stopped(5), **options)  # type: ignore[arg-type]
    run(tmp_path / "cut", POEMS, **options)  # type: ignore[arg-type]
    weights = [(tmp_path / name / "out" / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_tokens_of_any_text_are_bytes_at_last(tmp_path: Path) -> None:
    config = TrainConfig.from_json({"tokenizer": "word"}, model="lstm", task="text-generation")
    with pytest.raises(InvalidInput) as refused:
        train(config, TrainData(POEMS, POEMS, ()), out=tmp_path / "out", progress=Silent(), checkpoints=FolderCheckpoints(tmp_path / "c"))
    assert refused.value.code == "network_for_another_task"


def test_the_preset_watches_the_loss_and_leaves_texts_as_they_are() -> None:
    found = preset("transformer", "text-generation")
    assert (found.metric, found.tokenizer, found.positions, found.text.cleaning) == ("loss", "byte-bpe", "rotary", ())


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen2"])
def test_an_imported_decoder_learns_the_poem_and_talks(tmp_path: Path, kind: str) -> None:
    base = imported(tmp_path, kind, template=TEMPLATE if kind == "qwen2" else "")
    run(tmp_path / "poem", POEMS, base=base, rate=0.01, epochs=30)
    assert evaluate(tmp_path / "poem" / "out", POEMS).metrics.get("accuracy") > 0.9
    run(tmp_path / "talk", CHATS, base=base, rate=0.01, epochs=30)
    spec = ModelSpec.load(tmp_path / "talk" / "out")
    if kind == "qwen2":
        assert isinstance(spec.chat, ChatTemplate)
        assert (spec.chat.ask, spec.chat.end, spec.chat.begin) == ("[Assistant] ", "[EOS]", "[BOS]")
    else:
        assert spec.chat == plain_form("[EOS]")
    found = say(tmp_path / "talk" / "out", [{"role": "user", "content": "ping?"}])
    assert found == {"generated_text": "pong!", "finish_reason": "stop"}


def test_a_base_keeps_its_text_settings_and_languages(tmp_path: Path) -> None:
    """What it reads was cleaned so when it learned."""
    base = imported(tmp_path, "gpt2")
    replace(ModelSpec.load(base), text=TextSettings(("html", "lower")), languages=("zh",)).save(base)
    run(tmp_path, POEMS, base=base, epochs=1)
    found = ModelSpec.load(tmp_path / "out")
    assert (found.text.cleaning, found.languages) == (("html", "lower"), ("zh",))


def test_answers_that_a_template_does_not_write_as_it_asks_for_them_are_not_learned(tmp_path: Path) -> None:
    base = imported(tmp_path, "gpt2", template=TEMPLATE.replace("[Assistant] ", "[Now] "))
    with pytest.raises(InvalidInput) as caught:
        run(tmp_path, CHATS, base=base, epochs=1)
    assert caught.value.code == "chat_template_not_learnable"
    encoder, spec = TextEncoder.load(base), ModelSpec.load(base)
    asked: JsonValue = {"messages": [{"role": "user", "content": "ping? [EOS]"}]}
    row = encode_one(TASKS.get("text-generation"), asked, {}, encoder, spec)
    text = encoder.tokenizer.decode(row, skip_special_tokens=False)
    assert text == "[BOS][User] ping? [EOS][EOS][Now] "
    assert row.count(3) == 1, "what is said is no mark"
    assert count(asked, {}, encoder, spec, Limits()).value == [len(row)]


def encode_one(task: Any, inputs: JsonValue, parameters: JsonObject, encoder: TextEncoder, spec: ModelSpec) -> list[int]:
    rows = task.encode(task.check(inputs, parameters, limits=Limits()), encoder, spec).rows
    return list(rows[0])


def imported(folder: Path, kind: str, *, template: str = "") -> Path:
    """A tiny decoder of transformers with random weights, as an import lays it out."""
    import transformers as hf

    tokenizer = train_tokenizer(POEMS.texts + CHATS.texts, "byte-bpe", 300)
    source = folder / "source"
    source.mkdir()
    if template:
        tokenizer.post_processor = processors.TemplateProcessing(single="[BOS] $A", special_tokens=[("[BOS]", 2)])
        (source / "chat_template.jinja").write_text(template)
    save_tokenizer(tokenizer, source)
    ids = {"vocab_size": tokenizer.get_vocab_size(), "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    stack = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}
    configs = {
        "llama": lambda: hf.LlamaConfig(**ids, **stack, max_position_embeddings=128),
        "qwen2": lambda: hf.Qwen2Config(**ids, **stack, max_position_embeddings=128),
        "gpt2": lambda: hf.GPT2Config(**ids, n_embd=32, n_layer=1, n_head=2, n_positions=128),
    }  # fmt: skip
    torch.manual_seed(3)
    hf.AutoModelForCausalLM.from_config(configs[kind]()).save_pretrained(source)
    import_folder(source, folder / "base", task="text-generation")
    return folder / "base"


@pytest.mark.parametrize("kind", ["ours", "gpt2"])
def test_an_adapter_on_a_decoder_learns_answers_and_holds_no_weight_of_its_base(tmp_path: Path, kind: str) -> None:
    if kind == "ours":
        run(tmp_path / "base", CHATS, epochs=8)
    base = tmp_path / "base" / "out" if kind == "ours" else imported(tmp_path, kind)
    options: JsonObject = {"adapter": "lora", "lora_targets": "all", "lora_rank": 16, "rate": 0.02, "epochs": 60}
    report = run(tmp_path / "tuned", CHATS, base=base, **options)
    out = tmp_path / "tuned" / "out"
    assert not (out / "model.safetensors").exists()
    assert (out / "base" / "model.safetensors").read_bytes() == (base / "model.safetensors").read_bytes()
    assert all(".lora_" in name for name in weight_names(out / WEIGHTS_FILE))
    found = evaluate(out, CHATS).metrics
    assert found.get("perplexity") == pytest.approx(min(point.validation["perplexity"] for point in report.history), rel=1e-3)
    for question, answer in TALKS:
        said = say(out, {"messages": [{"role": "user", "content": question}]})
        assert said == {"generated_text": answer, "finish_reason": "stop"}


def test_an_adapter_on_a_decoder_that_was_cut_off_ends_in_the_same_bits(tmp_path: Path) -> None:
    base = imported(tmp_path, "llama")
    options: JsonObject = {"adapter": "lora", "epochs": 2, "batch_size": 3}
    run(tmp_path / "whole", CHATS, base=base, **options)
    with pytest.raises(Cancelled):
        run(tmp_path / "cut", CHATS, Stopped(4), base=base, **options)
    run(tmp_path / "cut", CHATS, base=base, **options)
    weights = [(tmp_path / name / "out" / WEIGHTS_FILE).read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]
