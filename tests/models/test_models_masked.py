"""Folders with a masked-word head, tiny and random: each answers as transformers does, alone or in company, on every engine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hanlin.compression.base import convert
from hanlin.engines import load_variant
from hanlin.errors import InvalidInput
from hanlin.models.importing import import_folder
from hanlin.models.slow_tokenizers import convert as tokenizer_of
from hanlin.networks.filler import MASKED_TYPES
from hanlin.networks.head import FILLER
from hanlin.tasks.spec import ModelSpec

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh", *(f"##{letter}" for letter in "abcdefgh"), "good", "bad"]
SIZES = {
    "vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 40, "pad_token_id": 0, "initializer_range": 0.2,
}  # fmt: skip
OWN = {
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}, "albert": {"embedding_size": 16},
    "electra": {"embedding_size": 16}, "roformer": {"embedding_size": 16},
    "rembert": {"input_embedding_size": 16, "output_embedding_size": 16},
}  # fmt: skip
NEWER = {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3, "mask_token_id": 4}


def folder_of(path: Path, model_type: str, kind: str = "AutoModelForMaskedLM") -> Path:
    import transformers

    torch.manual_seed(3)
    more = NEWER if model_type in {"modernbert", "eurobert", "rembert"} else {}
    config = transformers.AutoConfig.for_model(model_type, **SIZES, **OWN.get(model_type, {}), **more)
    getattr(transformers, kind).from_config(config, attn_implementation="eager").eval().save_pretrained(path)
    (path / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    (path / "tokenizer.json").write_text(tokenizer_of(path).to_str(), encoding="utf-8")
    return path


@pytest.mark.parametrize("model_type", MASKED_TYPES)
def test_it_fills_masks_as_transformers_does_on_every_engine(tmp_path: Path, model_type: str) -> None:
    import transformers

    source, out = folder_of(tmp_path / "in", model_type), tmp_path / "out"
    found = import_folder(source, out, task="fill-mask")
    assert (found.head, found.spec.mask_id, found.spec.labels, found.is_base) == (FILLER, 4, (), False)
    assert ModelSpec.load(out) == found.spec
    ids = np.array([[2, 5, 4, 14, 4, 8, 3], [2, 4, 3, 0, 0, 0, 0]], dtype=np.int64)
    mask, places = (ids != 0).astype(np.int64), [4, 1]
    types = np.zeros_like(ids)
    types[[0, 1], places] = 1
    own = transformers.AutoModelForMaskedLM.from_pretrained(source, attn_implementation="eager").eval()
    with torch.inference_mode():
        wanted = own(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits[[0, 1], places].numpy()
    for variant in ("torch-fp32", "onnxruntime-fp32", "openvino-fp32"):
        convert(out, variant, calibration=[], workdir=tmp_path / "work")
        session = load_variant(out, variant, threads=1)
        np.testing.assert_allclose(session.run(ids, mask, types)["mask_logits"], wanted, atol=2e-5, err_msg=variant)
        alone = session.run(ids[1:, :3], mask[1:, :3], types[1:, :3])["mask_logits"]
        np.testing.assert_allclose(alone[0], wanted[1], atol=2e-5, err_msg=f"{variant}, alone")


def test_a_head_for_sentences_beside_it_is_left_out(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", "bert", "AutoModelForPreTraining")
    assert import_folder(source, tmp_path / "out", task="fill-mask").head == FILLER


def test_what_we_exported_comes_in_again(tmp_path: Path) -> None:
    first = import_folder(folder_of(tmp_path / "in", "bert"), tmp_path / "out", task="fill-mask")
    again = import_folder(tmp_path / "out", tmp_path / "again", task="fill-mask")
    assert again == first
    names = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == names


def test_without_a_masked_word_head_there_is_nothing_to_fill_with(tmp_path: Path) -> None:
    for kind in ("AutoModel", "AutoModelForSequenceClassification"):
        source = folder_of(tmp_path / kind, "bert", kind)
        with pytest.raises(InvalidInput) as caught:
            import_folder(source, tmp_path / "out", task="fill-mask")
        assert caught.value.code == "no_masked_head"
        assert not (tmp_path / "out").exists()


def test_a_tokenizer_without_a_mask_is_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", "bert")
    told = json.loads((source / "tokenizer.json").read_text())
    text = json.dumps(told).replace("[MASK]", "[HIDE]")
    (source / "tokenizer.json").write_text(text)
    with pytest.raises(InvalidInput) as caught:
        import_folder(source, tmp_path / "out", task="fill-mask")
    assert caught.value.code == "tokenizer_does_not_fit"
