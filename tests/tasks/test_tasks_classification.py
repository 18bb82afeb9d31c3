import numpy as np
import pytest

from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS, Limits, ModelSpec
from hanlin.tasks.text_classification import scores_of

TASK = TASKS.get("text-classification")
SPEC = ModelSpec("text-classification", ("bad", "fine", "good"), 128, 0)
LIMITS = Limits(max_items=4, max_text_bytes=100)


def check(inputs, **parameters):
    return TASK.check(inputs, parameters, limits=LIMITS)


def refusal(inputs, **parameters):
    with pytest.raises(InvalidInput) as caught:
        check(inputs, **parameters)
    return caught.value


def decode(logits, **parameters):
    rows = TASK.decode({"logits": np.array(logits, dtype=np.float32)}, SPEC, check("x", **parameters).options)
    return [[(item.label, item.score) for item in row] for row in rows]


def test_labels_come_best_first_and_sum_to_one():
    [row] = decode([[0.0, 1.0, 3.0]])
    assert [label for label, _ in row] == ["good", "fine", "bad"]
    assert sum(score for _, score in row) == pytest.approx(1.0, abs=1e-12)


def test_ties_keep_the_order_of_the_labels():
    assert [label for label, _ in decode([[1.0, 1.0, 1.0]])[0]] == ["bad", "fine", "good"]


def test_top_k_cuts_and_may_exceed_the_labels():
    assert len(decode([[0.0, 1.0, 3.0]], top_k=1)[0]) == 1
    assert len(decode([[0.0, 1.0, 3.0]], top_k=99)[0]) == 3
    assert len(decode([[0.0, 1.0, 3.0]], top_k=None)[0]) == 3


def test_functions_agree_with_their_formulas_and_never_overflow():
    logits = np.array([[-1000.0, 0.0, 1000.0]], dtype=np.float32)
    assert scores_of(logits, "softmax").tolist() == [[0.0, 0.0, 1.0]]
    assert scores_of(logits, "sigmoid").tolist() == [[0.0, 0.5, 1.0]]
    assert scores_of(logits, "none").tolist() == logits.tolist()
    few = np.array([[0.3, -1.2, 2.0]], dtype=np.float32)
    assert scores_of(few, "sigmoid") == pytest.approx(1 / (1 + np.exp(-few.astype(float))))


def test_unknown_parameter_is_named():  # never ignored
    error = refusal("x", topk=3)
    assert error.code == "unknown_parameter"
    assert "topk" in error.message
    assert "top_k" in error.message


@pytest.mark.parametrize("value", [0, -1, 10**9, 2**63, "1", 1.0, True, [1], {}])
def test_c034_top_k_out_of_bounds_or_of_another_type(value):
    assert refusal("x", top_k=value).code == "invalid_parameter"


def test_a_refusal_in_chinese_holds_no_english_words():
    limit = refusal("x", top_k="1").text("en").split(" to ")[1].split(",")[0]
    assert refusal("x", top_k="1").text("zh") == f"参数 top_k 应为 1 至 {limit} 的整数，而不是字符串"
    assert refusal("x", truncation=1).text("zh") == "参数 truncation 应为 true 或 false，而不是数"
    assert refusal("x", function_to_apply=[]).text("zh").startswith("参数 function_to_apply 应为以下之一：")
    assert refusal(1).text("zh").endswith("，而不是数")


@pytest.mark.parametrize("value", [0, 1, "true", [], {}])
def test_c028_truncation_is_a_boolean(value):
    assert refusal("x", truncation=value).code == "invalid_parameter"


@pytest.mark.parametrize("value", ["Softmax", 1, True, ["softmax"], {}])
def test_function_is_one_of_the_choices(value):
    assert refusal("x", function_to_apply=value).code == "invalid_parameter"


@pytest.mark.parametrize("inputs", [None, 1, 1.5, True, {}, {"text": "x"}, float("nan")])
def test_c028_inputs_of_another_type(inputs):
    assert refusal(inputs).code == "invalid_inputs"


@pytest.mark.parametrize(
    "text", ["", " ", "\t\n\u3000\u2003", "\u0301\u0323", "\0\x07", "\u200b\u200d\ufeff", "\u3164\u2800", "\u202e\u2066", "\u00a0" * 40]
)
def test_c031_texts_that_show_nothing_are_empty(text):
    assert refusal(text).code == "empty_text"


@pytest.mark.parametrize("text", ["a", "。", "😀", "1", "\u0301a", "e\u0301", "𠮷", "\ue000", " \u200b好"])
def test_c031_texts_that_show_something_pass(text):
    assert check(text).texts == (text,)


def test_c024_nul_inside_a_text_is_kept():
    assert check("a\0b").texts == ("a\0b",)


def test_c022_lone_surrogate_names_item_and_position():
    error = refusal(["fine", "ab\ud800c"])
    assert (error.code, error.params["index"], error.params["position"]) == ("invalid_unicode", 1, 2)
    assert "\ud800" not in error.message


def test_c030_size_limit_counts_bytes_to_the_byte():
    assert check("a" * 100).texts
    assert check("好" * 33 + "a").texts
    error = refusal("好" * 33 + "ab")
    assert (error.code, error.params["length"], error.params["limit"]) == ("text_too_long", 101, 100)
    assert refusal("a" * 10_000_000).code == "text_too_long"


def test_c032_batch_bounds():
    assert len(check(["x"] * 4).texts) == 4
    assert refusal(["x"] * 5).code == "batch_too_large"
    assert refusal(["x"] * 100_000).code == "batch_too_large"
    assert refusal([]).code == "empty_batch"


def test_c033_the_bad_item_is_named():
    for bad, code in ((3, "invalid_inputs"), ("", "empty_text"), ("a" * 101, "text_too_long"), (["x"], "invalid_inputs")):
        error = refusal(["x", "y", bad])
        assert error.code == code
        assert error.to_wire()["index"] == 2


def test_c029_refusals_never_echo_the_input():
    error = refusal({"secret": "s3cr3t" * 100_000})
    assert len(str(error.to_wire())) < 1000
    assert "s3cr3t" not in str(error.to_wire())
