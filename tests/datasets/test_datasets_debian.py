"""Debian's archive through a stand-in of apt, and (soak) the machine's own."""

import os
import shutil
import stat

import pytest

from hanlin.datasets import debian
from hanlin.datasets.corpora import CORPORA, Source, write
from hanlin.errors import NotReady

PACKAGES = """Package: krita
Section: universe/graphics
Description: painting program
Description-md5: aa
Tag: use::editing, role::program,
 works-with::image

Package: krita
Section: other
Description-md5: aa

Package: silent
Section: libs
Description-md5: bb
"""
ENGLISH = """Package: krita
Description-md5: aa
Description-en: painting program
 Krita is for
 artists.
  * one
  * two
 .
 It is free.

"""
CHINESE = """Package: krita
Description-md5: aa
Description-zh_CN: 绘画程序
 Krita 面向
 艺术家。

"""
APT = """#!/bin/sh
conf=${1#-c=}; lists=$(dirname "$conf")/lists
case "$*" in
*update*) printf '%s' "$PACKAGES" >$lists/P; printf '%s' "$ENGLISH" >$lists/E; printf '%s' "$CHINESE" >$lists/C; cp $lists/P $lists/U ;;
*indextargets*) printf '%s\\t%s\\t%s\\n' Packages bookworm $lists/P Packages bookworm-updates $lists/U \
  Translations bookworm $lists/E Translations bookworm $lists/C ;;
*download*) : >krita_4%3a7.4-1_all.deb ;;
esac
"""
DPKG = '#!/bin/sh\nmkdir -p "$3/usr/share" && echo hello >"$3/usr/share/krita"\n'


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """A folder of programs that stand in for apt-get and dpkg-deb."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in (("apt-get", APT), ("dpkg-deb", DPKG)):
        (folder / name).write_text(script)
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    for name, text in (("PACKAGES", PACKAGES), ("ENGLISH", ENGLISH), ("CHINESE", CHINESE)):
        monkeypatch.setenv(name, text)
    return folder


def test_entries_have_their_descriptions_by_digest(apt, tmp_path):
    (entry,) = debian.entries(tmp_path / "cache")
    assert (entry.name, entry.section, entry.tags) == ("krita", "graphics", ("use::editing", "role::program", "works-with::image"))
    assert entry.descriptions["en"] == debian.Description("painting program", ("Krita is for artists.\n* one\n* two", "It is free."))
    assert entry.descriptions["zh_CN"].paragraphs == ("Krita 面向艺术家。",)


def test_lists_are_asked_for_once(apt, tmp_path):
    seen = []
    list(debian.entries(tmp_path, lambda name, stage: seen.append(stage)))
    (apt / "apt-get").write_text("#!/bin/sh\nexit 1\n")
    assert len(list(debian.entries(tmp_path, lambda name, stage: seen.append(stage)))) == 1
    assert seen == ["fetching", "fetched", "cached"]
    assert not list((tmp_path / "debian").glob(".apt-*"))


def test_a_package_is_unpacked_with_its_version(apt, tmp_path):
    folder = debian.package_folder("krita", tmp_path)
    assert (folder / "usr/share/krita").read_text() == "hello\n"
    assert (folder / "VERSION").read_text() == "4:7.4-1\n"
    shutil.rmtree(apt)
    assert debian.package_folder("krita", tmp_path) == folder


def test_apt_that_fails_is_told(apt, tmp_path):
    (apt / "apt-get").write_text("#!/bin/sh\necho 'secret host unreachable' >&2\nexit 100\n")
    with pytest.raises(NotReady) as caught:
        list(debian.entries(tmp_path))
    assert caught.value.code == "package_fetch_failed"
    assert "secret" not in str(caught.value.to_wire())
    assert not (tmp_path / "debian/entries.jsonl.gz").exists()


def test_without_apt_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotReady) as caught:
        debian.package_folder("krita", tmp_path)
    assert caught.value.code == "debian_missing"
    assert "krita" in str(caught.value)
    assert "Debian" in caught.value.next_step


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "least"),
    [("help-translation", 15_000), ("help-questions-zh", 1_500), ("package-synopsis", 40_000), ("package-translation-de", 20_000),
     ("brown-roles", 18_000), ("chinese-poems", 300_000), ("spam", 5_500)],
)  # fmt: skip
def test_large_corpora_whole(tmp_path, packages, name, least):
    assert write(CORPORA.get(name), Source(packages), tmp_path).rows >= least
