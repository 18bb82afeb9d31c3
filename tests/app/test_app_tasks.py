"""Embedding, reranking and token classification through a real server: imported, certified, compressed, called."""

from __future__ import annotations

import json
from pathlib import Path
from string import ascii_lowercase

import httpx
import numpy as np
import pytest
from tests.tiny_bert import save_bert

from hanlin.client import Hanlin
from hanlin.datasets import bundled
from hanlin.errors import InvalidInput

pytestmark = pytest.mark.e2e
PACKAGES = Path(__file__).parents[2] / "build" / "packages"
TEXTS = ["The parcel arrived broken.", "My package was damaged on arrival.", "We had pasta for dinner."]


def take_in(client: Hanlin, name: str, folder: Path, task: str, **options: object) -> dict:
    files = [file.model_dump() for file in client.blobs.upload(folder)]
    config = {"name": name, "files": files, "task": task, **options}
    result = client.jobs.wait(client.jobs.submit("import", config).id, timeout=600).result
    assert result is not None
    return result


def deploy(client: Hanlin, name: str) -> str:
    client.deployments.wait(client.deployments.create(name, name), timeout=180)
    return name


@pytest.fixture(scope="module")
def minilm(client: Hanlin) -> dict:
    """all-MiniLM-L6-v2 itself, in, compressed and served."""
    taken = take_in(client, "minilm", bundled.minilm_embedder(PACKAGES), "embedding")
    config = {"model": "minilm", "target": "latency", "variants": ["onnxruntime-fp32"]}
    compressed = client.jobs.wait(client.jobs.submit("compress", config).id, timeout=900).result
    assert compressed is not None
    deploy(client, "minilm")
    return {"taken": taken, "compressed": compressed}


def test_an_embedding_model_is_certified_against_its_own_fp32(minilm) -> None:
    certificate = minilm["taken"]["certificate"]
    assert (certificate["is_passed"], certificate["is_agreement_only"], certificate["label_agreement"]) == (True, True, 1.0)
    assert certificate["max_score_difference"] < 1e-4
    report = minilm["compressed"]["report"]
    assert (certificate["rows"], report["rows"]["validation"]) == (24, 64), "as the settings say"
    assert report["metric"] == "agreement"
    for row in report["variants"]:
        assert row["status"] == "ok", row
        assert row["validation"]["metric"] > 0.9999


def test_its_vectors_are_those_of_the_package(minilm, client, server) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = bundled.minilm_embedder(PACKAGES)
    encoded = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(folder)(**encoded).last_hidden_state
    mask = encoded["attention_mask"][:, :, None]
    expected = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
    answer = httpx.post(f"{server.url}/models/minilm", json={"inputs": TEXTS}, headers={"authorization": f"Bearer {server.key}"})
    np.testing.assert_allclose(np.array(answer.json()), expected, atol=1e-5)
    np.testing.assert_allclose(client.embed("minilm", TEXTS[0]), expected[0], atol=1e-5)
    short = np.array(client.embed("minilm", TEXTS, dimensions=64))
    np.testing.assert_allclose(short, expected[:, :64] / np.linalg.norm(expected[:, :64], axis=1, keepdims=True), atol=1e-5)
    shown = httpx.get(f"{server.url}/models/minilm", headers={"authorization": f"Bearer {server.key}"}).json()
    assert (shown["task"], shown["dimensions"], shown["labels"]) == ("embedding", 384, [])
    with pytest.raises(InvalidInput) as caught:
        client.embed("minilm", TEXTS, dimensions=385)
    assert caught.value.code == "too_many_dimensions"


def test_weights_of_vectors_rank_texts(client, make_encoder, tmp_path) -> None:
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModel

    query, texts = "broken parcel", ["We had pasta for dinner", "The parcel arrived broken", "A parcel of pasta"]
    folder = make_encoder(tmp_path / "near", sorted({word for text in [query, *texts] for word in text.split()}))
    take_in(client, "near", folder, "reranking")
    deploy(client, "near")
    tokenizer, model = Tokenizer.from_file(str(folder / "tokenizer.json")), AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        vectors = [model(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state.mean(1) for text in [query, *texts]]
    expected = [float(torch.cosine_similarity(vectors[0], vector)) for vector in vectors[1:]]
    found = client.rerank("near", query, texts, return_text=True)
    assert found[0].text == texts[1], "the same words"
    assert [item.index for item in found] == sorted(range(3), key=lambda place: -expected[place])
    raw = client.rerank("near", query, texts, raw_scores=True)
    assert [item.score for item in raw] == pytest.approx(sorted(expected, reverse=True), abs=1e-4)
    with pytest.raises(InvalidInput) as caught:
        client.rerank("near", "x", ["fine", ""])
    assert (caught.value.code, caught.value.params["index"]) == ("empty_text", 1)


def make_bert(folder: Path, kind: str, labels: list[str]) -> Path:
    """A tiny random BERT with the head of `kind` and a real tokenizer."""
    pieces = [*ascii_lowercase, *".,?!", *(f"##{letter}" for letter in ascii_lowercase)]
    more = {"id2label": dict(enumerate(labels)), "initializer_range": 0.3}
    return save_bert(folder, pieces, f"BertFor{kind}Classification", seed=1, positions=128, is_wordpiece=True, is_normalized=True, **more)


def test_a_tagger_points_into_the_text(client, server, tmp_path) -> None:
    labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    taken = take_in(client, "labeller", make_bert(tmp_path / "labeller", "Token", labels), "token-classification")
    assert (taken["certificate"]["is_passed"], taken["certificate"]["is_agreement_only"]) == (True, True)
    config = {"model": "labeller", "variants": ["onnxruntime-fp32", "openvino-fp32"], "target": "latency"}
    report = client.jobs.wait(client.jobs.submit("compress", config).id, timeout=600).result["report"]
    assert all(row["status"] == "ok" for row in report["variants"]), report
    deploy(client, "labeller")
    text = "Ada Lovelace   lived in London, far from Paris."
    tokens = client.tag_tokens("labeller", text, aggregation_strategy="none", ignore_labels=[])
    assert "".join(item.word for item in tokens) == text.replace(" ", "")
    for item in client.tag_tokens("labeller", [text, "Bob"], aggregation_strategy="first", ignore_labels=[])[0]:
        assert item.word == text[item.start : item.end]
        assert item.label in {"O", "PER", "LOC"}
    answer = httpx.post(
        f"{server.url}/models/labeller", json={"inputs": text, "parameters": {"ignore_labels": []}},
        headers={"authorization": f"Bearer {server.key}"},
    )  # fmt: skip
    assert set(answer.json()[0]) == {"entity", "score", "index", "word", "start", "end"}


def test_a_cross_encoder_reads_query_and_text_together(client, tmp_path) -> None:
    folder = make_bert(tmp_path / "cross", "Sequence", ["LABEL_0"])
    taken = take_in(client, "cross", folder, "reranking")
    assert json.dumps(taken["certificate"])
    assert taken["certificate"]["is_passed"]
    deploy(client, "cross")
    found = client.rerank("cross", "a query", ["one text", "another text", "a query"], raw_scores=True)
    again = client.rerank("cross", "another query", ["one text", "another text", "a query"], raw_scores=True)
    assert sorted(item.index for item in found) == [0, 1, 2]
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)
    assert [item.score for item in found] != [item.score for item in again]
    assert len(client.rerank("cross", "a query", ["one", "two"], top_k=1)) == 1


def test_a_graph_is_its_own_trained_model(client, tmp_path) -> None:
    from hanlin.compression.base import Material
    from hanlin.compression.export import exported

    folder, scratch = make_bert(tmp_path / "bert", "Sequence", ["bad", "good"]), tmp_path / "scratch"
    scratch.mkdir()
    graph = exported(Material(folder, [], scratch), "onnxruntime")
    (folder / "model.safetensors").unlink()
    graph.rename(folder / "model.onnx")
    taken = take_in(client, "graph", folder, "text-classification")
    certificate = taken["certificate"]
    assert (certificate["variant"], certificate["is_passed"]) == ("onnxruntime-fp32", True)
    assert certificate["label_agreement"] == 1.0
    config = {"model": "graph", "variants": ["onnxruntime-int8", "openvino-fp32"], "target": "latency"}
    report = client.jobs.wait(client.jobs.submit("compress", config).id, timeout=600).result["report"]
    assert report["reference"] == "onnxruntime-fp32"
    rows = {row["variant"]: row for row in report["variants"]}
    assert rows["openvino-fp32"]["status"] == "ok", rows
    deploy(client, "graph")
    assert {item.label for item in client.classify("graph", "good morning")} == {"bad", "good"}
    with pytest.raises(InvalidInput) as caught:
        client.jobs.submit("compress", {"model": "graph", "variants": ["torch-bf16"]})
    assert caught.value.code == "no_torch_weights"
    assert "onnxruntime-fp32" in caught.value.message


def test_a_notebooks_keras_file_answers_as_it_did_there(client, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    import keras
    from keras.src.legacy.preprocessing.text import Tokenizer as WordTokenizer

    keras.utils.set_random_seed(1)
    layers, words = keras.layers, WordTokenizer(oov_token="<OOV>")
    words.fit_on_texts(TEXTS)
    network = keras.Sequential([layers.Input((8,)), layers.Embedding(40, 6), layers.LSTM(5), layers.Dense(2, activation="softmax")])
    network.save(tmp_path / "model.keras")
    (tmp_path / "tokenizer.json").write_text(words.to_json(), encoding="utf-8")
    (tmp_path / "labels.txt").write_text("bad\ngood", encoding="utf-8")
    taken = take_in(client, "notebook", tmp_path, "text-classification")
    assert (taken["certificate"]["variant"], taken["certificate"]["is_passed"]) == ("onnxruntime-fp32", True)
    deploy(client, "notebook")
    expected = network.predict(keras.utils.pad_sequences(words.texts_to_sequences(TEXTS), maxlen=8), verbose=0)
    found = [{item.label: item.score for item in row} for row in client.classify("notebook", TEXTS)]
    assert found == [pytest.approx({"bad": float(bad), "good": float(good)}, abs=1e-4) for bad, good in expected]


def test_a_foreign_writer_translates_as_transformers_does(client, tmp_path) -> None:
    import torch
    import transformers

    from hanlin.models.tokenizers import save_tokenizer, train_tokenizer

    tokenizer = train_tokenizer(TEXTS, "byte-bpe", 280)
    save_tokenizer(tokenizer, tmp_path)
    sizes: dict[str, object] = {"d_model": 32, "max_position_embeddings": 64, "init_std": 0.3, "forced_eos_token_id": None}
    for side in ("encoder", "decoder"):
        sizes |= {f"{side}_layers": 1, f"{side}_attention_heads": 2, f"{side}_ffn_dim": 64}
    ids = {"vocab_size": tokenizer.get_vocab_size(), "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 3}
    torch.manual_seed(3)
    network = transformers.BartForConditionalGeneration(transformers.BartConfig(**ids, **sizes)).eval()
    network.save_pretrained(tmp_path)
    assert take_in(client, "foreign", tmp_path, "translation")["certificate"]["is_passed"]
    deploy(client, "foreign")
    for text in TEXTS:
        given = torch.tensor([tokenizer.encode(text).ids])
        whole = network.generate(given, max_new_tokens=8, num_beams=1, do_sample=False)[0].tolist()[1:]
        found = client.predict("foreign", text, num_beams=1, max_new_tokens=8)
        assert found["translation_text"] == tokenizer.decode(whole).strip()
