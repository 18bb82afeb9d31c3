"""The SDK against the gateway itself: each typed method tells what the task API answers, blocking and awaited."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tests.gateway.ways import ALL_ENDPOINTS

from hanlin.client import AsyncHanlin, Hanlin
from hanlin.client.questions import Classify, Embed, TagTokens
from hanlin.errors import InvalidInput

# Of each method: the task, what it is given beside the endpoint, the same call of the task API, and the parameters of both.
TEXTS = ["good w9", "bad w10"]
CALLS: dict[str, tuple[str, list[Any], Any, dict[str, Any]]] = {
    "classify": ("text-classification", [TEXTS], TEXTS, {"top_k": 1}),
    "classify, on a scale": ("sentiment", [TEXTS], TEXTS, {}),
    "classify_among": ("embedding", [TEXTS, ["w20", "w30"]], TEXTS, {"candidate_labels": ["w20", "w30"], "multi_label": True}),
    "embed": ("embedding", [TEXTS], TEXTS, {"normalize": True, "dimensions": 3}),
    "rerank": ("reranking", ["w9", TEXTS], {"query": "w9", "texts": TEXTS}, {"top_k": 2}),
    "tag_tokens": ("token-classification", [TEXTS], TEXTS, {"aggregation_strategy": "simple"}),
    "answer": ("question-answering", ["w9", "good w9"], {"question": "w9", "context": "good w9"}, {"max_answer_len": 2}),
    "fill_mask": ("fill-mask", [["[MASK] w9", "w10 [MASK]"]], ["[MASK] w9", "w10 [MASK]"], {"top_k": 3}),
    "translate": ("translation", [TEXTS], TEXTS, {"num_beams": 2}),
    "summarize": ("summarization", [TEXTS], TEXTS, {"max_new_tokens": 2}),
    "generate": ("text-generation", [TEXTS], TEXTS, {"max_new_tokens": 3, "stop": ["w9"]}),
    "parse_meaning": ("semantic-parsing", [TEXTS], TEXTS, {}),
    "to_sql": ("text-to-sql", [TEXTS], TEXTS, {}),
    "find_frames": ("semantic-role-labelling", [["w9 good", "bad w10"]], ["w9 good", "bad w10"], {}),
}


@pytest.fixture
def sdk(doors) -> Iterator[Hanlin]:
    with Hanlin(doors.url, "hl_app") as found:
        yield found


@pytest.fixture
async def async_sdk(doors) -> AsyncIterator[AsyncHanlin]:
    async with AsyncHanlin(doors.url, "hl_app") as found:
        yield found


def test_every_task_has_its_method() -> None:
    assert {task for task, *_ in CALLS.values()} == set(ALL_ENDPOINTS)


def plain(found: Any) -> Any:
    """Of the SDK's values, what an answer in JSON has."""
    if isinstance(found, list | tuple):
        return [plain(item) for item in found]
    return found.model_dump(mode="json", exclude_none=True) if hasattr(found, "model_dump") else found


def is_told(found: Any, answer: Any) -> bool:
    """Whether every field of the answer is in the value, under its name or as `text` and `label`."""
    if isinstance(answer, list):
        return len(found) == len(answer) and all(map(is_told, found, answer))
    if isinstance(answer, dict) and isinstance(found, dict):
        as_named = {"entity_group": "label", "entity": "label"}
        pairs = {name: "text" if name.endswith("_text") and "text" in found else as_named.get(name, name) for name in answer}
        return all(is_told(found[ours], answer[theirs]) for theirs, ours in pairs.items() if answer[theirs] is not None)
    return bool(found == answer)


@pytest.mark.parametrize("name", CALLS)
async def test_a_typed_method_tells_what_the_task_api_answers(doors, sdk: Hanlin, async_sdk: AsyncHanlin, name: str) -> None:
    task, given, inputs, parameters = CALLS[name]
    endpoint, method = ALL_ENDPOINTS[task], name.partition(",")[0]
    answer = doors.client.post(f"/models/{endpoint}", json={"inputs": inputs, "parameters": parameters}).json()
    own = {key: value for key, value in parameters.items() if key != "candidate_labels"}
    found = getattr(sdk, method)(endpoint, *given, **own)
    assert is_told(plain(found), answer), (found, answer)
    assert await getattr(async_sdk, method)(endpoint, *given, **own) == found
    if isinstance(given[0], list):  # a string gives one answer
        assert getattr(sdk, method)(endpoint, given[0][0], *given[1:], **own) == found[0]


def test_both_clients_have_the_same_signatures() -> None:
    for name in {name.partition(",")[0] for name in CALLS}:
        one, other = (inspect.signature(getattr(kind, name)) for kind in (Hanlin, AsyncHanlin))
        assert one == other


async def test_a_question_is_asked_of_one_thing(sdk: Hanlin, async_sdk: AsyncHanlin) -> None:
    documents = [{"id": "a", "text": "good w9 w10"}, "bad w11"]
    found = sdk.answer("answers", "w9", documents=documents)
    assert found.document in ("a", 1)
    assert await async_sdk.answer("answers", "w9", documents=documents) == found
    for wrong in ({}, {"context": "good", "documents": ["bad"]}):
        with pytest.raises(InvalidInput) as caught:
            sdk.answer("answers", "w9", **wrong)
        assert caught.value.code == "missing_field"


def test_what_is_refused_is_an_error_with_its_index(sdk: Hanlin) -> None:
    for call in (sdk.translate, sdk.generate, sdk.parse_meaning):
        endpoint = {"translate": "tongue", "generate": "muse", "parse_meaning": "meanings"}[call.__name__]
        with pytest.raises(InvalidInput) as caught:
            call(endpoint, ["good", " "])
        assert (caught.value.code, caught.value.params["index"]) == ("empty_text", 1)
        with pytest.raises(InvalidInput) as caught:
            call(endpoint, 5)  # type: ignore[call-overload]
        assert caught.value.code == "invalid_inputs"


@pytest.mark.parametrize("name", sorted({name.partition(",")[0] for name in CALLS}))
async def test_an_endpoint_of_another_task_refuses(sdk: Hanlin, async_sdk: AsyncHanlin, name: str) -> None:
    task, given, *_ = CALLS[name]
    other = ALL_ENDPOINTS["reranking" if task != "reranking" else "embedding"]
    for ask in (getattr(sdk, name), getattr(async_sdk, name)):
        with pytest.raises(InvalidInput) as caught:
            found = ask(other, *given)
            await found
        assert (caught.value.code, task in caught.value.message) == ("endpoint_has_other_task", True)


def test_a_map_over_an_endpoint_of_another_task_is_refused(sdk: Hanlin) -> None:
    for endpoint, question in (("mood", Embed()), ("tags", Classify()), ("mood", TagTokens())):
        with pytest.raises(InvalidInput) as caught:
            list(sdk.map(endpoint, TEXTS, question))  # type: ignore[arg-type]
        assert caught.value.code == "endpoint_has_other_task"
