"""Every encoder of the allow-list, tiny and random: each head comes in with transformers' own answers and leaves for every engine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.families import tiny_sizes

from hanlin.compression.base import convert
from hanlin.engines import load_variant
from hanlin.models.allowed import MODEL_TYPES
from hanlin.models.importing import import_folder
from hanlin.models.pretrained import build_from_base
from hanlin.models.slow_tokenizers import convert as tokenizer_of
from hanlin.networks.head import Head
from hanlin.networks.rates import rate_scales

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh", *(f"##{letter}" for letter in "abcdefgh"), "good", "bad"]
LABELS = {
    "text-classification": ["bad", "good", "so so"],
    "token-classification": ["O", "B-X", "I-X"],
    "reranking": ["LABEL_0"],
    "embedding": [],
}
CLASSES = {
    "text-classification": "AutoModelForSequenceClassification", "token-classification": "AutoModelForTokenClassification",
    "reranking": "AutoModelForSequenceClassification", "embedding": "AutoModel",
}  # fmt: skip


@pytest.mark.parametrize(("page", "start"), [("importing.md", "**Encoders**"), ("importing.zh.md", "**编码器**")])
def test_every_family_is_documented(page: str, start: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / page).read_text(encoding="utf-8")
    said = re.sub(r"[^a-z0-9,、]", "", text.split(start)[1].split("\n\n")[0].casefold())
    assert [name for name in MODEL_TYPES if not all(part in said for part in re.split(r"[-_]", name))] == []


def folder_of(path: Path, model_type: str, task: str) -> Path:
    import transformers

    torch.manual_seed(3)
    sizes = tiny_sizes(model_type, len(WORDS)) | {"initializer_range": 0.2}
    labels = LABELS[task]
    config = transformers.AutoConfig.for_model(model_type, **sizes, **({"id2label": dict(enumerate(labels))} if labels else {}))
    getattr(transformers, CLASSES[task]).from_config(config, attn_implementation="eager").eval().save_pretrained(path)
    (path / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    (path / "tokenizer.json").write_text(tokenizer_of(path).to_str(), encoding="utf-8")
    return path


def arrays(head: Head) -> list[np.ndarray]:
    ids = np.array([[2, 5, 6, 14, 7, 8, 3], [2, 21, 3, 0, 0, 0, 0]], dtype=np.int64)
    return [ids, (ids != 0).astype(np.int64), np.where(np.arange(7) > 3, ids != 0, 0).astype(np.int64)][: len(head.inputs)]


@pytest.mark.parametrize("task", CLASSES)
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_it_answers_as_transformers_does_on_every_engine(tmp_path: Path, model_type: str, task: str) -> None:
    import transformers

    source, out = folder_of(tmp_path / "in", model_type, task), tmp_path / "out"
    found = import_folder(source, out, task=task)
    assert not found.is_base
    given = arrays(found.head)
    own = getattr(transformers, CLASSES[task]).from_pretrained(source, attn_implementation="eager").eval()
    names = ("input_ids", "attention_mask", "token_type_ids")
    with torch.inference_mode():
        answer = own(**{name: torch.from_numpy(array) for name, array in zip(names, given, strict=False)})
    if task == "embedding":
        mask = torch.from_numpy(given[1])[:, :, None]
        wanted = torch.nn.functional.normalize((answer.last_hidden_state * mask).sum(1) / mask.sum(1), dim=1).numpy()
    else:
        wanted = answer.logits.numpy()
    real = given[1].astype(bool) if found.head.output == "token_logits" else np.ones(2, bool)
    others = ("onnxruntime-fp32", "openvino-fp32") if task == "text-classification" else ()  # the encoder is the same in all
    for variant in ("torch-fp32", *others):
        convert(out, variant, calibration=[], workdir=tmp_path / "work")
        session = load_variant(out, variant, threads=1)
        np.testing.assert_allclose(session.run(*given)[found.head.output][real], wanted[real], atol=2e-5, err_msg=variant)
        alone = session.run(*[array[1:, :3] for array in given])[found.head.output]
        np.testing.assert_allclose(alone[0], wanted[1][:3] if real.ndim == 2 else wanted[1], atol=2e-5, err_msg=f"{variant}, alone")


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_without_its_head_it_is_a_base_that_learns(tmp_path: Path, model_type: str) -> None:
    source, out = folder_of(tmp_path / "in", model_type, "embedding"), tmp_path / "out"
    assert import_folder(source, out, task="text-classification").is_base
    torch.manual_seed(1)
    module = build_from_base(out, ("x", "y"), dropout=0.0).train()
    ids, mask = (torch.from_numpy(array) for array in arrays(Head()))
    gold, optimizer = torch.tensor([0, 1]), torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(15):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(ids, mask), gold).backward()
        optimizer.step()
    answer = module.eval()(ids, mask)
    assert answer.argmax(1).tolist() == [0, 1]
    scales = rate_scales(module, layer_decay=0.5, head_rate=9.0)
    table = next(name for name, values in module.named_parameters() if values is module.model.get_input_embeddings().weight)
    assert (min(scales.values()), max(scales.values())) == (scales[table], 9.0)
    module.rescale(2.0, 1.0)
    torch.testing.assert_close(module(ids, mask), 2 * answer + 1)
    assert json.loads((out / "config.json").read_text())["model_type"] == model_type
