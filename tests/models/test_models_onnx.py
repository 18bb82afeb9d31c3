"""ONNX files with a tokenizer: whatever inputs and outputs are called, the artifact answers as the file does; bad ones are refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from hanlin.engines import load_variant, reference_of
from hanlin.errors import HanlinError, InvalidInput
from hanlin.models import onnx_child
from hanlin.models.importing import Imported, import_folder
from hanlin.models.onnx_answer import Wanted
from hanlin.models.onnx_child import Asked
from hanlin.models.onnx_graph import Sheet
from hanlin.networks.head import Head
from hanlin.tasks.spec import ModelSpec

WORDS = ["[PAD]", "[UNK]", *"abcdefgh", "good", "bad"]
ROWS = [[2, 3, 4, 5, 6], [10, 11], [7]]
CHANCE = np.random.default_rng(3)
TABLE = CHANCE.normal(size=(len(WORDS), 6)).astype(np.float32)
HEAD = CHANCE.normal(size=(6, 2)).astype(np.float32)


def graph_file(
    path: Path, *, names: Sequence[str] = ("input_ids", "attention_mask"), output: str = "logits", kind: int = TensorProto.INT64,
    shape: Sequence[object] = ("batch", "length"), end: str = "", per_token: bool = False, head: npt.NDArray[np.float32] = HEAD,
    opset: int = 17, domain: str = "",
) -> Path:  # fmt: skip
    """Mean of embeddings under the mask (where it has one), times a head; `end` is an operator behind it."""
    ids, *others = names
    nodes = [helper.make_node("Gather", ["table", ids if kind != TensorProto.FLOAT else "whole"], ["tokens"])]
    if kind == TensorProto.FLOAT:
        nodes.insert(0, helper.make_node("Cast", [ids], ["whole"], to=TensorProto.INT64))
    if per_token:
        nodes.append(helper.make_node("Identity", ["tokens"], ["pooled"]))
    elif others:
        nodes += [
            helper.make_node("Cast", [others[0]], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["floats", "two"], ["weights"]),
            helper.make_node("Mul", ["tokens", "weights"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "one"], ["total"], keepdims=0),
            helper.make_node("ReduceSum", ["weights", "one"], ["count"], keepdims=0),
            helper.make_node("Div", ["total", "count"], ["pooled"]),
        ]
    else:
        nodes.append(helper.make_node("ReduceMean", ["tokens"], ["pooled"], axes=[1], keepdims=0))
    nodes.append(helper.make_node("MatMul", ["pooled", "head"], ["scores" if end else output]))
    if end:
        nodes.append(helper.make_node(end, ["scores"], [output], domain=domain))
    constants = [numpy_helper.from_array(TABLE, "table"), numpy_helper.from_array(head, "head")]
    constants += [numpy_helper.from_array(np.array([number]), name) for number, name in ((1, "one"), (2, "two"))]
    values = [helper.make_tensor_value_info(name, kind, list(shape)) for name in names]
    answer = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    made = helper.make_graph(nodes, "g", values, [answer], constants)
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    onnx.save(helper.make_model(made, opset_imports=opsets, ir_version=8), str(path))
    return path


def folder_of(path: Path, labels: Sequence[str] = ("bad", "good"), **options: object) -> Path:
    path.mkdir(exist_ok=True)
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    (path / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    if labels:
        (path / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")
    graph_file(path / "model.onnx", **options)  # type: ignore[arg-type]
    return path


def take(source: Path, tmp_path: Path, task: str = "text-classification") -> tuple[Imported, Path]:
    out = tmp_path / "out"
    return import_folder(source, out, task=task), out


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


def spoil(source: Path, kind: str) -> None:
    path = source / "model.onnx"
    model = onnx.load(str(path))
    if kind == "external":
        onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
        (source / "weights.bin").unlink()
    elif kind == "data beside":
        (source / "model.onnx_data").write_bytes(b"x")
    elif kind == "opset":
        model.opset_import[0].version = 99
        onnx.save(model, str(path))
    elif kind == "ir":
        model.ir_version = 999
        onnx.save(model, str(path))
    elif kind == "junk":
        path.write_bytes(b"\x08" + b"junk" * 100)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "two":
        path.rename(source / "one.onnx")
        (source / "two.onnx").write_bytes(b"x")
    elif kind == "pickle":
        (source / "pytorch_model.bin").write_bytes(b"x")
    elif kind == "bomb":  # a terabyte of zeros, said in a few bytes
        size = helper.make_node("ConstantOfShape", ["huge"], ["zeros"])
        model.graph.node.extend([size, helper.make_node("ReduceMean", ["zeros"], ["other"], keepdims=0)])
        model.graph.initializer.append(numpy_helper.from_array(np.array([2**19, 2**19]), "huge"))
        model.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, []))
        onnx.save(model, str(path))
    elif kind == "nan":
        weights = next(item for item in model.graph.initializer if item.name == "head")
        weights.CopyFrom(numpy_helper.from_array(np.full((6, 2), np.nan, np.float32), "head"))
        onnx.save(model, str(path))


@pytest.mark.parametrize(
    ("kind", "options", "code"),
    [
        ("external", {}, "external_data_refused"),
        ("data beside", {}, "external_data_refused"),
        ("opset", {}, "onnx_too_new"),
        ("ir", {}, "onnx_too_new"),
        ("junk", {}, "foreign_file_broke"),
        ("empty", {}, "foreign_file_broke"),
        ("two", {}, "several_models"),
        ("pickle", {}, "unsupported_format"),
        ("bomb", {}, "onnx_does_not_run"),
        ("nan", {}, "onnx_does_not_run"),
        ("", {"names": ("input_ids", "attention_mask", "pixel_values")}, "onnx_inputs_unknown"),
        ("", {"kind": TensorProto.DOUBLE}, "onnx_inputs_unknown"),
        ("", {"shape": (4, "length")}, "onnx_fixed_batch"),
        ("", {"end": "Secret", "domain": "my.company"}, "onnx_operator_unknown"),
        ("", {"end": "Sigmoid"}, "onnx_output_wrong"),
        ("", {"per_token": True}, "onnx_output_wrong"),
        ("", {"labels": ()}, "labels_missing"),
        ("", {"labels": ("a", "b", "c")}, "invalid_labels"),
        ("", {"labels": ("a", "a")}, "invalid_labels"),
    ],
    ids=str,
)
def test_what_cannot_be_served_is_refused_by_name(tmp_path: Path, kind: str, options: dict, code: str) -> None:
    if options.get("domain"):
        source = folder_of(tmp_path / "in")
        graph_file(source / "model.onnx", **options)
    else:
        source = folder_of(tmp_path / "in", **options)
    spoil(source, kind)
    with pytest.raises(InvalidInput) as caught:
        take(source, tmp_path)
    assert caught.value.code == code
    assert caught.value.message
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("same_process")
def test_a_tokenizer_with_more_ids_than_rows_does_not_fit(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in")
    whole = json.loads((source / "tokenizer.json").read_text())
    whole["model"]["vocab"]["extra"] = len(WORDS) + 5
    (source / "tokenizer.json").write_text(json.dumps(whole))
    with pytest.raises(InvalidInput) as caught:
        take(source, tmp_path)
    assert caught.value.code == "tokenizer_does_not_fit"


@pytest.mark.usefixtures("same_process")
def test_there_are_no_torch_weights_to_run(tmp_path: Path) -> None:
    _, out = take(folder_of(tmp_path / "in"), tmp_path)
    with pytest.raises(HanlinError) as caught:
        load_variant(out, "torch-fp32", threads=1)
    assert (caught.value.code, caught.value.params["reference"]) == ("no_torch_weights", "onnxruntime-fp32")


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("dropped", [None, 1])
def test_a_sheet_is_filled_as_keras_does(tmp_path: Path, padding: str, truncating: str, dropped: int | None) -> None:
    """Columns of a sheet of four, seen through a graph that weighs each place."""
    places = np.array([1, 100, 10_000, 1_000_000], np.float32).reshape(4, 1)
    nodes = [helper.make_node("MatMul", ["x", "places"], ["y"])]
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 4])]
    answers = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", 1])]
    graph = helper.make_graph(nodes, "g", values, answers, [numpy_helper.from_array(places, "places")])
    raw = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    sheet = Sheet(4, padding=padding, truncating=truncating, dropped=dropped)  # type: ignore[arg-type]
    asked = Asked(Wanted("pairs"), "logits", [4], 9, 0, sheet=sheet)
    made, facts = onnx_child.rewrite(raw, asked, name="model.onnx")
    rows = [[5, 1, 7], [3], [2, 1, 4, 5, 6, 7], [1, 2, 3, 4]]
    ids, mask = np.full((4, 6), 9, dtype=np.int64), np.zeros((4, 6), dtype=np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)], mask[place, : len(row)] = row, 1
    found = ort.InferenceSession(made).run(["logits"], {"input_ids": ids, "attention_mask": mask})[0][:, 0]
    for row, got in zip(rows, found, strict=True):
        kept = [token for token in row if token != dropped]
        kept = kept[-4:] if truncating == "pre" else kept[:4]
        filler = [0] * (4 - len(kept))
        wanted = [*filler, *kept] if padding == "pre" else [*kept, *filler]
        assert got == float(np.array(wanted, np.float32) @ places[:, 0]), (row, wanted)
    assert (facts["max_length"], facts["is_alone"]) == (4, False)
