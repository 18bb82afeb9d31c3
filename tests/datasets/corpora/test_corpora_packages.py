"""The packages of corpora: pinned, asked for as they must be, read in one pass."""

import io
import tarfile
import zipfile

import pytest

from hanlin.datasets import packages
from hanlin.datasets.corpora import pinned
from hanlin.datasets.packages import Package, read_members
from hanlin.errors import DataCorrupt

PINNED = [value for value in vars(pinned).values() if isinstance(value, Package)]
CONTENT = {"data/b.yml": b"b", "data/a.yml": b"a", "data/deep/c.yml": b"c", "data/a.txt": b"t"}


@pytest.mark.parametrize("package", PINNED, ids=lambda package: package.name)
def test_each_is_pinned_and_pip_knows_the_digest_first(package, tmp_path):
    assert len(package.sha256) == 64
    assert package.version in package.file
    command = packages._command(package, tmp_path)
    if package.kind == "npm":
        assert f"{package.name}@{package.version}" in command
        assert "--ignore-scripts" in command
    else:
        assert package.sha256 in (tmp_path / "requirements.txt").read_text()


def test_a_wheel_for_a_newer_python_is_asked_for_as_such(tmp_path):
    command = packages._command(pinned.SPACY_MODEL, tmp_path)
    assert command[command.index("--python-version") + 1] == "3.12"
    assert "--python-version" not in packages._command(pinned.CHATTERBOT, tmp_path)


def archive(tmp_path, kind):
    path = tmp_path / kind
    if kind == "wheel":
        with zipfile.ZipFile(path, "w") as out:
            for name, content in CONTENT.items():
                out.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz") as out:
            for name, content in CONTENT.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))
            link = tarfile.TarInfo("data/link.yml")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            out.addfile(link)
    return path


@pytest.mark.parametrize("kind", ["wheel", "npm"])
def test_members_come_in_the_archives_order_and_links_never(tmp_path, kind):
    package = Package("p", "1", kind, kind, "0" * 64)
    assert list(read_members(package, archive(tmp_path, kind), "data/*.yml")) == [
        (name, content) for name, content in CONTENT.items() if name.endswith(".yml")
    ]
    assert list(read_members(package, archive(tmp_path, kind), "nothing")) == []


@pytest.mark.parametrize("kind", ["wheel", "npm"])
def test_a_member_that_is_too_large_is_refused(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(packages, "_MAX_MEMBER_BYTES", 0)
    with pytest.raises(DataCorrupt):
        list(read_members(Package("p", "1", kind, kind, "0" * 64), archive(tmp_path, kind), "*"))
