"""A check of a dataset version: planted troubles in its findings, kept with the version, gone with it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.control import datasets
from hanlin.control.job_kinds import check_job
from hanlin.control.platform import Platform
from hanlin.errors import NotFound
from hanlin.jobs import ProgressWriter
from hanlin.pipelines.base import PIPELINES, JobContext
from hanlin.types import JsonObject, KeyId, Principal

OWNER = Principal(DEFAULT_TEAM, KeyId("key"), frozenset({"admin"}))
KINDS = {"good": ("干净", "舒服", "满意", "推荐"), "bad": ("肮脏", "难受", "失望", "后悔")}
SIGNS = [chr(0x5E00 + number) for number in range(300)]


def run(platform: Platform, folder: Path, kind: str, config: JsonObject) -> JsonObject:
    checked = check_job(kind, config)
    platform.jobs.submit(DEFAULT_TEAM, kind, checked.model_dump(mode="json"), lane="light")
    job = platform.jobs.claim("r", ["light"], 60)
    assert job is not None
    (folder / str(job.id)).mkdir()
    with ProgressWriter(platform.jobs, job) as progress:
        found = PIPELINES.get(kind).run(JobContext(platform, job, progress, folder / str(job.id)), job.config)
    platform.jobs.finish(job, found)
    return found


def add(platform: Platform, folder: Path, task: str, rows: list[JsonObject]) -> None:
    data = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    file: JsonObject = {"path": "rows.jsonl", "sha256": platform.blobs.put(data), "size_bytes": len(data)}
    run(platform, folder, "ingest", {"dataset": "rows", "task": task, "files": [file]})


def reviews() -> tuple[list[JsonObject], set[str]]:
    """300 reviews; of ten the label is wrong."""
    chance = random.Random(2)
    rows: list[JsonObject] = []
    for place in range(300):
        label = ("good", "bad")[place % 2]
        words = "".join(chance.sample(SIGNS, 8)) + "".join(chance.sample(KINDS[label], 4))
        rows.append({"text": words, "label": label})
    wrong = rows[::30]
    for row in wrong:
        row["label"] = "bad" if row["label"] == "good" else "good"
    return rows, {str(row["text"]) for row in wrong}


def test_doubted_tags_are_told_with_their_words(platform: Platform, tmp_path: Path) -> None:
    chance, rows = random.Random(3), list[JsonObject]()
    for place in range(150):
        name, city = chance.choice(["张三丰", "李四", "王小明"]), chance.choice(["北京", "上海市", "南京"])
        text = f"{''.join(chance.sample(SIGNS, 3))}{name}到了{city}"
        start = text.index(city)
        label = "PER" if place == 40 else "LOC"
        entities: list[Any] = [{"start": 3, "end": 3 + len(name), "label": "PER"}, {"start": start, "end": len(text), "label": label}]
        rows.append({"text": text, "entities": entities})
    add(platform, tmp_path, "token-classification", rows)
    result = run(platform, tmp_path, "check", {"dataset": "rows"})
    doubts: Any = datasets.get_check(platform, OWNER, "rows", 1)["doubts"]
    assert result["found"]["suspects"] == doubts["suspects"] >= 1  # type: ignore[index,call-overload]
    first = doubts["first"][0]
    assert (first["text"], first["given"], first["seems"]) == (rows[40]["text"], "PER", "LOC")
    assert first["words"] in str(rows[40]["text"])
    assert doubts["right"] > 0.9


def test_what_was_planted_is_found_and_kept_with_the_version(platform: Platform, tmp_path: Path) -> None:
    rows, wrong = reviews()
    copies: list[JsonObject] = [{"text": f"{row['text']}啊", "label": row["label"]} for row in rows[1:41]]
    add(platform, tmp_path, "text-classification", rows + copies)
    with pytest.raises(NotFound, match="rows:1"):
        datasets.get_check(platform, OWNER, "rows", 1)
    result = run(platform, tmp_path, "check", {"dataset": "rows"})
    found: Any = datasets.get_check(platform, OWNER, "rows", 1)
    assert (result["dataset"], result["version"]) == ("rows", 1)
    assert result["found"] == {
        "rows": 340, "near_twins": 40, "leaks": found["twins"]["leaks"]["total"], "suspects": found["doubts"]["suspects"], "cut": 0,
    }  # fmt: skip
    assert found["twins"]["leaks"]["total"] > 0
    assert len(wrong & {row["text"] for row in found["doubts"]["first"][:25]}) >= 7, "of ten"
    assert found["languages"] == [{"language": "zh", "rows": 340}]
    version = platform.registry.resolve_dataset(DEFAULT_TEAM, "rows")
    assert "check" not in version.report, "lists stay small"
    assert not list(tmp_path.glob("job*/twins"))
    again = run(platform, tmp_path, "check", {"dataset": "rows:1", "likeness": 1.0})
    assert again["found"]["near_twins"] == 0  # type: ignore[index,call-overload]
    platform.registry.delete_dataset(DEFAULT_TEAM, "rows")
    with pytest.raises(NotFound):
        datasets.get_check(platform, OWNER, "rows", 1)


@pytest.mark.parametrize(
    ("task", "row"),
    [
        ("translation", {"source": "good morning to you all", "target": "大家早上好"}),
        ("embedding", {"text": "where is the station", "text_pair": "it is behind the church"}),
        ("text-classification", {"text": "it was a long day", "score": 0.5}),
    ],
)
def test_other_tasks_have_no_doubts_but_all_the_rest(platform: Platform, tmp_path: Path, task: str, row: JsonObject) -> None:
    def numbered(place: int) -> JsonObject:
        name = "source" if "source" in row else "text"
        return row | {name: f"{row[name]} {place}"} | ({"score": place / 60} if "score" in row else {})

    add(platform, tmp_path, task, [numbered(place) for place in range(60)])
    result = run(platform, tmp_path, "check", {"dataset": "rows", "likeness": 0.5})
    assert result["found"]["suspects"] is None  # type: ignore[index,call-overload]
    assert result["found"]["near_twins"] == 59  # type: ignore[index,call-overload]
