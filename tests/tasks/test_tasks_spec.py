import json

import pytest

from hanlin.errors import InvalidInput
from hanlin.tasks import ModelSpec, TextSettings
from hanlin.tasks.labels import labels_from_config, normalize_label

SPEC = ModelSpec("text-classification", ("坏", "good"), 128, 0, TextSettings(("html", "space"), "words"), ("zh", "en"))


def code_of(call, *args, **kwargs):
    with pytest.raises(InvalidInput) as caught:
        call(*args, **kwargs)
    assert caught.value.message
    assert caught.value.text("zh") != caught.value.message
    return caught.value.code


def changed(**fields):
    return {**SPEC.to_json(), **fields}


def test_saved_is_loaded_and_equal_specs_are_equal_bytes(tmp_path):
    SPEC.save(tmp_path)
    first = (tmp_path / "hanlin.json").read_bytes()
    assert ModelSpec.load(tmp_path) == SPEC
    ModelSpec.load(tmp_path).save(tmp_path)
    assert (tmp_path / "hanlin.json").read_bytes() == first


@pytest.mark.parametrize(
    "fields",
    [
        {"format": 2}, {"format": True}, {"task": 3}, {"task": "../x"}, {"task": "A b"}, {"extra": 1}, {"max_length": 0},
        {"max_length": "128"},
        {"max_length": True}, {"max_length": 10**9}, {"max_length": 1.0}, {"pad_id": -1}, {"pad_id": None}, {"pad_id": 2**40},
        {"labels": "ab"}, {"labels": [1, 2]}, {"labels": None}, {"languages": "zh"}, {"languages": [""]}, {"languages": ["中文"]},
    ],
)  # fmt: skip
def test_wrong_fields_are_refused(fields):
    assert code_of(ModelSpec.from_json, changed(**fields)) == "invalid_model_spec"


@pytest.mark.parametrize("text", [1, [], {"cleaning": "html"}, {"cleaning": ["html", "html"]}, {"cleaning": ["x"]}, {"cleaning": [[]]},
                                  {"segmentation": "x"}, {"segmentation": None}, {"other": 1}])  # fmt: skip
def test_wrong_text_settings_are_refused(text):
    assert code_of(ModelSpec.from_json, changed(text=text)) == "invalid_text_settings"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe{}", b"[" * 100_000, b"null", b"[]", b'"x"'])
def test_broken_files_are_refused(tmp_path, content):
    (tmp_path / "hanlin.json").write_bytes(content)
    assert code_of(ModelSpec.load, tmp_path) == "invalid_model_spec"


def test_missing_file_is_refused(tmp_path):
    assert code_of(ModelSpec.load, tmp_path) == "invalid_model_spec"


@pytest.mark.parametrize("labels", [[], ["a", "a"], [str(index) for index in range(10_001)]])
def test_c104_label_lists(labels):
    assert code_of(ModelSpec.from_json, changed(labels=labels)) == "invalid_labels"


@pytest.mark.parametrize("label", ["", " a", "a\0", "a\nb", "\u200b", "e\u0301", "x" * 201, "x" * 1_000_000, "\u2028", "\ud800"])
def test_c104_single_labels(label):
    assert code_of(ModelSpec.from_json, changed(labels=["ok", label])) == "invalid_label"


def test_labels_are_trimmed_and_composed():
    assert normalize_label("  cafe\u0301 \n") == "caf\u00e9"
    assert normalize_label("好评") == "好评"
    assert normalize_label("x" * 200) == "x" * 200


def config(labels, **more):
    return {"id2label": {str(index): label for index, label in enumerate(labels)}, **more}


def test_labels_of_a_config_come_in_the_order_of_the_head():
    many = [f"label {index}" for index in range(12)]
    shuffled = dict(sorted(config(many)["id2label"].items()))  # "0", "1", "10", "11", "2", …
    assert labels_from_config({"id2label": shuffled}, num_outputs=12) == tuple(many)


@pytest.mark.parametrize(
    "broken",
    [
        {}, {"id2label": {}}, {"id2label": []}, {"id2label": {"0": "a", "2": "b"}}, {"id2label": {"1": "a", "2": "b"}},
        {"id2label": {"0": "a", "01": "b"}}, {"id2label": {"0": "a", "1": "a"}}, {"id2label": {"0": 1}},
        config("ab", label2id={"a": 1, "b": 0}),
        config("ab", label2id={"a": 0}), config("ab", label2id=[]), config("abc"),
        {"id2label": dict.fromkeys(map(str, range(1_000_000)), "x")},
    ],
)  # fmt: skip
def test_c104_label_maps(broken):
    assert code_of(labels_from_config, broken, num_outputs=2) == "invalid_labels"


def test_c104_a_megabyte_of_label():
    assert code_of(labels_from_config, config(["a", "b" * 2**20])) == "invalid_label"


def test_spec_file_is_readable_json(tmp_path):
    SPEC.save(tmp_path)
    assert json.loads((tmp_path / "hanlin.json").read_text(encoding="utf-8"))["labels"] == ["坏", "good"]
