"""Steps survive kills, fingerprints name requests, comparisons judge answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from hanlin.app.runner import count_death
from hanlin.control.job_kinds import Train
from hanlin.errors import Cancelled, InvalidInput, NotReady
from hanlin.messages.said import Plain, Said
from hanlin.pipelines.base import JobContext
from hanlin.pipelines.certification import Comparison, Tolerance, declared_tolerance, refusal
from hanlin.pipelines.lineage import code_digest, code_version, fingerprint, machine, starts_of
from hanlin.pipelines.odd_texts import LONG, ODD, crowd, longest_read, neighbours, odd_texts, plain_texts
from hanlin.pipelines.train import note_language
from hanlin.tasks.base import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.likeness import LABELS
from hanlin.tasks.predicates import PredicateFinder
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text import TextSettings


@dataclass
class Progress:
    """Cancels when told to."""

    is_cancelled: bool = False
    messages: list[Said] = field(default_factory=list)

    def check_cancelled(self) -> None:
        if self.is_cancelled:
            raise Cancelled("job_cancelled")

    def message(self, code: str, /, **params: Plain | Said) -> None:
        self.messages.append(Said(code, params))


@pytest.fixture
def context(tmp_path: Path) -> JobContext:
    platform = SimpleNamespace(settings=SimpleNamespace(home=tmp_path, engine_threads=1))
    return JobContext(platform=platform, job=SimpleNamespace(id="job_x"), progress=Progress(), workdir=tmp_path / "work")


def test_a_finished_step_is_not_done_again(context) -> None:
    context.workdir.mkdir()
    calls = []

    def work() -> dict[str, object]:
        calls.append(1)
        return {"value": len(calls)}

    assert context.step("one", work) == {"value": 1}
    assert context.step("one", work) == {"value": 1}
    assert context.step("two", work) == {"value": 2}


def test_a_step_that_failed_is_done_again(context) -> None:
    context.workdir.mkdir()
    with pytest.raises(ZeroDivisionError):
        context.step("one", lambda: {"value": 1 // 0})
    assert context.step("one", lambda: {"value": 1}) == {"value": 1}


def test_a_half_written_record_counts_for_nothing(context) -> None:
    """The record is written aside and renamed: what a kill leaves beside it is no record."""
    steps = context.workdir / "steps"
    steps.mkdir(parents=True)
    (steps / ".one.json.abc.tmp").write_text('{"val')
    assert context.step("one", lambda: {"value": 1}) == {"value": 1}


def test_no_step_begins_after_a_cancel(context) -> None:
    context.progress.is_cancelled = True
    with pytest.raises(Cancelled):
        context.step("one", lambda: pytest.fail("begun"))


def test_without_a_server_the_job_says_so(context) -> None:
    with pytest.raises(NotReady) as caught:
        _ = context.server_url
    assert caught.value.code == "server_not_running"
    (context.platform.settings.home / "run").mkdir()
    (context.platform.settings.home / "run" / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": 1}))
    assert context.server_url == "http://127.0.0.1:1"


def test_deaths_without_progress_are_counted_and_deaths_with_progress_are_not(tmp_path) -> None:
    assert [count_death(tmp_path, step) for step in (10, 10, 9, 11, 11)] == [1, 2, 3, 1, 2]
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "train.json").write_text("{}")
    assert [count_death(tmp_path, 0), count_death(tmp_path, 0)] == [1, 2]


def test_a_fingerprint_is_equal_for_equal_requests_only() -> None:
    assert fingerprint("train", {"a": 1, "b": [2]}) == fingerprint("train", {"b": [2], "a": 1})
    assert fingerprint("train", {"a": 1}) != fingerprint("train", {"a": 2})
    assert fingerprint("train", "ab", "c") != fingerprint("train", "a", "bc")


def test_lineage_names_code_and_machine() -> None:
    assert code_version().endswith(code_digest()[:12])
    assert machine()["cores"] >= 1
    assert machine()["cpu"]


def test_lineage_names_what_the_embeddings_start_from() -> None:
    file = {"path": "reviews.txt", "sha256": "5a" * 32, "size_bytes": 9}
    asked = {"name": "m", "dataset": "d", "model": "lstm"}
    assert starts_of(Train.model_validate(asked)) == {"vectors_digest": None, "raw_text_digest": None}
    assert starts_of(Train.model_validate({**asked, "raw_text": file})) == {"vectors_digest": None, "raw_text_digest": "5a" * 32}
    assert starts_of(Train.model_validate({**asked, "vectors": file}))["vectors_digest"] == "5a" * 32


def test_comparison_sees_flipped_labels_and_the_largest_difference() -> None:
    trained = np.array([[0.9, 0.1], [0.4, 0.6], [0.51, 0.49]])
    served = np.array([[0.9, 0.1], [0.45, 0.55], [0.49, 0.51]])
    found = Comparison.of(served, trained, LABELS)
    assert found.agreement == pytest.approx(2 / 3)
    assert found.max_difference == pytest.approx(0.05)
    same = Comparison.of(trained, trained, LABELS)
    assert (same.agreement, same.max_difference, same.mean_difference) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("variant", "evidence", "expected"),
    [
        ("torch-fp32", {"tolerance": 0.5}, (1.0, 1e-4)),
        ("openvino-fp32", {}, (1.0, 1e-4)),
        ("openvino-int8", {"tolerance": 0.12}, (0.99, 0.12)),
        ("torch-bf16", {}, (0.99, 0.15)),
    ],
)
def test_tolerances_are_exact_for_fp32_and_declared_for_the_rest(context, variant, evidence, expected) -> None:
    context.platform.registry = SimpleNamespace(list_variants=lambda _: [SimpleNamespace(variant=variant, evidence=evidence)])
    found = declared_tolerance(context, None, variant)
    assert (found.agreement, found.difference) == expected


def test_neighbours_are_31_odd_texts_repeatably() -> None:
    texts = neighbours(31, seed=3)
    assert texts == neighbours(31, seed=3) != neighbours(31, seed=4)
    assert len(max(neighbours(31, seed=3, long=3), key=len)) * 8 == len(max(texts, key=len))  # of networks that read thousands of tokens
    assert max(map(len, texts)) > 1000
    assert min(map(len, texts)) == 1
    assert sum(len(text) <= 10 for text in texts) > 8


def test_neighbours_are_texts_that_the_model_reads() -> None:
    """Keras's own tokenizer filters signs out, so that nothing is left of some; all imports of such models failed in their certificates."""
    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "a": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    spec = ModelSpec("text-classification", ("bad", "good"), 8, 0)
    assert odd_texts(TextEncoder(tokenizer, spec)) == list(ODD)
    tokenizer.normalizer = normalizers.Replace(Regex("[!?…]"), " ")
    found = odd_texts(TextEncoder(tokenizer, spec))
    assert set(ODD) - set(found) == {"?", "…", "!!!"}
    assert set(neighbours(31, seed=3, odd=found)) <= {*found, max(neighbours(31, seed=3), key=len)}


def test_questions_stand_at_places_of_their_own_among_odd_texts() -> None:
    seen = set()
    for first in range(0, 200, 4):
        questions = {number: f"question {number}" for number in range(first, first + (4 if first < 196 else 3))}
        batch, places = crowd(questions, 32, seed=first)
        assert len(batch) == 32
        assert [batch[place] for place in places] == list(questions.values())
        assert sum(text in questions.values() for text in batch) == len(questions)
        seen |= set(places)
    assert seen == set(range(32))


def test_there_are_plain_texts_enough_for_a_certificate() -> None:
    assert len(set(plain_texts(200))) == 200


def test_a_failed_certificate_tells_both_limits() -> None:
    found = [Comparison(0.985, 0.25, 0.01, (0.9, 1.0)), Comparison(0.99, 0.1, 0.01, (0.9, 1.0))]
    error = refusal("m:1", "openvino-int8", found, Tolerance(0.99, 0.31))
    for language in ("en", "zh"):
        for figure in ("98.5 %", "99 %", "0.25", "0.31"):
            assert figure in error.text(language), figure


def test_a_missed_hundred_percent_is_not_rounded_to_it() -> None:
    error = refusal("m:1", "torch-fp32", [Comparison(0.99999, 0.0, 0.0, (0.9, 1.0))], Tolerance(1.0, 1e-4))
    assert "99.99 % of the labels agree (at least 100 % must)" in error.text("en")


@pytest.mark.parametrize(("own", "found", "kept"), [((), "en", ("en",)), ((), "und", ()), ((), None, ()), (("zh",), "en", ("zh",))])
def test_a_model_speaks_the_language_of_its_rows(tmp_path, own, found, kept) -> None:
    spec = ModelSpec(task="text-classification", labels=("a", "b"), max_length=64, pad_id=0, text=TextSettings(), languages=own)
    spec.save(tmp_path)
    note_language(tmp_path, found)
    assert ModelSpec.load(tmp_path) == replace(spec, languages=kept)


def test_the_long_neighbour_holds_no_more_predicates_than_are_read() -> None:
    """A certificate failed at the end of a training: the model found 106 predicates in the neighbour that nobody had sent."""
    words = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "came", "was", "torn", "answered", "sent"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    plain = ModelSpec("semantic-role-labelling", ("O", "B-V"), 800, 0, finder=PredicateFinder(frozenset({"came"})))
    eager = replace(plain, finder=PredicateFinder(frozenset({"came", "was", "torn", "answered", "sent"})))
    found = [longest_read(TASKS.get(spec.task), spec, TextEncoder(tokenizer, spec)) for spec in (plain, eager)]
    assert found == [LONG, LONG // 2]


def test_other_refusals_of_the_long_neighbour_are_told() -> None:
    """They were taken for a text that is read, and met again in the middle of a certificate."""

    def refuse(*_: object, **__: object) -> None:
        raise InvalidInput("text_too_long", index=0, length=9, unit="tokens", limit=8)

    task = SimpleNamespace(probe=lambda questions: (questions, {}), check=refuse, encode=refuse)
    with pytest.raises(InvalidInput) as caught:
        longest_read(task, ModelSpec("text-classification", ("bad", "good"), 8, 0), SimpleNamespace())
    assert caught.value.code == "text_too_long"
