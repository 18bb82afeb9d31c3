"""Files out of Debian's archive: packages and their descriptions, through the machine's own apt and its own sources.

Needs no root, installs nothing, changes nothing of the machine's: lists and packages go into the cache. What comes is what the
machine's release has, so rows differ a little between releases; the version stands beside what is made of it.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from hanlin.datasets.packages import FetchProgress, publish
from hanlin.errors import NotReady

LANGUAGES = ("en", "fr", "de", "ja", "zh_CN")
_TIMEOUT_S = 900.0
_FOLDER = "debian"
# Only packages and their descriptions are asked for, and what the machine does after an update of its own is left out.
_CONFIGURATION = """
Acquire::Languages "{languages}";
Acquire::GzipIndexes "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::CNF::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb-src::Sources::DefaultEnabled "false";
APT::Sandbox::User "root";
Dir::State::Lists "{folder}/lists";
Dir::Cache "{folder}/cache";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


@dataclass(frozen=True, slots=True)
class Description:
    """What a package says of itself in one language: one line, and its paragraphs."""

    synopsis: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A package of the release: its section, its tags (`facet::tag`), and its descriptions by language."""

    name: str
    section: str
    tags: tuple[str, ...]
    descriptions: dict[str, Description]


def package_folder(name: str, cache: Path, progress: FetchProgress | None = None) -> Path:
    """The files of a package, unpacked and not installed; `VERSION` says which. Raises NotReady as `entries`."""
    show = progress or (lambda name, stage: None)
    folder = cache / _FOLDER / name
    if folder.is_dir():
        show(name, "cached")
        return folder
    show(name, "fetching")
    with _apt(cache, name, ("none",)) as work:
        download = work / "download"
        download.mkdir()
        _run(["apt-get", f"-c={work}/apt.conf", "-q", "download", name], name, download)
        (found,) = download.glob("*.deb")
        _run(["dpkg-deb", "-x", str(found), str(work / "whole")], name, work)
        (work / "whole" / "VERSION").write_text(found.name.split("_")[1].replace("%3a", ":") + "\n", encoding="utf-8")
        publish(work / "whole", folder)
    show(name, "fetched")
    return folder


def entries(cache: Path, progress: FetchProgress | None = None) -> Iterator[Entry]:
    """Every package of the machine's release that has a description, sorted by name; updates between releases are left out.

    Raises:
        NotReady: `debian_missing` where there is no apt, `package_fetch_failed` when it cannot get the lists.
    """
    show = progress or (lambda name, stage: None)
    path = cache / _FOLDER / "entries.jsonl.gz"
    if path.is_file():
        show("apt lists", "cached")
    else:
        show("apt lists", "fetching")
        with _apt(cache, "apt lists", LANGUAGES) as work:
            with gzip.open(work / "entries.jsonl.gz", "wt", encoding="utf-8", compresslevel=3) as out:
                for entry in _distil(work):
                    out.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
            (work / "entries.jsonl.gz").replace(path)
        show("apt lists", "fetched")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            said = {key: Description(value["synopsis"], tuple(value["paragraphs"])) for key, value in row["descriptions"].items()}
            yield Entry(row["name"], row["section"], tuple(row["tags"]), said)


@contextmanager
def _apt(cache: Path, what: str, languages: tuple[str, ...]) -> Iterator[Path]:
    """A folder with fresh lists and the `apt.conf` that uses them; it goes when it was used."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise NotReady("debian_missing", package=what)
    (cache / _FOLDER).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".apt-", dir=cache / _FOLDER) as name:
        work = Path(name).resolve()
        for folder in ("lists/partial", "cache/archives/partial"):
            (work / folder).mkdir(parents=True)
        (work / "apt.conf").write_text(_CONFIGURATION.format(languages=",".join(languages), folder=work), encoding="utf-8")
        _run(["apt-get", f"-c={work}/apt.conf", "-q", "update"], what, work)
        yield work


def _distil(work: Path) -> Iterator[Entry]:
    """One entry a name: the first of the release; descriptions belong to it by the digest of the English one."""
    said: dict[str, dict[str, Description]] = {}
    lists: list[Path] = []
    for kind, path in _indexes(work):
        if kind == "Packages":
            lists.append(path)
            continue
        for record in _records(path):
            for field, value in record.items():
                if field.startswith("Description-") and field != "Description-md5":
                    said.setdefault(record.get("Description-md5", ""), {})[field.removeprefix("Description-")] = _description(value)
    found: dict[str, Entry] = {}
    for path in lists:
        for record in _records(path):
            name, digest = record["Package"], record.get("Description-md5", "")
            if name not in found and digest in said:
                tags = tuple(tag.strip() for tag in record.get("Tag", "").replace("\n", " ").split(",") if tag.strip())
                found[name] = Entry(name, record.get("Section", "").rpartition("/")[2], tags, said[digest])
    return iter(found[name] for name in sorted(found))


def _indexes(work: Path) -> Iterator[tuple[str, Path]]:
    told = "$(CREATED_BY)\t$(CODENAME)\t$(FILENAME)"
    done = _run(["apt-get", f"-c={work}/apt.conf", "indextargets", "--format", told], "apt lists", work)
    for line in done.splitlines():
        kind, codename, name = line.split("\t")
        if kind in {"Packages", "Translations"} and "-" not in codename and Path(name).is_file():  # not `…-updates`, `…-security`
            yield kind, Path(name)


def _records(path: Path) -> Iterator[dict[str, str]]:
    """The paragraphs of a control file. Source: deb822(5)."""
    record: dict[str, str] = {}
    field = ""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line == "\n":
                if record:
                    yield record
                record = {}
            elif line[0] in " \t":
                record[field] += "\n" + line[1:].rstrip()
            else:
                field, _, value = line.partition(":")
                record[field] = value.strip()
    if record:
        yield record


def _description(value: str) -> Description:
    """Paragraphs are parted by ` .`; lines that start deeper (lists) keep their break. Source: Debian policy 5.6.13."""
    synopsis, _, rest = value.partition("\n")
    paragraphs: list[str] = [""]
    for line in rest.split("\n"):
        if line == ".":
            paragraphs.append("")
        elif line.startswith((" ", "\t")):
            paragraphs[-1] += "\n" + line.strip()
        else:
            paragraphs[-1] += (" " if paragraphs[-1] and not _is_cjk_seam(paragraphs[-1], line) else "") + line.strip()
    return Description(synopsis.strip(), tuple(text.strip() for text in paragraphs if text.strip()))


def _is_cjk_seam(before: str, after: str) -> bool:
    """Whether two lines join without a space, as Chinese and Japanese do."""
    return before[-1:] > "\u2e7f" or after[:1] > "\u2e7f"


def _run(command: list[str], what: str, folder: Path) -> str:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_S, cwd=folder, env=environment, check=True
        )
    except subprocess.CalledProcessError as error:
        raise NotReady("package_fetch_failed", package=what, details=error.stderr.decode("utf-8", "replace")[-2000:]) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotReady("package_fetch_failed", package=what, details=str(error)[:2000]) from error
    return done.stdout.decode("utf-8")
