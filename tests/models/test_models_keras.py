"""Keras files as tutorials write them: same ids, same answers as Keras's own; what carries code or hides something is refused by name."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

os.environ["KERAS_BACKEND"] = "torch"  # before it is imported

from hanlin.engines import load_variant, reference_of
from hanlin.errors import InvalidInput
from hanlin.models import keras_file, keras_text
from hanlin.models.importing import Imported, import_folder
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.padding import pad
from hanlin.tasks.spec import ModelSpec

TEXTS = [
    "The film was GREAT, really great!", "a bad plot; bad acting & a bad end", "Well-made (and long)", "it's   fine\ttoo\nyes", "great",
    "ΟΔΟΣ ΣΟΦΟΣ and İstanbul naïve", "unknown words only here",
]  # fmt: skip
LONG = "one two three four five six seven eight nine ten great bad film"
MAXLEN = 8


@pytest.fixture(scope="module")
def keras() -> Any:
    import keras as found

    assert found.backend.backend() == "torch"
    found.utils.set_random_seed(1)
    return found


def word_tokenizer(**options: Any) -> Any:
    from keras.src.legacy.preprocessing.text import Tokenizer

    made = Tokenizer(**options)
    made.fit_on_texts([*TEXTS[:6], LONG])
    return made


def many(keras: Any) -> dict[str, Callable[[], Any]]:
    """Classifiers as tutorials write them."""
    layers, vocabulary = keras.layers, 60

    def sequential(*more: Any, mask: bool = False) -> Any:
        return keras.Sequential([layers.Input((MAXLEN,)), layers.Embedding(vocabulary, 6, mask_zero=mask), *more])

    def functional() -> Any:
        ids = layers.Input((MAXLEN,), dtype="int32")
        words = layers.Embedding(vocabulary, 6)(ids)
        parts = [layers.GlobalMaxPooling1D()(layers.Conv1D(4, size, activation="relu")(words)) for size in (2, 3)]
        return keras.Model(ids, layers.Dense(3, activation="softmax")(layers.concatenate(parts)))

    return {
        "lstm": lambda: sequential(layers.LSTM(5), layers.Dense(3, activation="softmax")),
        "masked two ways": lambda: sequential(
            layers.Bidirectional(layers.LSTM(4, return_sequences=True, dropout=0.2)), layers.Bidirectional(layers.GRU(3)),
            layers.Dropout(0.5), layers.Dense(1, activation="sigmoid"), mask=True,
        ),
        "gru": lambda: sequential(layers.SpatialDropout1D(0.2), layers.GRU(5, go_backwards=True), layers.Dense(2), mask=True),
        "written out": lambda: sequential(layers.SimpleRNN(4), layers.Dense(1, activation="sigmoid"), mask=True),
        "conv": lambda: sequential(
            layers.Conv1D(4, 3, activation="relu"), layers.MaxPooling1D(2), layers.Flatten(), layers.BatchNormalization(),
            layers.Dense(4, activation="relu"), layers.Dense(2, activation="softmax"),
        ),
        "averages": lambda: sequential(layers.GlobalAveragePooling1D(), layers.Dense(1), mask=True),
        "two roads": functional,
    }  # fmt: skip


def folder_of(path: Path, model: Any, tokenizer: Any, *, name: str = "model.keras", labels: int = 2, **rules: Any) -> Path:
    path.mkdir()
    model.save(path / name)
    (path / "tokenizer.json").write_text(tokenizer.to_json() if hasattr(tokenizer, "to_json") else tokenizer, encoding="utf-8")
    (path / "labels.txt").write_text("\n".join(f"label {number}" for number in range(labels)), encoding="utf-8")
    if rules:
        (path / "keras_text.json").write_text(json.dumps(rules), encoding="utf-8")
    return path


def take(source: Path, tmp_path: Path) -> tuple[Imported, Path]:
    out = tmp_path / "out"
    return import_folder(source, out, task="text-classification"), out


def served(out: Path, texts: list[str]) -> npt.NDArray[np.float64]:
    """Probabilities, all texts in one step."""
    spec = ModelSpec.load(out)
    rows = TextEncoder.load(out).encode(texts, truncate=True)
    session = load_variant(out, reference_of(out), threads=1)
    scores = session.run(*pad(rows, spec.pad_id).values())["logits"].astype(np.float64)
    raised = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


def expected(keras: Any, model: Any, tokenizer: Any, texts: list[str], **rules: Any) -> npt.NDArray[np.float64]:
    """What the tutorial's own lines say."""
    ids = keras.utils.pad_sequences(tokenizer.texts_to_sequences(texts), maxlen=MAXLEN, **rules)
    found = np.asarray(model.predict(ids, verbose=0), dtype=np.float64)
    is_raw = model.layers[-1].get_config()["activation"] == "linear"
    if found.shape[1] == 1:
        second = 1 / (1 + np.exp(-found)) if is_raw else found
        return np.concatenate([1 - second, second], axis=1)
    return np.asarray(np.exp(found) / np.exp(found).sum(1, keepdims=True) if is_raw else found)


@pytest.mark.usefixtures("same_process")
@pytest.mark.parametrize("name", ["lstm", "masked two ways", "gru", "written out", "conv", "averages", "two roads"])
def test_a_tutorials_model_answers_as_keras_does(tmp_path: Path, keras: Any, name: str) -> None:
    model = many(keras)[name]()
    tokenizer = word_tokenizer(oov_token="<OOV>")
    count = max(2, model.output_shape[-1])
    suffix = "model.h5" if name in ("gru", "conv") else "model.keras"
    found, out = take(folder_of(tmp_path / "in", model, tokenizer, labels=count, name=suffix), tmp_path)
    assert (found.spec.reference, found.spec.max_length, found.spec.is_alone, found.spec.cuts) == (
        "onnxruntime-fp32", MAXLEN, False, "start",
    )  # fmt: skip
    texts = [*TEXTS, LONG]
    np.testing.assert_allclose(served(out, texts), expected(keras, model, tokenizer, texts), atol=1e-5)
    nodes = (out / "variants/onnxruntime-fp32/model.onnx").read_bytes()
    assert (b"LSTM" in nodes or b"GRU" in nodes) == (name in ("lstm", "masked two ways", "gru")), "one operator, not one a step"


@pytest.mark.usefixtures("same_process")
@pytest.mark.parametrize("rules", [{}, {"padding": "post"}, {"padding": "post", "truncating": "post"}, {"truncating": "post"}], ids=str)
def test_rows_are_filled_and_cut_as_they_were(tmp_path: Path, keras: Any, rules: dict[str, str]) -> None:
    model, tokenizer = many(keras)["lstm"](), word_tokenizer(oov_token="<OOV>", num_words=20)
    _, out = take(folder_of(tmp_path / "in", model, tokenizer, labels=3, **rules), tmp_path)
    texts = [*TEXTS, LONG]
    np.testing.assert_allclose(served(out, texts), expected(keras, model, tokenizer, texts, **rules), atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"oov_token": "?"},
        {"num_words": 9},
        {"num_words": 9, "oov_token": "?"},
        {"lower": False},
        {"filters": ".,", "split": "-"},
        {"char_level": True},
        {"filters": ""},
    ],
    ids=str,
)
def test_texts_become_the_ids_that_keras_gives(tmp_path: Path, options: dict[str, Any]) -> None:
    tokenizer = word_tokenizer(**options)
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer.to_json()), encoding="utf-8")  # twice JSON, as many write it
    found = keras_text.read(tmp_path)
    texts = [*TEXTS, LONG, "bad - GREAT -  film"]
    ours = [[number for number in found.tokenizer.encode(text).ids if number != found.sheet.dropped] for text in texts]
    assert ours == tokenizer.texts_to_sequences(texts)


def test_a_vocabulary_is_that_of_text_vectorization(tmp_path: Path) -> None:
    (tmp_path / "vocabulary.txt").write_text("\n[UNK]\ngreat\nits\nwellmade\nÉ\n", encoding="utf-8")
    found = keras_text.read(tmp_path)
    assert found.tokenizer.encode("GREAT, it's  well-made! É é").ids == [2, 3, 4, 5, 1]
    assert (found.sheet.padding, found.sheet.truncating, found.sheet.dropped, found.largest_id) == ("post", "post", None, 5)
    (tmp_path / "keras_text.json").write_text('{"standardize": "lower", "split": "character", "maxlen": 5}', encoding="utf-8")
    assert keras_text.read(tmp_path).tokenizer.encode("É!").ids == [5, 1]
    assert keras_text.read(tmp_path).sheet.length == 5


def test_a_word_that_no_id_stands_for_takes_no_place(tmp_path: Path, keras: Any) -> None:
    model, tokenizer = many(keras)["lstm"](), word_tokenizer(num_words=12)
    _, out = take(folder_of(tmp_path / "in", model, tokenizer, labels=3), tmp_path)
    np.testing.assert_allclose(served(out, TEXTS), expected(keras, model, tokenizer, TEXTS), atol=1e-5)


@pytest.mark.usefixtures("same_process")
def test_a_free_length_wants_maxlen(tmp_path: Path, keras: Any) -> None:
    layers = keras.layers
    model = keras.Sequential([layers.Input((None,)), layers.Embedding(60, 4), layers.LSTM(3), layers.Dense(2, activation="softmax")])
    tokenizer = word_tokenizer(oov_token="?")
    with pytest.raises(InvalidInput) as caught:
        take(folder_of(tmp_path / "in", model, tokenizer), tmp_path)
    assert caught.value.code == "keras_length_missing"
    found, out = take(folder_of(tmp_path / "told", model, tokenizer, maxlen=MAXLEN), tmp_path)
    assert found.spec.max_length == MAXLEN
    np.testing.assert_allclose(served(out, TEXTS), expected(keras, model, tokenizer, TEXTS), atol=1e-5)


def packed(config: object, **members: bytes) -> bytes:
    import h5py

    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file["a"] = np.zeros(3, np.float32)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        raw = config if isinstance(config, bytes) else json.dumps(config).encode()
        parts = {"metadata.json": b"{}", "config.json": raw, "model.weights.h5": weights.getvalue()}
        for name, content in (parts | members).items():
            archive.writestr(name, content)
    return out.getvalue()


def layer(name: str, **more: object) -> dict[str, object]:
    return {"class_name": "Sequential", "config": {"layers": [{"class_name": name, "config": more, "module": "keras.layers"}]}}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (lambda: packed(layer("Lambda", function={"class_name": "__lambda__"})), "keras_layer_refused"),
        (lambda: packed(layer("Dense") | {"registered_name": "Mine>Special"}), "keras_layer_refused"),
        (lambda: packed(layer("Dense", activation={"class_name": "function", "module": "os", "config": "system"})), "keras_layer_refused"),
        (lambda: packed({"class_name": "Popen", "module": "subprocess", "config": {"args": ["true"]}}), "keras_layer_refused"),
        (lambda: packed({"class_name": "Dense", "module": "keras.evil", "config": {}}), "keras_layer_refused"),
        (lambda: packed(layer("Embedding", input_dim=10**12)), "keras_layer_refused"),
        (lambda: packed(layer("TextVectorization")), "keras_text_layer"),
        (lambda: packed(layer("Dense"), **{"assets/x/vocabulary.txt": b"a"}), "keras_text_layer"),
        (lambda: packed(layer("Dense"), **{"../evil.py": b"a"}), "foreign_file_broke"),
        (lambda: packed(layer("Dense"), **{"metadata.json": b" " * 50_000_000}), "foreign_file_broke"),
        (lambda: packed(b"[" * 100_000), "foreign_file_broke"),
        (lambda: packed(b"\x80\x04cos\nsystem\n"), "foreign_file_broke"),
        (lambda: packed(layer("Dense"))[:-30], "foreign_file_broke"),
        (lambda: b"", "foreign_file_broke"),
    ],
)
def test_a_file_that_hides_something_is_refused_before_keras_sees_it(tmp_path: Path, content: Callable[[], bytes], code: str) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(content())
    with pytest.raises(InvalidInput) as caught:
        keras_file.check(path)
    assert caught.value.code == code
    assert caught.value.message


def test_arrays_of_other_files_are_not_followed(tmp_path: Path) -> None:
    import h5py

    for number, kind in enumerate(("external link", "soft link", "external storage", "bomb", "weights alone")):
        path = tmp_path / f"{number}.h5"
        with h5py.File(path, "w") as file:
            if kind == "external link":
                file["a"] = h5py.ExternalLink("/etc/hostname", "/")
            elif kind == "soft link":
                file["a"] = h5py.SoftLink("/b")
            elif kind == "external storage":
                file.create_dataset("a", (4,), dtype="u1", external=[("/etc/hostname", 0, 4)])
            elif kind == "bomb":
                file.create_dataset("a", (10**8,), dtype="f4", chunks=(10**6,), compression="gzip", fillvalue=0)
            else:
                file["a"] = np.zeros(3)
        with pytest.raises(InvalidInput) as caught:
            keras_file.check(path)
        assert caught.value.code == ("keras_weights_only" if kind == "weights alone" else "foreign_file_broke"), kind


@pytest.mark.usefixtures("same_process")
def test_what_stands_beside_is_checked(tmp_path: Path, keras: Any) -> None:
    model = many(keras)["lstm"]()
    source = folder_of(tmp_path / "in", model, word_tokenizer(), labels=3)
    (source / "tokenizer.json").unlink()
    cases: list[tuple[str, bytes, str]] = [
        ("", b"", "keras_text_missing"),
        ("tokenizer.pickle", b"x", "unsupported_format"),
        ("word_index.json", b'{"a": 0}', "keras_text_wrong"),
        ("word_index.json", b'{"a": 1, "b": 1}', "keras_text_wrong"),
        ("word_index.json", b'{"a": 1000}', "tokenizer_does_not_fit"),
        ("tokenizer.json", b'{"class_name": "Other"}', "keras_text_wrong"),
        ("saved_model.pb", b"x", "keras_saved_model"),
        ("other.h5", b"x", "several_models"),
    ]
    for name, content, code in cases:
        if name:
            (source / name).write_bytes(content)
        with pytest.raises(InvalidInput) as caught:
            take(source, tmp_path)
        assert caught.value.code == code, name
        if name:
            (source / name).unlink()
