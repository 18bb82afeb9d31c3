"""Pictures are listed once and told in the reader's language; one that was drawn in English only is shown as it is."""

from __future__ import annotations

import pytest

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.control import models
from hanlin.errors import NotFound
from hanlin.pipelines.pictures import write_pictures
from hanlin.storage.manifest import pack_folder


@pytest.fixture
def drawn(platform, tmp_path) -> None:
    folder = tmp_path / "artifact"
    write_pictures(folder / "pictures", {"confusion": lambda language: f"<svg>{language}</svg>"})
    (folder / "pictures" / "curve.svg").write_text("<svg>old</svg>", encoding="utf-8")
    platform.registry.create_version(
        DEFAULT_TEAM, "mood", "text-classification", manifest=pack_folder(folder, platform.blobs), lineage={}, metrics={}, labels=("a", "b")
    )


@pytest.mark.parametrize(("language", "words"), [("en", b"<svg>en</svg>"), ("zh", b"<svg>zh</svg>"), ("zh-CN", b"<svg>zh</svg>")])
@pytest.mark.usefixtures("drawn")
async def test_a_picture_speaks_the_readers_language(http, platform, owner, language: str, words: bytes) -> None:
    assert models.picture(platform, owner, "mood", 1, "confusion", language=language) == words
    assert models.picture(platform, owner, "mood", 1, "curve", language=language) == b"<svg>old</svg>"
    with pytest.raises(NotFound):
        models.picture(platform, owner, "mood", 1, "pareto", language=language)
    async with http.client(http.key()) as client:
        answer = await client.get("/api/v1/models/mood/versions/1/pictures/confusion.svg", headers={"accept-language": language})
    assert answer.content == words


@pytest.mark.usefixtures("drawn")
def test_each_picture_is_listed_once(platform, owner) -> None:
    assert models.get_model(platform, owner, "mood").versions[0].pictures == ("confusion", "curve")
