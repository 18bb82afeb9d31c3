"""Whether passages that hold answers are found by words, counted by hand."""

from __future__ import annotations

import json

from hanlin.tasks import TASKS
from hanlin.tasks.passage_recall import passage_recall

SHOP = "The shop opens at nine in the morning. " + "Parcels come on Monday, letters on Tuesday. " * 25 + "Parcels are returned at the desk."
ZOO = "The zoo has forty penguins."
POND = "池塘里有三十条金鱼。"


def annotation(context: str, question: str, *answers: str) -> str:
    fields = {"context": context, "question": question, "answers": list(answers)}
    return TASKS.get("question-answering").examples.read(fields).annotation


def test_each_answer_is_looked_for_in_its_own_passage() -> None:
    contexts = [SHOP, ZOO, POND, SHOP]
    asked = [
        annotation(SHOP, "When does the shop open in the morning?", "nine"),
        annotation(ZOO, "How many penguins?", "forty"),
        annotation(POND, "池塘里有几条金鱼？", "三十"),
        annotation(SHOP, "Which letters come on Monday and Tuesday in the zoo?", "desk"),  # its words stand elsewhere
    ]
    assert passage_recall(contexts, asked) == {"passage_recall_1": 0.75, "passage_recall_5": 1.0}


def test_questions_without_an_answer_add_their_context_alone() -> None:
    nothing = annotation(ZOO, "When does the shop open?")
    found = annotation(SHOP, "When does the shop open?", "nine")
    assert passage_recall([ZOO, SHOP], [nothing, found]) == {"passage_recall_1": 1.0, "passage_recall_5": 1.0}
    assert passage_recall([ZOO], [nothing]) == {}


def test_any_of_several_answers_counts() -> None:
    found = json.loads(annotation(SHOP, "At which desk are parcels returned?", "nine", "desk"))
    assert [answer["text"] for answer in found["answers"]] == ["nine", "desk"]
    assert passage_recall([SHOP], [json.dumps(found)])["passage_recall_1"] == 1.0


def test_one_passage_is_no_search() -> None:
    assert passage_recall([ZOO], [annotation(ZOO, "How many penguins?", "forty")]) == {}
