"""A model of texts that is asked for another task answers in that task's form, whatever it would rather write."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.engines.constraint_forms import END, make_writer

from hanlin.engines.asking import Questioner
from hanlin.engines.trained import trained_session
from hanlin.errors import InvalidInput
from hanlin.generation import GenerationSettings
from hanlin.models.importing import import_folder
from hanlin.tasks.base import TASKS
from hanlin.tasks.chat_form import ChatForm
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.types import JsonObject

SCHEMA: JsonObject = {
    "intents": {
        "set_light": {
            "color": {"enum": ["red", 'dark "blue"', "绿色 & {x}"]}, "level": {"type": "number"}, "area": {"type": "string"},
            "is_on": {"type": "boolean"},
        },
        "get_time": {}, "say": {"words": {"type": "string"}},
    },
    "words": {"color": {"crimson": "red"}},
}  # fmt: skip
TEXTS = [
    'Set the "kitchen" light to 50 & crimson ~ (now)?*',
    "厨房的灯调到五十%：{红}",
    "a\\b | \t c: d",
    "~ & ~ & ~ & ~ & ~ & multipleOf 99999999",
]
MEANINGS = {
    "ask": "{intents}\nSentence: {text}", "schema": SCHEMA, "system": "Parse. {intents}",
    "examples": [{"text": "red kitchen", "answer": {"intent": "set_light", "slots": {"area": "kitchen", "color": "red"}}}],
}  # fmt: skip
PASSAGES = {"ask": "{passages}\nQ: {question}", "none": "nothing"}
CHATS = [None, ChatForm(marks={"user": ("<u>", "\n"), "assistant": ("<a>", "\n")})]


@pytest.fixture(scope="module", params=CHATS, ids=["plain", "talks"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without a form of talks, and with one that knows no system."""
    folder = make_writer(tmp_path_factory.mktemp("writer"))
    spec = ModelSpec("text-generation", (), 900, 0, generation=GenerationSettings(max_new_tokens=12, stop_ids=(END,), temperature=5.0))
    replace(spec, chat=request.param).save(folder)
    return folder


def drawing(settings: Any, **changes: Any) -> Any:
    """As `dataclasses.replace`, but for the temperature."""
    return replace(settings, **{name: value for name, value in changes.items() if name != "temperature"})


@pytest.fixture
def asked(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Answers of the base that is asked for a task: the call again and again, each time with other draws.

    It draws here, as for no caller, so that many answers are seen.
    """
    for module in ("prompted_answers", "semantic_parsing"):
        monkeypatch.setattr(f"hanlin.tasks.{module}.replace", drawing)

    def ask(task: str, prompt: JsonObject, inputs: Any, *, times: int = 1, **parameters: Any) -> list[Any]:
        folder = over(base, tmp_path, task, prompt)
        session, _ = trained_session(folder, threads=1)
        spec, encoder = ModelSpec.load(folder), TextEncoder.load(folder)
        assert spec.generation is not None
        specs = [replace(spec, generation=replace(spec.generation, seed=seed)) for seed in range(times)]
        return [Questioner(session, TASKS.get(task), each, encoder).ask([(inputs, parameters)]).answers[0] for each in specs]

    return ask


def over(base: Path | None, tmp_path: Path, task: str, prompt: JsonObject) -> Path:
    source = tmp_path / f"prompt-{len(list(tmp_path.iterdir()))}"
    source.mkdir()
    (source / "prompt.json").write_text(json.dumps(prompt, ensure_ascii=False))
    found = import_folder(source, source / "out", task=task, base=base)
    assert found.spec == ModelSpec.load(source / "out")
    assert not found.is_base
    return source / "out"


def test_what_it_says_of_a_text_is_always_a_meaning(asked: Callable[..., list[Any]]) -> None:
    answers = asked("semantic-parsing", MEANINGS, TEXTS, times=6)
    intents: Any = SCHEMA["intents"]
    for text, meaning in ((text, meaning) for one in answers for text, meaning in zip(TEXTS, one, strict=True)):
        rules = intents[meaning["intent"]]
        assert meaning["slots"].keys() <= rules.keys()
        for name, value in meaning["slots"].items():
            rule = rules[name]
            if "enum" in rule:
                assert value in rule["enum"]
            elif rule["type"] == "string":
                assert value
                assert value in text
            else:
                assert isinstance(value, bool) == (rule["type"] == "boolean")
                assert isinstance(value, int | float)
        assert meaning["implied"].keys() | {span["slot"] for span in meaning["spans"]} == meaning["slots"].keys()
        assert all(text[span["start"] : span["end"]] == span["word"] for span in meaning["spans"])
    found = [meaning for one in answers for meaning in one]
    assert len({meaning["intent"] for meaning in found}) >= 2
    assert len({name for meaning in found for name in meaning["slots"]}) >= 4


def test_a_text_that_is_cut_has_no_words_behind_the_cut_and_none_is_read_in_windows(asked: Callable[..., list[Any]]) -> None:
    spoken: JsonObject = {"intents": {"say": {"words": {"type": "string"}}}}
    long = "red " * 200 + "~ " * 200
    form = {"ask": "{text}", "schema": spoken}
    for one in asked("semantic-parsing", form, long, times=6, long_text="truncate"):
        assert "~" not in one["slots"].get("words", "")
    for policy, code in (("refuse", "text_too_long"), ("window", "invalid_parameter")):
        with pytest.raises(InvalidInput) as caught:
            asked("semantic-parsing", form, long, long_text=policy)
        assert caught.value.code == code


def test_what_it_answers_always_stands_in_the_passage_that_it_cites(asked: Callable[..., list[Any]]) -> None:
    texts = {"faq": TEXTS[0], 1: TEXTS[1], 9: "We open at nine. " * 3}
    documents: Any = [{"id": "faq", "text": TEXTS[0], "start": 7}, TEXTS[1], {"id": 9, "text": texts[9]}]
    answers = asked("question-answering", PASSAGES, {"question": "When?", "documents": documents}, times=24, max_answer_len=8)
    for answer in answers:
        shift = 7 if answer["document"] == "faq" else 0
        if answer["answer"]:
            assert texts[answer["document"]][answer["start"] - shift : answer["end"] - shift] == answer["answer"]
        else:
            assert (answer["document"], answer["start"], answer["end"]) == (None, 0, 0)
        assert 0 <= answer["score"] <= 1
    assert len({answer["document"] for answer in answers}) >= 3, "it has no favourite"
    pairs = [{"question": "Why?", "context": text} for text in (*TEXTS, texts[9] * 40)]
    found = asked("question-answering", PASSAGES, pairs, times=4, handle_impossible_answer=False)
    assert all(
        pair["context"][answer["start"] : answer["end"]] == answer["answer"]
        for one in found for pair, answer in zip(pairs, one, strict=True)
    )  # fmt: skip
    assert sum(bool(answer["answer"]) for one in found for answer in one) > 10
    with pytest.raises(InvalidInput, match="top_k"):
        asked("question-answering", PASSAGES, pairs, top_k=2)


def test_texts_come_in_the_shape_of_their_task_and_long_ones_in_pieces(asked: Callable[..., list[Any]]) -> None:
    form = {"ask": "To French: {text}", "grammar": {"kind": "regex", "text": "[a-z ]{1,20}"}}
    (one,) = asked("translation", form, "Good morning.")
    assert {*one} == {"translation_text", "finish_reason"}
    long = "A sentence of some words. " * 300
    ((first, second),) = asked("summarization", {"ask": "Shorten: {text}"}, ["a {text} <end>", "{}"], max_new_tokens=3)
    assert {*first} == {*second} == {"summary_text", "finish_reason"}
    with pytest.raises(InvalidInput) as caught:
        asked("translation", form, ["short", long])
    assert (caught.value.code, caught.value.params["index"]) == ("text_too_long", 1)
    (cut,) = asked("translation", form, long, long_text="truncate")
    (pieces,) = asked("translation", form, long, long_text="window")
    assert 0 < len(cut["translation_text"]) <= 20 < len(pieces["translation_text"])
    with pytest.raises(InvalidInput, match="num_beams"):
        asked("translation", form, "short", num_beams=2)


REFUSED: list[tuple[str, JsonObject, str]] = [
    ("translation", {"ask": "Translate"}, "ask"), ("translation", {"ask": "{text} {question}"}, "ask"),
    ("translation", {"ask": "{text}", "none": "x"}, "$"), ("translation", {"ask": "{text}", "system": "{text}"}, "system"),
    ("translation", {"ask": "{text}", "grammar": {"kind": "json", "text": "x"}}, "grammar"),
    ("translation", {"ask": "{text} " * 9000}, "ask"), ("translation", {"ask": "{text}" + " word" * 1500}, "$"),
    ("summarization", {"ask": "{text}", "examples": [{"text": "a"}]}, "examples.0"), ("summarization", {"system": "{text}"}, "$"),
    ("question-answering", {"ask": "{question}"}, "ask"), ("question-answering", {**PASSAGES, "none": "[1] none"}, "none"),
    ("semantic-parsing", {"ask": "{text}"}, "$"),
    ("semantic-parsing", {**MEANINGS, "examples": [{"text": "a", "answer": {"intent": "x", "slots": {}}}]}, "examples.0.answer"),
    ("text-classification", {"ask": "{text}"}, "$"),
]  # fmt: skip


def test_a_form_that_cannot_be_is_refused_by_its_place(base: Path, tmp_path: Path) -> None:
    for task, prompt, place in REFUSED:
        with pytest.raises(InvalidInput) as caught:
            over(base, tmp_path, task, prompt)
        assert (caught.value.code, caught.value.params["place"]) == ("prompt_not_understood", place)


def test_it_stands_on_a_model_that_goes_on_with_texts_and_comes_in_again_as_it_went_out(base: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--base") as caught:
        over(None, tmp_path, "translation", {"ask": "{text}"})
    assert caught.value.code == "prompt_needs_base"
    made = over(base, tmp_path, "semantic-parsing", MEANINGS)
    with pytest.raises(InvalidInput) as caught:
        over(made, tmp_path, "translation", {"ask": "{text}"})
    assert caught.value.code == "prompt_base_of_another_kind"
    if ModelSpec.load(base).chat is not None:
        return  # five seconds, once
    again = import_folder(made, tmp_path / "again", task="semantic-parsing")
    assert again.spec == ModelSpec.load(made)
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (base / "model.safetensors").read_bytes()
