"""Roles out of trees, by the stated rules: trees written by hand, as a parser would give them."""

import pytest

from hanlin.datasets.corpora.roles import Node, frames


def tree(text):
    """`word/lemma/tag/dep/head[/entity]`, heads by place."""
    nodes = []
    for piece in text.split():
        word, lemma, tag, dep, head, *entity = piece.split("/")
        nodes.append(Node(word, lemma, tag, dep, int(head), entity[0] if entity else ""))
    return nodes


def told(text):
    nodes = tree(text)
    return {
        frame["lemma"]: {a["role"]: " ".join(n.text for n in nodes[a["start"] : a["end"]]) for a in frame["arguments"]}
        for frame in frames(nodes)
    }


ACTIVE = (
    "She/she/PRP/nsubj/3 did/do/VBD/aux/3 n't/not/RB/neg/3 give/give/VB/ROOT/3 Mary/Mary/NNP/dative/3/PERSON "
    "the/the/DT/det/6 book/book/NN/dobj/3 yesterday/yesterday/NN/npadvmod/3/DATE"
)
PASSIVE = (
    "Books/book/NNS/nsubjpass/2 were/be/VBD/auxpass/2 sold/sell/VBN/ROOT/2 by/by/IN/agent/2 him/he/PRP/pobj/3 "
    "in/in/IN/prep/2 Paris/Paris/NNP/pobj/5/GPE"
)
RELATIVE = (
    "the/the/DT/det/1 boy/boy/NN/nsubj/5 who/who/WP/nsubj/3 ate/eat/VBD/relcl/1 apples/apple/NNS/dobj/3 "
    "left/leave/VBD/ROOT/5 quickly/quickly/RB/advmod/5"
)
CONTROL = "She/she/PRP/nsubj/1 told/tell/VBD/ROOT/1 him/he/PRP/dobj/1 to/to/TO/aux/4 go/go/VB/xcomp/1 home/home/RB/advmod/4"
COPULA = "Snow/snow/NN/nsubj/2 can/can/MD/aux/2 be/be/VB/ROOT/2 white/white/JJ/acomp/2"
CLAUSES = (
    "He/he/PRP/nsubj/1 ran/run/VBD/ROOT/1 because/because/IN/mark/4 she/she/PRP/nsubj/4 sang/sing/VBD/advcl/1 "
    "to/to/TO/aux/6 win/win/VB/advcl/4"
)


@pytest.mark.parametrize(
    ("sentence", "lemma", "roles"),
    [
        (ACTIVE, "give", {"ARG0": "She", "ARGM-NEG": "n't", "ARG2": "Mary", "ARG1": "the book", "ARGM-TMP": "yesterday"}),
        (PASSIVE, "sell", {"ARG1": "Books", "ARG0": "by him", "ARGM-LOC": "in Paris"}),
        (RELATIVE, "eat", {"ARG0": "the boy", "R-ARG0": "who", "ARG1": "apples"}),
        (RELATIVE, "leave", {"ARG0": "the boy who ate apples", "ARGM-MNR": "quickly"}),
        (CONTROL, "go", {"ARG0": "him", "ARGM-LOC": "home"}),
        (CONTROL, "tell", {"ARG0": "She", "ARG1": "him", "ARG2": "to go home"}),
        (COPULA, "be", {"ARG1": "Snow", "ARGM-MOD": "can", "ARG2": "white"}),
        (CLAUSES, "run", {"ARG0": "He", "ARGM-CAU": "because she sang to win"}),
        (CLAUSES, "sing", {"ARG0": "she", "ARGM-PRP": "to win"}),
    ],
)
def test_the_rules(sentence, lemma, roles):
    assert told(sentence)[lemma] == roles


def test_auxiliaries_are_no_predicates():
    assert set(told(ACTIVE)) == {"give"}
    assert set(told(PASSIVE)) == {"sell"}


def test_arguments_never_overlap_and_never_hold_their_predicate():
    for sentence in (ACTIVE, PASSIVE, RELATIVE, CONTROL, COPULA, CLAUSES):
        for frame in frames(tree(sentence)):
            places = [place for a in frame["arguments"] for place in range(a["start"], a["end"])]
            assert len(places) == len(set(places))
            assert frame["predicate"] not in places
            assert all(a["start"] <= a["head"] < a["end"] for a in frame["arguments"])


def test_an_order_that_is_quoted_takes_no_subject_from_who_quotes_it():
    quoted = "Hold/hold/VB/ccomp/3 fire/fire/NN/dobj/0 he/he/PRP/nsubj/3 said/say/VBD/ROOT/3"
    assert told(quoted)["hold"] == {"ARG1": "fire"}
