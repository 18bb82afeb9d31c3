"""A folder that peft wrote, over a base of ours: it answers as peft does; what does not fit is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hanlin.errors import InvalidInput
from hanlin.models.importing import import_folder
from hanlin.models.tokenizers import save_tokenizer, train_tokenizer
from hanlin.networks.loading import load_model
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text import TextSettings

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft's own
IDS = torch.tensor([[2, 5, 6, 7, 3]])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import AutoConfig, AutoModel

    folder = tmp_path_factory.mktemp("base")
    save_tokenizer(train_tokenizer(["some words that nobody needs"] * 3, "word", 60, min_count=1), folder)
    torch.manual_seed(5)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40}
    AutoModel.from_config(AutoConfig.for_model("bert", vocab_size=60, initializer_range=0.3, **sizes)).save_pretrained(folder)
    ModelSpec("embedding", ("LABEL_0", "LABEL_1"), 32, 0, text=TextSettings(("control",))).save(folder)
    return folder


def peft_folder(base: Path, folder: Path, kind: str = "SEQ_CLS", **more: object) -> torch.Tensor:
    """What peft saves, and what its network answers."""
    import peft
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoModelForTokenClassification

    classes = {"SEQ_CLS": AutoModelForSequenceClassification, "TOKEN_CLS": AutoModelForTokenClassification, "FEATURE_EXTRACTION": AutoModel}
    model = classes[kind].from_pretrained(base, **({} if kind == "FEATURE_EXTRACTION" else {"num_labels": 3}))
    config = peft.LoraConfig(task_type=kind, r=4, lora_alpha=8, target_modules=["query", "value"], init_lora_weights=False, **more)
    theirs = peft.get_peft_model(model, config).eval()
    theirs.save_pretrained(folder)
    with torch.no_grad():
        found = theirs(input_ids=IDS, attention_mask=torch.ones_like(IDS))
    return found.last_hidden_state.mean(1) if kind == "FEATURE_EXTRACTION" else found.logits


@pytest.mark.parametrize(
    ("kind", "task", "more"),
    [
        ("SEQ_CLS", "text-classification", {}),
        ("SEQ_CLS", "text-classification", {"use_rslora": True}),
        ("TOKEN_CLS", "token-classification", {}),
        ("FEATURE_EXTRACTION", "embedding", {}),
    ],
)
def test_it_answers_as_peft_does(base: Path, tmp_path: Path, kind: str, task: str, more: dict[str, object]) -> None:
    expected = peft_folder(base, tmp_path / "peft", kind, **more)
    labels = None if task == "embedding" else ["O", "B-x", "I-x"]
    found = import_folder(tmp_path / "peft", tmp_path / "out", task=task, labels=labels, base=base)
    assert not found.is_base
    assert found.spec.labels == tuple(labels or ())
    assert found.spec.text == TextSettings(("control",))
    with torch.no_grad():
        answer = load_model(tmp_path / "out")(IDS, torch.ones_like(IDS)).numpy()
    want = expected.numpy()
    if task == "embedding":
        want = want / np.linalg.norm(want, axis=1, keepdims=True)
    np.testing.assert_allclose(answer, want, atol=1e-5)


def test_without_its_base_it_says_what_it_needs(base: Path, tmp_path: Path) -> None:
    peft_folder(base, tmp_path / "peft")
    with pytest.raises(InvalidInput) as caught:
        import_folder(tmp_path / "peft", tmp_path / "out", task="text-classification")
    assert caught.value.code == "adapter_needs_base"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"use_dora": True}, "unsupported_adapter"),
        ({"lora_alpha": 10**400}, "unsupported_adapter"),
        ({"r": 5}, "weights_do_not_fit"),
        ({"target_modules": ["key"]}, "weights_do_not_fit"),
    ],
)
def test_what_does_not_fit_is_refused(base: Path, tmp_path: Path, change: dict[str, object], code: str) -> None:
    peft_folder(base, tmp_path / "peft")
    path = tmp_path / "peft" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InvalidInput) as caught:
        import_folder(tmp_path / "peft", tmp_path / "out", task="text-classification", base=base)
    assert caught.value.code == code
    assert not (tmp_path / "out").exists()


def test_a_pickle_is_refused(base: Path, tmp_path: Path) -> None:
    peft_folder(base, tmp_path / "peft")
    (tmp_path / "peft" / "adapter_model.safetensors").rename(tmp_path / "peft" / "adapter_model.bin")
    with pytest.raises(InvalidInput) as caught:
        import_folder(tmp_path / "peft", tmp_path / "out", task="text-classification", base=base)
    assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize("shape", [[], [2**40, 0]])
def test_a_head_of_no_shape_or_of_endless_width_is_refused(base: Path, tmp_path: Path, shape: list[int]) -> None:
    peft_folder(base, tmp_path / "peft")
    size = 4 if not shape else 0
    header = json.dumps({"base_model.model.classifier.weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}).encode()
    (tmp_path / "peft" / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    with pytest.raises(InvalidInput) as caught:
        import_folder(tmp_path / "peft", tmp_path / "out", task="text-classification", base=base)
    assert caught.value.code == "weights_do_not_fit"


def test_an_adapter_that_would_change_its_base_is_refused(base: Path, tmp_path: Path) -> None:
    """Alone it could; in serving the base is everybody's, where it would have no place."""
    from safetensors.torch import load_file, save_file

    peft_folder(base, tmp_path / "peft")
    path = tmp_path / "peft" / "adapter_model.safetensors"
    for name, shape in (
        ("bert.embeddings.word_embeddings.weight", (60, 16)),
        ("bert.encoder.layer.0.attention.self.query.base.weight", (16, 16)),
    ):
        save_file({**load_file(path), f"base_model.model.{name}": torch.zeros(shape)}, tmp_path / "changed")
        (tmp_path / "changed").replace(path)
        with pytest.raises(InvalidInput) as caught:
            import_folder(tmp_path / "peft", tmp_path / "out", task="text-classification", base=base)
        assert caught.value.code == "weights_do_not_fit"


def test_a_head_that_answers_no_questions_is_refused(base: Path, tmp_path: Path) -> None:
    peft_folder(base, tmp_path / "peft", "TOKEN_CLS")
    with pytest.raises(InvalidInput) as caught:
        import_folder(tmp_path / "peft", tmp_path / "out", task="question-answering", base=base)
    assert caught.value.code == "invalid_model_spec"
