"""The hook of explanations, which every registered task has: what can be hidden, what can be explained, how much of it is left."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from tests.tasks.fake_networks import bert_tokenizer, outputs_of, specs_of

from hanlin.engines.gathering import gather
from hanlin.errors import EngineFailed, InvalidInput
from hanlin.tasks import TASKS, Limits
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.explained_labels import LabelTargets
from hanlin.tasks.explaining import NOTHING, Computed, Hidden, Place, Target, hide
from hanlin.tasks.label_chain import LabelChain
from hanlin.tasks.problems import explaining_of
from hanlin.tasks.prompt_form import PromptForm

WORD = re.compile(r"\w+")
SAYS = "Ada wrote that a red fox lives in London"
TALK = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": SAYS}]}
JUDGED = {"messages": [*TALK["messages"], {"role": "assistant", "content": "It does."}]}
QUESTION = {"question": "Where does it live?", "context": SAYS}
DOCUMENTS = {"question": "Where does it live?", "documents": ["A fox is red.", {"id": "b", "text": SAYS, "start": 100}]}
# Calls beside the worked example of each task: inputs and parameters.
CALLS = {
    "text-classification": [
        ([SAYS, {"text": SAYS, "text_pair": "A fox lives."}], {"top_k": 1}), (SAYS, {"function_to_apply": "sigmoid"}),
    ],
    "sentiment": [({"text": SAYS, "text_pair": "fox"}, {})],
    "token-classification": [
        ([SAYS, "x y"], {"aggregation_strategy": strategy, "ignore_labels": []})
        for strategy in ("none", "simple", "first", "average", "max")
    ],
    "semantic-role-labelling": [([SAYS, f"{SAYS} where Ada wrote", "a fox wrote", "it lives, it wrote, it lives"], {})],
    "semantic-parsing": [([SAYS, "turn it on"], {})],
    "question-answering": [([QUESTION, QUESTION], {"top_k": 3}), (QUESTION, {"handle_impossible_answer": True}), (DOCUMENTS, {"top_k": 4})],
    "reranking": [({"query": "fox", "texts": [SAYS, "A house."]}, {"raw_scores": True, "return_text": True})],
    "embedding": [
        (SAYS, {}), ({"source_sentence": SAYS, "sentences": ["A fox.", "A house."]}, {}),
        ([SAYS, "A fox."], {"candidate_labels": ["fox", "large beast"], "multi_label": True}),
    ],
    "fill-mask": [([f"[MASK] {SAYS} and <mask> too", "A [MASK] fox"], {"top_k": 3})],
    "text-generation": [
        ([SAYS, TALK], {"num_return_sequences": 2}), (TALK, {}), (JUDGED, {"score": True}), (SAYS, {"likeliest": 2}),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return bert_tokenizer()


def computed(task, spec, encoder, request, encoded=None):
    encoded = encoded or task.encode(request, encoder, spec)
    outputs = outputs_of(task, spec, encoded)
    return Computed(task, request, encoded, gather(task, encoded, [(outputs, place) for place in range(len(encoded.rows))]), spec)


def asked(task, spec, encoder, target, hidden):
    """The score of a target where something is hidden."""
    hook = explaining_of(task, spec)
    encoded = hook.rows(target, task.encode(hidden.request, encoder, spec), spec)
    return hook.score(hidden.moved(target), computed(task, spec, encoder, hidden.request, encoded))


def check_explaining(task, spec, encoder, call):
    """What every hook keeps; the number of its targets. Network and method know nothing of the task, the hook nothing of them."""
    hook, count = explaining_of(task, spec), 0
    for request in hook.alone(task.check(*call, limits=Limits())):
        parts = hook.parts(request, encoder, spec)
        assert hook.with_texts(request, [part.text for part in parts]) == request
        places = [Place(at, *word.span()) for at, part in enumerate(parts) if not part.is_fixed for word in WORD.finditer(part.text)]
        places = [place for place in places if not any(start < place.end and place.start < end for start, end in parts[place.part].kept)]
        assert places
        found = computed(task, spec, encoder, request)
        hidden = [hide(hook, request, [place], encoder, spec) for place in places]
        for target in hook.targets(found):
            count += 1
            check_moved(parts, target, places, [(one, hook.parts(one.request, encoder, spec)) for one in hidden])
            whole = asked(task, spec, encoder, target, Hidden(request, ()))
            assert target.score in {None, whole}, f"{target}: with nothing hidden it is {whole}"
            left = [asked(task, spec, encoder, target, one) for one in hidden]
            assert all(map(math.isfinite, left))
            assert any(score != whole for score in left), f"{target}: nothing that is hidden changes it"
        everything = task.encode(hide(hook, request, places, encoder, spec).request, encoder, spec)
        assert all(everything.rows), "a text of which all is hidden is still a text"
    return count


def check_moved(parts, target, places, hidden):
    """A target's characters are those that they were, wherever they stand now."""
    for place, (one, told) in zip(places, hidden, strict=True):
        for before, after in zip(target.places, one.moved(target).places, strict=True):
            if before.part != place.part or before.end <= place.start or place.end <= before.start:
                assert told[after.part].text[after.start : after.end] == parts[before.part].text[before.start : before.end]


@pytest.mark.parametrize("name", TASKS.names())
def test_every_task_says_what_can_be_hidden_and_what_is_left(name, tokenizer):
    task = TASKS.get(name)
    request = task.example["request"]
    for spec in specs_of(task):
        reads = replace(spec, pairs="typed") if task.head == "labels" else spec
        encoder = TextEncoder(tokenizer, reads)
        assert sum(check_explaining(task, reads, encoder, call) for call in CALLS.get(name, [])) > 0 or name not in CALLS
        assert check_explaining(task, reads, encoder, (request["inputs"], request["parameters"])) > 0 or task.head in {"tokens", "roles"}


# What versions may have besides: other problems, chains of labels, thresholds and calibration, rows too short for their texts.
VARIANTS = [
    ("text-classification", {"problem": "multi-label", "thresholds": (0.4, 0.5, 0.6)}, {}),
    ("text-classification", {"problem": "regression", "labels": ("score",)}, {}),
    ("token-classification", {"chain": 3}, {"ignore_labels": []}),
    ("token-classification", {"chain": 3}, {"ignore_labels": [], "aggregation_strategy": "simple"}),
    ("token-classification", {"chain": 3}, {"ignore_labels": [], "aggregation_strategy": "first"}),
    ("semantic-role-labelling", {"chain": 2}, {}),
    ("semantic-role-labelling", {"labels": ("B-V", "I-V", "B-A")}, {}),
    ("question-answering", {"thresholds": (0.5,), "calibration": (1.5, -0.5)}, {"top_k": 3}),
    ("text-classification", {"max_length": 8}, {"long_text": "window"}),
    ("token-classification", {"max_length": 8}, {"long_text": "window", "ignore_labels": []}),
    ("semantic-parsing", {"max_length": 8}, {"long_text": "window"}),
    ("embedding", {"max_length": 8}, {"long_text": "window"}),
    ("question-answering", {"max_length": 12}, {}),
    ("text-to-sql", {}, {"num_beams": 1}),
    ("text-generation", {"max_length": 12}, {"score": True}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "more", "parameters"), VARIANTS)
def test_versions_of_every_kind_tell_the_scores_of_their_answers(name, more, parameters, tokenizer):
    task, known = TASKS.get(name), dict(more)
    if size := known.get("chain"):
        chance = np.random.default_rng(5)
        known["chain"] = LabelChain(chance.normal(size=size), chance.normal(size=(size, size)) * 2, chance.normal(size=size))
    spec = replace(specs_of(task)[0], **known)
    texts = [SAYS, "it lives where Ada wrote that a fox lives", "Grace wrote, Ada wrote, it lives"]
    inputs = [{"question": "Where?", "context": text} for text in texts] if name == "question-answering" else texts
    encoder = TextEncoder(tokenizer, spec)
    assert check_explaining(task, spec, encoder, (inputs, parameters)) > 0
    if "max_length" in known and name != "text-generation":
        assert task.encode(task.check(inputs, parameters, limits=Limits()), encoder, spec).windows


@pytest.mark.parametrize(("name", "ask"), [("translation", "{text}"), ("question-answering", "{question} {passages}")])
def test_a_version_that_is_asked_by_a_prompt_has_the_parts_of_its_task(name, ask, tokenizer):
    task = TASKS.get(name)
    spec = replace(specs_of(TASKS.get("text-generation"))[0], task=name, chat=None, prompt=PromptForm(ask))
    request = {"translation": SAYS, "question-answering": QUESTION}[name]
    encoder, hook = TextEncoder(tokenizer, spec), explaining_of(task, spec)
    (alone,) = hook.alone(task.check(request, {}, limits=Limits()))
    parts = hook.parts(alone, encoder, spec)
    assert [part.name for part in parts] == {"translation": ["text"], "question-answering": ["question", "context"]}[name]
    found = computed(task, spec, encoder, alone)
    (target,) = hook.targets(found)
    assert target.kind == "written"
    whole = asked(task, spec, encoder, target, Hidden(alone, ()))
    for at, part in enumerate(parts):
        place = Place(at, *WORD.search(part.text).span())
        assert asked(task, spec, encoder, target, hide(hook, alone, [place], encoder, spec)) != whole


def test_what_is_written_in_pieces_is_held_against_what_is_written_then(tokenizer):
    task = TASKS.get("translation")
    spec = replace(specs_of(task)[0], max_length=8)
    encoder, hook = TextEncoder(tokenizer, spec), task.explaining
    (request,) = hook.alone(task.check(". ".join([SAYS] * 3), {"long_text": "window"}, limits=Limits()))
    found = computed(task, spec, encoder, request)
    assert found.encoded.windows
    (target,) = hook.targets(found)
    assert (target.kind, target.score) == ("rewritten", 1.0)
    assert asked(task, spec, encoder, target, Hidden(request, ())) == 1
    assert 0 <= asked(task, spec, encoder, target, hide(hook, request, [Place(0, 0, 9)], encoder, spec)) < 1


class WithoutHook:
    """A task in all but explanations."""

    def __init__(self, task):
        self._task = task

    def __getattr__(self, name):
        if name == "explaining":
            raise AttributeError(name)
        return getattr(self._task, name)


class OtherHook(WithoutHook):
    def __init__(self, task, hook):
        super().__init__(task)
        self.explaining = hook


class Deaf(LabelTargets):
    def with_texts(self, request, texts):
        return request


class Lying(LabelTargets):
    def score(self, target, found):
        return super().score(target, found) / 2


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (WithoutHook, AttributeError),
        (lambda task: OtherHook(task, Deaf()), AssertionError),
        (lambda task: OtherHook(task, Lying()), AssertionError),
    ],
)
def test_a_task_without_the_hook_or_with_a_false_one_is_found_out(wrong, error, tokenizer):
    task = TASKS.get("text-classification")
    (spec,) = specs_of(task)
    call = (SAYS, {})
    check_explaining(task, spec, TextEncoder(tokenizer, spec), call)
    with pytest.raises(error):
        check_explaining(wrong(task), spec, TextEncoder(tokenizer, spec), call)


def test_places_stand_where_their_characters_went(tokenizer):
    task = TASKS.get("token-classification")
    (spec,), hook = specs_of(task), task.explaining
    encoder = TextEncoder(tokenizer, spec)
    (request,) = hook.alone(task.check("Ada saw the red fox", {}, limits=Limits()))

    def moved(start, end, *pieces):
        hidden = hide(hook, request, [Place(0, *piece) for piece in pieces], encoder, spec)
        place = hidden.moved(Target("entity", "X", None, (Place(0, start, end),))).places[0]
        return hidden.request.texts[0][place.start : place.end]

    assert moved(8, 19, (0, 3)) == "the red fox"
    assert moved(8, 19, (0, 3), (12, 15)) == "the [MASK] fox"
    assert moved(12, 15, (12, 15)) == "[MASK]"
    assert moved(12, 15, (8, 19)) == "[MASK]"
    assert moved(8, 19, (4, 11)) == "[MASK] red fox"
    assert moved(8, 15, (12, 19)) == "the [MASK]"
    assert moved(0, 19, (4, 7)) == "Ada [MASK] the red fox"


def test_where_there_is_no_mask_characters_go_and_a_text_never_becomes_empty():
    plain = bert_tokenizer()
    task = TASKS.get("fill-mask")
    (spec,) = specs_of(task)
    encoder, hook = TextEncoder(plain, spec), task.explaining
    (request,) = hook.alone(task.check("A red [MASK]!", {}, limits=Limits()))
    hidden = hide(hook, request, [Place(0, 0, 1), Place(0, 2, 5)], encoder, spec)
    assert hidden.request.texts == ("  [MASK]!",)
    with pytest.raises(AssertionError, match="kept"):
        hide(hook, request, [Place(0, 4, 8)], encoder, spec)
    task = TASKS.get("text-generation")
    (spec,) = specs_of(task)
    (request,) = task.explaining.alone(task.check("Go!", {}, limits=Limits()))
    hidden = hide(task.explaining, request, [Place(0, 0, 2)], TextEncoder(plain, spec), spec)
    assert hidden.request.texts == (f"{NOTHING}!",)


def test_a_query_stays_whole_and_ids_are_no_words(tokenizer):
    task = TASKS.get("reranking")
    spec, hook = specs_of(task)[0], task.explaining
    encoder = TextEncoder(tokenizer, spec)
    first, _ = hook.alone(task.check({"query": "fox", "texts": ["a", "b"]}, {}, limits=Limits()))
    with pytest.raises(AssertionError, match="fixed"):
        hide(hook, first, [Place(0, 0, 3)], encoder, spec)
    task = TASKS.get("text-classification")
    (spec,), hook = specs_of(task), task.explaining
    (request,) = hook.alone(task.check({"token_ids": [2, 4, 3]}, {}, limits=Limits()))
    with pytest.raises(InvalidInput, match="no words can be hidden"):
        hook.parts(request, TextEncoder(tokenizer, spec), spec)


@pytest.mark.parametrize("parameters", [{}, {"raw_scores": True}])
def test_what_is_asked_alone_is_what_the_call_was_answered(parameters, tokenizer):
    task = TASKS.get("reranking")
    for spec in specs_of(task):
        encoder, hook = TextEncoder(tokenizer, spec), task.explaining
        request = task.check({"query": "fox", "texts": [SAYS, "A house.", "x"]}, parameters, limits=Limits())
        scores = {item["index"]: item["score"] for item in computed(task, spec, encoder, request).answer}
        for index, alone in enumerate(hook.alone(request)):
            (target,) = hook.targets(computed(task, spec, encoder, alone))
            assert target.score == pytest.approx(scores[index], abs=1e-12)


def test_scores_that_are_no_numbers_are_an_engine_failure(tokenizer):
    task = TASKS.get("token-classification")
    (spec,), hook = specs_of(task), task.explaining
    (request,) = hook.alone(task.check("A red fox", {"ignore_labels": []}, limits=Limits()))
    found = computed(task, spec, TextEncoder(tokenizer, spec), request)
    target = hook.targets(found)[0]
    broken = replace(found, outputs={name: values * math.nan for name, values in found.outputs.items()})
    with pytest.raises(EngineFailed):
        hook.score(target, broken)
