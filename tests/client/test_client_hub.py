"""Models from hubs, against a stand-in that speaks both protocols and misbehaves on demand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.client.hub_standin import COMMIT, FILES, TAKEN, WEIGHTS, StandIn, serve_hub

from hanlin.client import hub, hub_source
from hanlin.client.hub_source import HubFile, HubSource
from hanlin.errors import DataCorrupt, HanlinError, InvalidInput, NotFound, NotReady, Overloaded, PermissionDenied
from hanlin.models import allowed


@pytest.fixture
def standin(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    monkeypatch.setattr(hub, "_PAUSES_S", (0.0,))
    with serve_hub() as found:
        yield found


def environ(standin: StandIn, tmp_path: Path, **more: str) -> dict[str, str]:
    return {"HF_ENDPOINT": standin.url, "MODELSCOPE_ENDPOINT": standin.url + "/", "XDG_CACHE_HOME": str(tmp_path), **more}


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["hf:org/name", "modelscope:org/name"])
def test_one_model_is_fetched_and_nothing_else(standin: StandIn, tmp_path: Path, name: str) -> None:
    told: list[tuple[int, int]] = []
    folder = hub.fetch(hub_source.parse(name), environ=environ(standin, tmp_path), on_bytes=lambda done, total: told.append((done, total)))
    assert names(folder) == TAKEN
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    total = sum(len(FILES[path]) for path in TAKEN)
    assert told[-1] == (total, total)
    assert not any(word in path for path, _, _ in standin.asked for word in ("pytorch_model", ".py", "README"))
    standin.asked.clear()
    assert hub.fetch(hub_source.parse(name), environ=environ(standin, tmp_path)) == folder
    assert len(standin.asked) == 1, "the listing alone: what is there is not fetched again"


@pytest.mark.parametrize("name", ["hf:org/name", "modelscope:org/name"])
def test_a_broken_transfer_goes_on_where_it_stopped(standin: StandIn, tmp_path: Path, name: str) -> None:
    standin.faults = [("model.safetensors", "broken"), ("model.safetensors", "503"), ("model.safetensors", "broken")]
    folder = hub.fetch(hub_source.parse(name), environ=environ(standin, tmp_path))
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    first = len(WEIGHTS) // 3
    second = first + (len(WEIGHTS) - first) // 3
    ranges = [asked for path, asked, _ in standin.asked if "model.safetensors" in path]
    assert ranges == ["", f"bytes={first}-", f"bytes={first}-", f"bytes={second}-"]


@pytest.mark.parametrize("fault", ["whole", "shifted", "416"])
def test_a_hub_that_cannot_go_on_begins_again(standin: StandIn, tmp_path: Path, fault: str) -> None:
    standin.faults = [("model.safetensors", "broken"), ("model.safetensors", fault)]
    folder = hub.fetch(hub_source.parse("hf:org/name"), environ=environ(standin, tmp_path))
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
def test_bytes_of_another_digest_are_thrown_away(standin: StandIn, tmp_path: Path, path: str) -> None:
    standin.faults = [(f"{COMMIT}/{path}", "wrong")]
    with pytest.raises(DataCorrupt) as caught:
        hub.fetch(hub_source.parse("hf:org/name"), environ=environ(standin, tmp_path))
    assert (caught.value.code, caught.value.params["file"]) == ("hub_digest_wrong", path)
    assert path not in {name.removesuffix(".part") for name in names(tmp_path)}
    assert (hub.fetch(hub_source.parse("hf:org/name"), environ=environ(standin, tmp_path)) / path).read_bytes() == FILES[path]


@pytest.mark.parametrize(
    ("status", "family", "code"),
    [
        ("401", PermissionDenied, "hub_refused"),
        ("403", PermissionDenied, "hub_refused"),
        ("404", NotFound, "hub_not_found"),
        ("418", InvalidInput, "hub_answer_wrong"),
        ("429", Overloaded, "hub_busy"),
    ],
)
def test_what_a_hub_refuses_is_told(standin: StandIn, tmp_path: Path, status: str, family: type[HanlinError], code: str) -> None:
    standin.faults = [("/api/", status)] * hub.MAX_TRIES
    with pytest.raises(family) as caught:
        hub.fetch(hub_source.parse("hf:org/name"), environ=environ(standin, tmp_path))
    assert caught.value.code == code
    assert len(standin.asked) == (hub.MAX_TRIES if status == "429" else 1)


def test_a_busy_hub_is_asked_again(standin: StandIn, tmp_path: Path) -> None:
    standin.faults = [("/api/", "429"), ("/api/", "500"), ("tokenizer.json", "429")]
    assert names(hub.fetch(hub_source.parse("hf:org/name"), environ=environ(standin, tmp_path))) == TAKEN


def test_the_callers_token_is_shown_to_the_hub_and_to_nobody_else(
    standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    standin.needs_token = "secret"
    with pytest.raises(PermissionDenied):
        hub.fetch(hub_source.parse("hf:org/name"), environ=environ(standin, tmp_path))
    hub.fetch(hub_source.parse("hf:org/name"), environ=environ(standin, tmp_path, HF_TOKEN=" secret\n"))
    standin.needs_token = ""
    standin.asked.clear()
    monkeypatch.setattr(hub.ipaddress, "ip_address", lambda _: type("Public", (), {"is_global": True}))
    elsewhere = standin.url.replace("127.0.0.1", "localhost")
    standin.faults = [("/resolve/", f"to {elsewhere}/org/name/resolve/{COMMIT}/1_Pooling/config.json")]
    hub.fetch(hub_source.parse("hf:org/name"), environ=environ(standin, tmp_path / "again", HF_TOKEN="secret"))
    shown = [token for _, _, token in standin.asked]
    assert shown.count("") == 1, "the one on the other host"


@pytest.mark.parametrize(
    "to", ["http://localhost:1/x", "http://[::1]:1/x", "http://169.254.169.254/latest", "file:///etc/passwd", "http://10.0.0.1/"]
)
def test_a_hub_may_not_send_us_into_our_own_network(standin: StandIn, tmp_path: Path, to: str) -> None:
    standin.faults = [("/resolve/", f"to {to}")]
    with pytest.raises(InvalidInput) as caught:
        hub.fetch(hub_source.parse("hf:org/name"), environ=environ(standin, tmp_path))
    assert caught.value.code == "hub_redirect_refused"


def test_redirects_are_few(standin: StandIn, tmp_path: Path) -> None:
    standin.faults = [("/resolve/", f"to {standin.url}/org/name/resolve/{COMMIT}/config.json")] * 20
    with pytest.raises(InvalidInput) as caught:
        hub.fetch(hub_source.parse("hf:org/name"), environ=environ(standin, tmp_path))
    assert caught.value.code == "hub_redirect_refused"
    assert len(standin.asked) == 2 + hub.MAX_REDIRECTS


def test_without_a_network_what_was_fetched_is_taken(standin: StandIn, tmp_path: Path) -> None:
    offline = environ(standin, tmp_path, HF_HUB_OFFLINE="1")
    with pytest.raises(NotReady) as caught:
        hub.fetch(hub_source.parse("hf:org/name"), environ=offline)
    assert (caught.value.code, standin.asked) == ("hub_offline", [])
    folder = hub.fetch(hub_source.parse("hf:org/name"), environ=environ(standin, tmp_path))
    assert hub.fetch(hub_source.parse("hf:org/name"), environ=offline) == folder


def test_nobody_there(tmp_path: Path, standin: StandIn) -> None:
    nobody = environ(standin, tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    with pytest.raises(NotReady) as caught:
        hub.fetch(hub_source.parse("hf:org/name"), environ=nobody)
    assert caught.value.code == "hub_unreachable"


def test_size_and_kind_are_bounded(standin: StandIn, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        hub.fetch(hub_source.parse("hf:org/name"), environ=environ(standin, tmp_path), max_bytes=1000)
    assert caught.value.code == "hub_too_large"
    del standin.files["model.safetensors"]
    assert "onnx/model.onnx" in names(hub.fetch(hub_source.parse("hf:org/name"), environ=environ(standin, tmp_path)))
    del standin.files["onnx/model.onnx"]
    with pytest.raises(InvalidInput) as caught:
        hub.fetch(hub_source.parse("hf:org/name"), environ=environ(standin, tmp_path))
    assert caught.value.code == "hub_no_weights"


@pytest.mark.parametrize(
    "name", ["hf:org", "hf:org/na me", "hf:../x", "hf:org/name@../..", "hf:org/name@", "hf:a/b/c", "modelscope:/x", "hf:org/..name"]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        hub_source.parse(name)
    assert caught.value.code == "invalid_hub_name"


def test_names_and_revisions() -> None:
    assert hub_source.parse("hf:org/name@refs/pr/4") == HubSource("hf", "org/name", "refs/pr/4")
    assert str(hub_source.parse("modelscope:org/a.b-c")) == "modelscope:org/a.b-c@master"
    assert not hub_source.is_hub_name("./hf")


def test_an_adapter_is_fetched_where_there_is_no_whole_model() -> None:
    adapter = {"adapter_config.json", "adapter_model.safetensors"}
    for more, taken in (set(), adapter), ({"model.safetensors"}, {"model.safetensors"}), ({"model.onnx"}, adapter):
        files = [HubFile(name, 1, "0" * 64) for name in {"tokenizer.json", *adapter, *more}]
        assert {file.path for file in hub_source.wanted(HubSource("hf", "a/b", "main"), files)} == {"tokenizer.json", *taken}


def test_all_that_importers_read_is_fetched() -> None:
    read = {"config.json", *allowed.TOKENIZER_FILES, *allowed.OWN_FILES}
    files = [HubFile(name, 1, "0" * 64) for name in {*read, "model.safetensors", "evil.py", "../model.safetensors", "a/config.json"}]
    assert {file.path for file in hub_source.wanted(HubSource("hf", "a/b", "main"), files)} == {*read, "model.safetensors"}
