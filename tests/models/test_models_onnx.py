"""ONNX files with a tokenizer: whatever inputs and outputs are called, the artifact answers as the file does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto
from tests.models.onnx_files import CHANCE, HEAD, ROWS, TABLE, folder_of, take

from hanlin.engines import load_variant, reference_of
from hanlin.errors import HanlinError
from hanlin.models.importing import import_folder
from hanlin.networks.head import Head
from hanlin.tasks.spec import ModelSpec


def served(out: Path, rows: Sequence[Sequence[int]] = ROWS) -> npt.NDArray[np.float32]:
    """Answers of rows in one batch, or one by one where the model wants that."""
    session = load_variant(out, reference_of(out), threads=1)
    spec = ModelSpec.load(out)
    batches = [[row] for row in rows] if spec.is_alone else [list(rows)]
    found = []
    for batch in batches:
        ids = np.zeros((len(batch), max(map(len, batch))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(batch):
            ids[place, : len(row)], mask[place, : len(row)] = row, 1
        found += list(session.run(ids, mask)[Head.load(out).output])
    return np.array(found)


def expected(head: npt.NDArray[np.float32] = HEAD) -> npt.NDArray[np.float32]:
    return np.array([TABLE[row].mean(0) @ head for row in ROWS])


def test_a_graph_with_our_names_is_taken_byte_for_byte(tmp_path: Path) -> None:
    found, out = take(folder_of(tmp_path / "in"), tmp_path)
    assert (found.spec.reference, found.spec.is_alone, found.spec.max_length, found.spec.labels) == (
        "onnxruntime-fp32", False, 512, ("bad", "good"),
    )  # fmt: skip
    assert (out / "variants/onnxruntime-fp32/model.onnx").read_bytes() == (tmp_path / "in" / "model.onnx").read_bytes()
    assert found.num_parameters == TABLE.size + HEAD.size + 2
    np.testing.assert_allclose(served(out), expected(), atol=1e-5)


@pytest.mark.usefixtures("same_process")
@pytest.mark.parametrize(
    "options",
    [
        {"names": ("tokens:0", "input_mask"), "output": "dense_3"},
        {"kind": TensorProto.INT32},
        {"kind": TensorProto.FLOAT},
        {"shape": (1, "length")},
        {"shape": ("batch", 7)},
        {"names": ("only_one",)},
        {"end": "LogSoftmax"},
        {"opset": 12, "names": ("x",)},
    ],
    ids=str,
)
def test_whatever_it_is_called_it_answers_as_the_file_does(tmp_path: Path, options: dict) -> None:
    found, out = take(folder_of(tmp_path / "in", **options), tmp_path)
    wanted, got = expected(), served(out)
    if options.get("end"):
        wanted = wanted - np.log(np.exp(wanted).sum(1, keepdims=True))
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert found.spec.is_alone == (options.get("shape") == (1, "length") or len(options.get("names", "xx")) == 1)
    assert found.spec.max_length == (7 if options.get("shape") == ("batch", 7) else 512)


@pytest.mark.usefixtures("same_process")
@pytest.mark.parametrize(("end", "width"), [("Softmax", 2), ("Sigmoid", 1)])
def test_probabilities_come_back_as_they_were(tmp_path: Path, end: str, width: int) -> None:
    _, out = take(folder_of(tmp_path / "in", end=end, head=HEAD[:, :width]), tmp_path)
    got = np.exp(served(out))
    scores = expected(HEAD[:, :width])
    second = 1 / (1 + np.exp(-scores[:, 0])) if width == 1 else np.exp(scores[:, 1]) / np.exp(scores).sum(1)
    np.testing.assert_allclose(got[:, 1] / got.sum(1), second, atol=1e-5)


@pytest.mark.usefixtures("same_process")
def test_a_tagger_a_ranker_and_vectors(tmp_path: Path) -> None:
    found, out = take(folder_of(tmp_path / "tags", per_token=True), tmp_path, "token-classification")
    assert found.head == Head("token_logits")
    np.testing.assert_allclose(served(out)[0], TABLE[ROWS[0]] @ HEAD, atol=1e-5)
    found = import_folder(folder_of(tmp_path / "rank", labels=(), head=HEAD[:, :1]), tmp_path / "ranker", task="reranking")
    assert found.spec.labels == ("LABEL_0",)
    np.testing.assert_allclose(served(tmp_path / "ranker"), expected(HEAD[:, :1]), atol=1e-5)
    options = {"labels": (), "per_token": True, "output": "last_hidden_state", "shape": ("b", 9)}
    found = import_folder(folder_of(tmp_path / "vectors", **options), tmp_path / "embedder", task="embedding")
    assert (found.is_pooling_assumed, found.spec.vectors.dimensions) == (True, 2)
    whole = expected()
    np.testing.assert_allclose(served(tmp_path / "embedder"), whole / np.linalg.norm(whole, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.usefixtures("same_process")
@pytest.mark.parametrize(("mode", "opset"), [("max_tokens", 17), ("cls_token", 20)])
def test_vectors_are_pooled_as_the_folder_says(tmp_path: Path, mode: str, opset: int) -> None:
    from onnx import version_converter

    source = folder_of(tmp_path / "in", labels=(), per_token=True, output="last_hidden_state")
    onnx.save(version_converter.convert_version(onnx.load(str(source / "model.onnx")), opset), str(source / "model.onnx"))
    (source / "1_Pooling").mkdir()
    (source / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{mode}": True}))
    found = import_folder(source, tmp_path / "out", task="embedding")
    assert not found.is_pooling_assumed
    wanted = np.array([(TABLE[row] @ HEAD).max(0) if mode == "max_tokens" else TABLE[row[0]] @ HEAD for row in ROWS])
    np.testing.assert_allclose(served(tmp_path / "out"), wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.usefixtures("same_process")
def test_what_was_exported_comes_in_again(tmp_path: Path) -> None:
    _, out = take(folder_of(tmp_path / "in", shape=("batch", 7), output="y"), tmp_path)
    again = import_folder(out, tmp_path / "again", task="text-classification")
    assert again.spec == ModelSpec.load(out)
    place = "variants/onnxruntime-fp32/model.onnx"
    assert (tmp_path / "again" / place).read_bytes() == (out / place).read_bytes()


@pytest.mark.usefixtures("same_process")
def test_integers_are_called_so(tmp_path: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    source = folder_of(tmp_path / "in", head=CHANCE.normal(size=(6, 2)).astype(np.float32))
    quantize_dynamic(str(source / "model.onnx"), str(source / "small.onnx"), weight_type=QuantType.QInt8)
    (source / "small.onnx").replace(source / "model.onnx")
    found, out = take(source, tmp_path)
    assert found.spec.reference == "onnxruntime-int8"
    assert (out / "variants/onnxruntime-int8/model.onnx").is_file()


@pytest.mark.usefixtures("same_process")
@pytest.mark.parametrize(
    ("labels", "file"),
    [
        ('["bad", "good"]', "labels.json"),
        ('{"0": "bad", "1": "good"}', "id2label.json"),
        ('{"good": 1, "bad": 0}', "label2id.json"),
        ('{"tags": ["bad", "good"]}', "tag_vocab.json"),
        ('{"model_type": "anything", "id2label": {"0": "bad", "1": "good"}}', "config.json"),
        ("bad\r\ngood\r\n", "classes.txt"),
    ],
)
def test_labels_are_read_where_people_put_them(tmp_path: Path, labels: str, file: str) -> None:
    source = folder_of(tmp_path / "in", labels=())
    (source / file).write_bytes(labels.encode())
    assert take(source, tmp_path)[0].spec.labels == ("bad", "good")


@pytest.mark.usefixtures("same_process")
def test_there_are_no_torch_weights_to_run(tmp_path: Path) -> None:
    _, out = take(folder_of(tmp_path / "in"), tmp_path)
    with pytest.raises(HanlinError) as caught:
        load_variant(out, "torch-fp32", threads=1)
    assert (caught.value.code, caught.value.params["reference"]) == ("no_torch_weights", "onnxruntime-fp32")
