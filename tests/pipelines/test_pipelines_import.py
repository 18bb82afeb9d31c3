"""What an import does not carry is said where the folder is one of ours; forms of prompts are made before anybody calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engines.constraint_forms import END, make_writer

from hanlin.control.job_kinds import Import
from hanlin.errors import InvalidInput
from hanlin.generation import Constraint, GenerationSettings
from hanlin.messages.said import Said
from hanlin.pipelines.import_model import check_form, not_carried
from hanlin.tasks.meanings import MeaningSchema, Slot
from hanlin.tasks.prompt_form import PromptForm
from hanlin.tasks.spec import ModelSpec

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


def test_the_form_of_a_prompt_is_made_when_it_comes_in(tmp_path: Path) -> None:
    folder = make_writer(tmp_path)

    def came(form: PromptForm, meanings: MeaningSchema | None = None) -> None:
        settings = GenerationSettings(stop_ids=(END,))
        check_form(folder, ModelSpec("translation", (), 90, 0, generation=settings, prompt=form, meanings=meanings))

    came(PromptForm("{text}"))
    came(PromptForm("{text}", grammar=Constraint("regex", "[a-z]+")))
    came(PromptForm("{text}"), MeaningSchema({"say": {"words": Slot(is_spoken=True)}}, {}))
    for grammar in (Constraint("regex", "[a-z"), Constraint("lark", "start: nothing")):
        with pytest.raises(InvalidInput) as caught:
            came(PromptForm("{text}", grammar=grammar))
        assert caught.value.code == "constraint_refused"
