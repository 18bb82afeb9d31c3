"""What the base of an adapter is known by: equal for equal bytes, and nothing where an adapter stands alone."""

from __future__ import annotations

from hanlin.control.bases import base_of

ADAPTER = {"base/config.json": "c", "base/model.safetensors": "w", "tokenizer.json": "t", "adapter_model.safetensors": "a"}


def key(variant: str, task: str, **files: str) -> str:
    """`files` change digests; an empty one takes a file away."""
    digests = ADAPTER | {name.replace("__", "/").replace("_json", ".json"): digest for name, digest in files.items()}
    return base_of([{"path": path, "sha256": digest, "size_bytes": 1} for path, digest in digests.items() if digest], variant, task)


def test_adapters_share_a_base_of_the_same_bytes_and_those_that_write_a_tokenizer_too() -> None:
    assert key("torch-fp32", "text-generation") == "c-w-t"
    assert key("torch-fp32", "text-generation", tokenizer_json="other") == "c-w-other"
    assert key("torch-bf16", "translation") == "c-w-t"
    assert key("torch-fp32", "text-classification") == key("torch-fp32", "text-classification", tokenizer_json="other") == "c-w"
    assert {key("torch-int8", "text-generation"), key("openvino-int8", "text-generation")} == {""}  # whole networks
    assert key("torch-fp32", "text-generation", base__config_json="") == ""  # no adapter
    assert key("torch-fp32", "fill-mask") == ""
