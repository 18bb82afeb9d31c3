"""The contract that every registered task keeps, run over the registry."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.tasks.fake_networks import bert_tokenizer, outputs_of, specs_of

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.tasks import TASKS, Limits
from hanlin.tasks.encoding import TextEncoder
from hanlin.types import is_name

LIMITS = Limits(max_items=4, max_text_bytes=1000)
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["user", "tool"]), "content": st.text(max_size=3) | st.none()})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=12), inner, max_size=4)
        | st.fixed_dictionaries({"messages": st.lists(MESSAGE)})
        | st.fixed_dictionaries({"query": inner, "texts": st.lists(inner, max_size=4)})
    ),
    max_leaves=8,
)
NAMES = [
    "top_k",
    "truncation",
    "function_to_apply",
    "seed",
    "dimensions",
    "normalize",
    "prompt_name",
    "aggregation_strategy",
    "ignore_labels",
]
PARAMETERS = st.dictionaries(st.sampled_from([*NAMES, "return_text", "raw_scores"]) | st.text(max_size=8), JSON, max_size=3)
TEXTS = ["A red fox.", "Ada lives in London, they say", "x"]


@pytest.fixture(params=TASKS.names())
def task(request):
    return TASKS.get(request.param)


@pytest.fixture(scope="module")
def tokenizer():
    return bert_tokenizer()


def answered(task, spec, encoder, inputs, parameters):
    request = task.check(inputs, parameters, limits=Limits())
    encoded = task.encode(request, encoder, spec)
    rows = task.decode(outputs_of(task, spec, encoded), spec, request.options, encoded)
    return msgspec.json.decode(msgspec.json.encode(task.answer(rows, request)))


def test_names_itself_as_registered(task):
    assert TASKS.get(task.name) is task
    assert is_name(task.name)


def test_columns_are_distinct_lower_case_words(task):
    words = [word for column in task.examples.columns for word in (column.name, *column.aliases)]
    assert len(set(words)) == len(words)
    assert words == [word.casefold().strip() for word in words]


def test_example_passes_its_own_check_and_has_the_shape_of_real_answers(task, tokenizer):
    request, response = task.example["request"], task.example["response"]
    for whole in specs_of(task):
        spec = replace(whole, labels=whole.labels[:2], scale=whole.scale[:2]) if task.head == "labels" else whole
        answer = answered(task, spec, TextEncoder(tokenizer, spec), request["inputs"], request["parameters"] | more_of(task))
        if task.name == "semantic-parsing":  # which slots a text has is the network's to say
            assert set(answer) == set(response)
            assert {str(type(answer[name])) for name in response} == {str(type(response[name])) for name in response}
        elif task.name in {"token-classification", "semantic-role-labelling"}:  # how many entities a text has is the network's to say
            assert all(shape_of(entity) == shape_of(response[0]) for entity in answer)
            assert answer
        else:
            assert shape_of(answer) == shape_of(response)
    json.dumps(task.example)


def more_of(task):
    return {"ignore_labels": []} if task.name == "token-classification" else {}


def shape_of(value):
    if isinstance(value, list):
        shapes = [shape_of(item) for item in value]
        return (
            shapes[:1] if all(isinstance(item, dict) and shape == shapes[0] for item, shape in zip(value, shapes, strict=True)) else shapes
        )
    return {name: shape_of(item) for name, item in value.items()} if isinstance(value, dict) else type(value)


@given(inputs=JSON, parameters=PARAMETERS)
@example(inputs="\ud800", parameters={})
@example(inputs=["ok", {}], parameters={})
@example(inputs="ok", parameters={"top_k": 2**63})
@example(inputs="ok", parameters={"function_to_apply": ["softmax"]})
@example(inputs="ok", parameters=[])
@example(inputs={"query": "\ud800", "texts": ["x"]}, parameters={})
@example(inputs={"query": "x", "texts": "x"}, parameters={})
@example(inputs={"query": ["x"], "texts": ["x"]}, parameters={})
@example(inputs={"messages": [{"role": "tool", "content": ""}]}, parameters={})
@pytest.mark.parametrize("name", TASKS.names())
def test_check_raises_nothing_but_invalid_input(name, inputs, parameters):
    try:
        request = TASKS.get(name).check(inputs, parameters, limits=LIMITS)
    except InvalidInput as error:
        assert len(json.dumps(error.to_wire("zh"))) < 4096
    else:
        assert 1 <= len(request.texts) <= LIMITS.max_items
        talks = getattr(request.options, "talks", ()) or (None,) * len(request.texts)
        assert all(text.encode("utf-8") or talk for text, talk in zip(request.texts, talks, strict=True))  # in a talk nothing may be said


def test_a_text_is_answered_alike_alone_and_in_company(task, tokenizer):
    for spec in specs_of(task):
        encoder = TextEncoder(tokenizer, spec)
        together = task.read(answered(task, spec, encoder, *task.probe(TEXTS)), spec)
        alone = [task.read(answered(task, spec, encoder, *task.probe([text])), spec)[0] for text in TEXTS]
        assert len(together) == len(TEXTS)
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in TASKS.names() if TASKS.get(name).is_row_by_row])
def test_rows_of_several_calls_may_be_decoded_together_where_the_task_says_so(name, tokenizer):
    task = TASKS.get(name)
    for spec in specs_of(task):
        encoder = TextEncoder(tokenizer, spec)
        requests = [task.check(*task.probe([text]), limits=LIMITS) for text in TEXTS]
        outputs = [outputs_of(task, spec, task.encode(request, encoder, spec)) for request in requests]
        together = {key: np.concatenate([found[key] for found in outputs]) for key in outputs[0]}
        decoded = task.decode(together, spec, requests[0].options)
        for row, request in enumerate(requests):
            alone = task.answer(task.decode(outputs[row], spec, request.options), request)
            assert msgspec.json.encode(task.answer(decoded[row : row + 1], request)) == msgspec.json.encode(alone)


def test_a_single_text_is_answered_without_the_list(task, tokenizer):
    if task.name in {"reranking", "question-answering"}:
        return  # their inputs are objects
    (spec,) = specs_of(task)
    encoder = TextEncoder(tokenizer, spec)
    more = {"hide_tokens": 2} if task.name == "fill-mask" else {}
    assert answered(task, spec, encoder, TEXTS[0], more) == answered(task, spec, encoder, TEXTS[:1], more)[0]


def test_likeness_knows_the_same_from_another(task):
    for spec in specs_of(task):
        chance = np.random.default_rng(1)
        width = spec.vectors.dimensions if spec.vectors else len(spec.labels) or 6
        raw = chance.normal(size=(50, width)).astype(np.float32)
        same, other = task.likeness.numbers(raw), task.likeness.numbers(np.roll(raw, 1, axis=0))
        assert task.likeness.agree(same, same).all()
        assert task.likeness.differ(same, same).max() < 1e-7
        assert task.likeness.closeness(same, same) == pytest.approx(1)
        assert not task.likeness.agree(other, same).all()
        assert task.likeness.differ(other, same).max() > 0.1
        assert task.likeness.closeness(other, same) < 0.9


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_output_that_is_not_finite_is_an_engine_failure(task, tokenizer, value):
    for spec in specs_of(task):
        request = task.check(*task.probe(TEXTS), limits=LIMITS)
        encoded = task.encode(request, TextEncoder(tokenizer, spec), spec)
        outputs = outputs_of(task, spec, encoded)
        for values in filter(np.size, outputs.values()):  # of rows that were only read, nothing is written
            values[-1, 0] = value
        with pytest.raises(EngineFailed, match="not finite"):
            task.decode(outputs, spec, request.options, encoded)


def test_output_of_a_foreign_shape_is_an_engine_failure(task, tokenizer):
    for spec in specs_of(task):
        request = task.check(*task.probe(TEXTS), limits=LIMITS)
        encoded = task.encode(request, TextEncoder(tokenizer, spec), spec)
        for name in ("logits", "embeddings", "token_logits"):
            for shape in ((3, 17), (3,), (3, 2, 17)):
                with pytest.raises(EngineFailed):
                    task.decode({name: np.zeros(shape, np.float32)}, spec, request.options, encoded)
        with pytest.raises(EngineFailed):
            task.decode({}, spec, request.options, encoded)


def test_importing_tasks_loads_no_heavy_library():
    code = (
        "import sys, hanlin.tasks as t; t.TASKS.names();"
        "print(*[m for m in ('torch', 'transformers', 'tokenizers', 'opencc', 'rjieba', 'sklearn', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("language", ["", ".zh"])
def test_every_task_has_its_row_and_page_in_both_languages(language: str) -> None:
    docs = Path(__file__).parents[2] / "docs"
    rows = [line for line in (docs / f"tasks{language}.md").read_text(encoding="utf-8").split("\n\n## ")[0].splitlines() if "| `" in line]
    assert {task for row in rows for task in re.findall(r"`([a-z-]+)`", row.split("|")[1])} == {*TASKS.names()}
    pages = [page for row in rows for page in re.findall(r"\]\(([^)#]+)", row)]
    assert len(pages) > 8
    assert [page for page in pages if not page.endswith(f"{language}.md") or not (docs / page).is_file()] == []
