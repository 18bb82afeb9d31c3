"""The demo speaks two languages with the same words, and tells results without calling anything."""

from __future__ import annotations

import json
import shlex
import tomllib
from importlib import resources
from pathlib import Path
from string import Formatter

import pytest

from hanlin.client.values import ModelVersion
from hanlin.demo.following import live_text
from hanlin.demo.narrator import Narrator
from hanlin.demo.story import CHINESE, STEPS, curl, made
from hanlin.demo.telling import machine_line, show_compression
from hanlin.errors import EngineFailed

WORDS = tomllib.loads((resources.files("hanlin.demo") / "words.toml").read_text("utf-8"))


def test_both_languages_have_the_same_words_and_placeholders() -> None:
    assert WORDS["en"].keys() == WORDS["zh"].keys()
    for key, english in WORDS["en"].items():
        fields = [{field for _, field, _, _ in Formatter().parse(text) if field} for text in (english, WORDS["zh"][key])]
        assert fields[0] == fields[1], key


def test_the_printed_curl_is_one_shell_command_with_the_text_in_it() -> None:
    words = shlex.split(curl("http://127.0.0.1:8000", "sentiment", "it's 很好", Path("/tmp/a b/owner.key")))
    assert words[0] == "curl"
    assert json.loads(words[-1]) == {"inputs": "it's 很好"}


def test_the_printed_curl_is_made_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the shell, which reads the key out of its file; a call that is refused ends the story."""
    (tmp_path / "owner.key").write_text("hl_own\n", encoding="utf-8")
    (tmp_path / "curl").write_text('#!/bin/sh\nprintf \'[{"label": "%s"}]\' "$4"\n', encoding="utf-8")
    (tmp_path / "curl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    command = curl("http://127.0.0.1:8000", "sentiment", "it's 很好", tmp_path / "owner.key")
    assert made(command) == '[{"label": "Authorization: Bearer hl_own"}]'
    (tmp_path / "curl").write_text("#!/bin/sh\necho refused\nexit 7\n", encoding="utf-8")
    with pytest.raises(EngineFailed) as caught:
        made(command)
    assert (caught.value.code, caught.value.params["status"], caught.value.details) == ("demo_curl_failed", 7, "refused\n")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_report_with_failed_variants_is_told(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    narrator = Narrator(language, steps=STEPS)
    good = {
        "variant": "torch-fp32",
        "status": "ok",
        "reason": "",
        "validation": {"metric": 0.9, "drop_points": 0.0},
        "test": {"metric": 0.91},
        "latency_ms": {"p50": 4.0, "p99": 9.0},
        "throughput_rows_s": 100.0,
        "memory_bytes": 2**20,
        "size_bytes": 2**21,
    }
    fast = {**good, "variant": "onnxruntime-int8", "latency_ms": {"p50": 1.0, "p99": 2.0}, "throughput_rows_s": 300.0}
    none = {
        "variant": "openvino-int8",
        "status": "failed",
        "reason": "scores change by 0.3 beside other rows",
        "said": {"code": "scores_stray", "params": {"difference": "0.3"}},
        "validation": {"metric": None},
        "test": {"metric": None},
        "latency_ms": {"p50": None},
        "throughput_rows_s": None,
        "memory_bytes": None,
        "size_bytes": None,
    }
    report = {"chosen": "onnxruntime-int8", "reference": "torch-fp32", "variants": [good, fast, none]}
    certificate = {
        "variant": "onnxruntime-int8",
        "is_passed": True,
        "report": {
            "rows": 200,
            "label_agreement": 1.0,
            "max_score_difference": 0.01,
            "tolerance": {"label_agreement": 0.99, "max_score_difference": 0.05},
        },
    }
    show_compression(
        narrator,
        {"report": report, "version": 1},
        ModelVersion.model_validate({"number": 1, "state": "published", "certificates": [certificate]}),
    )
    told = capsys.readouterr().out
    reason = {"en": "scores change by 0.3 beside other rows", "zh": "与其他行同批时，分数变化 0.3"}[language]
    problem = {"en": f"openvino-int8: failed: {reason}", "zh": f"openvino-int8：失败：{reason}"}[language]
    assert problem in told
    assert "3.0" in told
    assert "0.0500" not in told
    assert "0.05" in told
    assert CHINESE.praise not in told


def test_live_figures_stay_on_one_short_line() -> None:
    assert live_text({"loss": 0.123456, "rate": 1e-5, "a": 1, "b": 2, "c": 3}) == "loss 0.1235  rate 1e-05  a 1  b 2"


def variant(name: str, **changes: object) -> dict[str, object]:
    found = {
        "variant": name, "status": "ok", "validation": {"metric": 0.9, "drop_points": 0.0}, "test": {"metric": 0.9},
        "latency_ms": {"p50": 4.0, "p99": 9.0}, "throughput_rows_s": 100.0, "memory_bytes": 70_000_000, "size_bytes": 24_000_000,
    }  # fmt: skip
    return found | changes


def told_of(chosen: str, language: str, capsys: pytest.CaptureFixture[str]) -> str:
    fast = variant("openvino-fp32", throughput_rows_s=250.0, latency_ms={"p50": 1.0, "p99": 2.0})
    report = {"chosen": chosen, "reference": "torch-fp32", "variants": [variant("torch-fp32"), fast]}
    none = ModelVersion.model_validate({"number": 1, "state": "published"})
    show_compression(Narrator(language, steps=STEPS), {"report": report, "version": 1}, none)
    return capsys.readouterr().out


@pytest.mark.parametrize(("language", "size"), [("en", "100% of the size of torch-fp32"), ("zh", "体积为其 100%")])
def test_no_change_is_told_without_a_minus_and_no_gain_is_not_called_one(language: str, size: str, capsys) -> None:
    told = told_of("openvino-fp32", language, capsys)
    assert "+0.00" in told and "-0.00" not in told
    assert size in told and "25%" in told and "2.5" in told
    assert "smaller" not in told


@pytest.mark.parametrize(("language", "words"), [("en", "torch-fp32 is kept"), ("zh", "保留 torch-fp32")])
def test_the_trained_model_is_kept_in_words(language: str, words: str, capsys) -> None:
    told = told_of("torch-fp32", language, capsys)
    assert words in told and "1.0" not in told.split(words)[1]


def test_a_megabyte_is_a_million_bytes(capsys) -> None:
    row = next(line for line in told_of("torch-fp32", "en", capsys).splitlines() if line.startswith("torch-fp32"))
    assert row.split()[-3:] == ["70", "24.0", "ok"]


def test_memory_of_the_machine_is_told_as_doctor_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanlin.demo.telling.os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 6_176_757}.__getitem__)
    assert "25.3 GB" in machine_line(Narrator("en", steps=STEPS))
