"""Texts that are written: metrics by hand and as sacrebleu has them, sentences, parameters of calls, examples, long documents."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu import compat

from hanlin.errors import InvalidInput
from hanlin.generation import Generated, GenerationSettings
from hanlin.tasks import TASKS, Limits, ModelSpec
from hanlin.tasks.rouge import rouge_metrics, words
from hanlin.tasks.sentences import chunks, sentences
from hanlin.tasks.sequences import from_arrays, to_arrays
from hanlin.tasks.text_likeness import TEXTS
from hanlin.tasks.translation_metrics import translation_metrics
from hanlin.tasks.windows import Window
from hanlin.tasks.written_parameters import read_writing, settled
from hanlin.tasks.written_texts import target_of

TRANSLATION = TASKS.get("translation")


def test_rouge_by_hand() -> None:
    found = rouge_metrics(["the cat sat on the mat", ""], ["the cat lay on a mat", "something"])
    assert found.get("rouge_l") == pytest.approx((4 / 6) / 2)  # the cat … on … mat: 4 of 6 words on both sides
    assert found.get("rouge_1") == pytest.approx((4 / 6) / 2)
    assert found.get("rouge_2") == pytest.approx((1 / 5) / 2)


def test_rouge_counts_chinese_by_character() -> None:
    assert words("在Writer中，插入2行。") == ["在", "writer", "中", "插", "入", "2", "行"]
    assert rouge_metrics(["插入新行"], ["插入一行"]).get("rouge_l") == pytest.approx(3 / 4)


def test_translations_have_sacrebleus_own_figures() -> None:
    written, gold = ["在光标上方插入新行。", "删除所选的行"], ["在光标上方插入一行。", "删除选定的行。"]
    found = translation_metrics(written, gold)
    assert found.get("chrf") == pytest.approx(compat.corpus_chrf(written, [gold]).score / 100)
    assert found.get("bleu") == pytest.approx(compat.corpus_bleu(written, [gold], tokenize="zh").score / 100)
    assert found.interval[0] <= found.get("chrf") <= found.interval[1]
    assert found.to_json()["signatures"]["bleu"].startswith("nrefs:1|case:mixed|eff:no|tok:zh|smooth:exp|version:")  # type: ignore[index,call-overload,union-attr]
    english = translation_metrics(["Insert a row here."], ["Insert a new row here."])
    assert english.get("bleu") == pytest.approx(compat.corpus_bleu(["Insert a row here."], [["Insert a new row here."]]).score / 100)


def test_sentences_end_at_marks_of_both_scripts() -> None:
    text = 'Version 2.5 is out! He said "Go." Then left.\n他走了。“真的？”她问。'
    assert sentences(text) == ["Version 2.5 is out!", 'He said "Go."', "Then left.", "他走了。", "“真的？”", "她问。"]


@given(text=st.text("ab .。\n", min_size=1, max_size=80).filter(str.strip), limit=st.integers(1, 12))
def test_pieces_fit_and_nothing_is_lost(text: str, limit: int) -> None:
    pieces = chunks(text, lambda parts: [len(part) for part in parts], limit)
    assert all(len(piece) <= limit for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_parameters_by_hugging_faces_names() -> None:
    asked = read_writing({"max_new_tokens": 9, "no_repeat_ngram_size": 2, "generate_parameters": {"num_beams": 3, "length_penalty": 0.5}})
    assert asked == {"max_new_tokens": 9, "no_repeat_ngram": 2, "num_beams": 3, "length_penalty": 0.5}
    stored = GenerationSettings(max_new_tokens=64, num_beams=4)
    assert settled(stored, asked, longest=5).max_new_tokens == 5
    drawn = settled(stored, read_writing({"do_sample": True, "seed": 3}), longest=99)
    assert (drawn.temperature, drawn.num_beams, drawn.seed) == (1.0, 1, 3)
    assert settled(stored, read_writing({"do_sample": False, "temperature": 0.5}), longest=99).temperature == 0.0


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"num_beams": 99}, "invalid_parameter"), ({"temperature": "hot"}, "invalid_parameter"),
        ({"top_p": float("nan")}, "invalid_parameter"),
        ({"num_beams": 2, "temperature": 0.7}, "invalid_parameter"), ({"generate_parameters": []}, "invalid_parameter"),
        ({"generate_parameters": {"speed": 1}}, "unknown_parameter"),
        ({"generate_parameters": {"generate_parameters": {}}}, "unknown_parameter"),
        ({"max_length": 3}, "unknown_parameter"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_told_by_name(parameters: dict[str, object], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        TRANSLATION.check("x", parameters, limits=Limits())  # type: ignore[arg-type]
    assert refused.value.code == code


def test_examples_are_pairs_and_a_page_stays_together() -> None:
    form = TRANSLATION.examples
    one = form.read({"source": "Open", "target": "打开", "group": "page 1"})
    other = form.read({"source": "Open", "target": "开启"})
    assert (one.group, other.group) == ("page 1", "Open")
    assert one.identity != other.identity, "two translations of one text are no conflict"
    assert target_of(one.annotation) == "打开"
    assert form.question(one.text, one.annotation) == "Open"


def test_pieces_of_a_document_are_one_answer() -> None:
    rows = [to_arrays([Generated((5, 6), "stop", -1.0)]), to_arrays([Generated((7,), "length", -3.0)])]
    windows = (Window(0, 3, 0, 3), Window(3, 5, 3, 5))
    merged = TRANSLATION.merge(windows, [{name: values[0] for name, values in row.items()} for row in rows])
    (found,) = from_arrays({name: values[None] for name, values in merged.items()})
    assert (found.ids, found.finish, found.score) == ((5, 6, 7), "length", -2.0)


def test_quality_is_of_answers_as_callers_get_them() -> None:
    gold = [json.dumps({"target": "a b"})]
    answer = {"summary_text": "a b", "finish_reason": "stop"}
    assert TASKS.get("summarization").quality([answer], gold, ()).get("rouge_l") == 1.0


def test_written_texts_are_compared_by_the_letters_that_both_have() -> None:
    one, other, more = TEXTS.of("打开 file"), TEXTS.of("打开 fine"), TEXTS.of("now 打开 file")
    assert TEXTS.differ(one, one)[0] == 0
    assert TEXTS.differ(one, other)[0] == pytest.approx(1 - (6 / 7 + 4 / 6) / 2)
    assert TEXTS.agree(one, other).all()
    assert TEXTS.differ(one, more)[0] == pytest.approx(1 - (2 * 7 / 18 + 2 * 6 / 16) / 2), "four letters more, and no place is lost"
    assert not TEXTS.agree(one, TEXTS.of("关闭窗口")).any()
    assert TEXTS.closeness(one, TEXTS.of("关闭窗口")) == 0
    assert TEXTS.differ(TEXTS.of("a"), TEXTS.of("b"))[0] == TEXTS.differ(TEXTS.of(""), TEXTS.of("b"))[0] == 1


def test_a_version_keeps_how_it_writes() -> None:
    spec = ModelSpec("translation", (), 64, 0, generation=GenerationSettings(max_new_tokens=9, num_beams=2))
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
