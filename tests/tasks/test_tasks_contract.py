"""The contract that every registered task keeps, run over the registry."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.tasks import TASKS, Limits, ModelSpec
from hanlin.types import is_name

LIMITS = Limits(max_items=4, max_text_bytes=1000)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
PARAMETERS = st.dictionaries(st.sampled_from(["top_k", "truncation", "function_to_apply", "seed"]) | st.text(max_size=8), JSON, max_size=3)


@pytest.fixture(params=TASKS.names())
def task(request):
    return TASKS.get(request.param)


def spec_of(task, labels=("a", "b", "c")):
    return ModelSpec(task.name, labels, 128, 0)


def test_names_itself_as_registered(task):
    assert TASKS.get(task.name) is task
    assert is_name(task.name)


def test_columns_are_distinct_lower_case_words(task):
    words = [word for column in task.columns for word in (column.name, *column.aliases)]
    assert len(set(words)) == len(words)
    assert words == [word.casefold().strip() for word in words]


def test_example_passes_its_own_check(task):
    request = task.example["request"]
    checked = task.check(request["inputs"], request["parameters"], limits=Limits())
    labels = tuple(item["label"] for item in task.example["response"])
    rows = task.decode({"logits": np.array([[2.0, -2.0]], dtype=np.float32)}, spec_of(task, labels), checked.options)
    answer = task.answer(rows, checked)
    assert [set(item) for item in answer] == [set(item) for item in task.example["response"]]
    json.dumps(task.example)


@given(inputs=JSON, parameters=PARAMETERS)
@example(inputs="\ud800", parameters={})
@example(inputs=["ok", {}], parameters={})
@example(inputs="ok", parameters={"top_k": 2**63})
@example(inputs="ok", parameters={"function_to_apply": ["softmax"]})
@example(inputs="ok", parameters=[])
@pytest.mark.parametrize("name", TASKS.names())
def test_check_raises_nothing_but_invalid_input(name, inputs, parameters):
    try:
        request = TASKS.get(name).check(inputs, parameters, limits=LIMITS)
    except InvalidInput as error:
        assert len(json.dumps(error.to_wire("zh"))) < 4096
    else:
        assert 1 <= len(request.texts) <= LIMITS.max_items
        assert all(text.encode("utf-8") for text in request.texts)


def test_answers_keep_the_shape_of_the_request(task):
    single = task.check("one", {}, limits=LIMITS)
    many = task.check(["one", "two"], {}, limits=LIMITS)
    logits = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]], dtype=np.float32)
    both = task.answer(task.decode({"logits": logits}, spec_of(task), many.options), many)
    one = task.answer(task.decode({"logits": logits[:1]}, spec_of(task), single.options), single)
    assert len(both) == 2
    assert both[0] == one


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_output_that_is_not_finite_is_an_engine_failure(task, value):
    options = task.check("x", {}, limits=LIMITS).options
    with pytest.raises(EngineFailed, match="not finite"):
        task.decode({"logits": np.array([[1.0, value, 0.0]], dtype=np.float32)}, spec_of(task), options)


@pytest.mark.parametrize("outputs", [{}, {"logits": np.zeros((1, 2), np.float32)}, {"logits": np.zeros(3, np.float32)}])
def test_output_of_a_foreign_shape_is_an_engine_failure(task, outputs):
    options = task.check("x", {}, limits=LIMITS).options
    with pytest.raises(EngineFailed):
        task.decode(outputs, spec_of(task), options)


def test_metrics_have_the_main_metric_and_are_json(task):
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    metrics = task.metrics(probabilities, np.array([0, 1, 1]), ("no", "yes"))
    assert metrics.get(task.main_metric) == pytest.approx(2 / 3)
    assert json.loads(json.dumps(metrics.to_json()))[task.main_metric] == pytest.approx(2 / 3)


def test_importing_tasks_loads_no_heavy_library():
    code = (
        "import sys, hanlin.tasks as t; t.TASKS.names();"
        "print(*[m for m in ('torch', 'transformers', 'tokenizers', 'opencc', 'rjieba', 'sklearn', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
