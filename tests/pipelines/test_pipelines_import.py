"""What an import does not carry is said where the folder is one of ours."""

from __future__ import annotations

import pytest

from hanlin.control.job_kinds import Import
from hanlin.messages.said import Said
from hanlin.pipelines.import_model import not_carried

FOREIGN = ("config.json", "model.safetensors", "tokenizer.json")
OURS = (*FOREIGN, "hanlin.json", "pictures/curve.svg")
VARIANTS = ("variants/onnxruntime-int8/model.onnx", "variants/onnxruntime-int8/limits.json", "variants/openvino-int8/openvino_model.xml")


@pytest.mark.parametrize(
    ("paths", "codes"),
    [
        (FOREIGN, []),
        (OURS, ["lineage_not_imported"]),
        ((*OURS, *VARIANTS), ["variants_not_imported", "lineage_not_imported"]),
        ((*FOREIGN, *VARIANTS), ["variants_not_imported"]),
    ],
)
def test_what_an_import_does_not_carry_is_said(paths: tuple[str, ...], codes: list[str]) -> None:
    files = [{"path": path, "sha256": f"{number:064x}", "size_bytes": 1} for number, path in enumerate(paths)]
    asked = Import.model_validate({"name": "mood", "task": "text-classification", "files": files})
    found = [said for item in not_carried(asked) if (said := Said.from_json(item))]
    assert [said.code for said in found] == codes
    if "variants_not_imported" in codes:
        assert found[0].text("en").startswith("the folder's compressed variants (2) were not taken: `hanlin compress mood`")
        assert "（2 个）" in found[0].text("zh")
