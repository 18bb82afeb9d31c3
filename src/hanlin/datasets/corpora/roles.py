"""Semantic roles out of a dependency parse, by rules: what is *silver* about `brown-roles`. Knows trees, not parsers.

Labels are PropBank's, without its frames: subject → ARG0 (of a passive or a copula ARG1), object → ARG1, recipient, attribute and what a
preposition adds → ARG2, by-phrase of a passive → ARG0, clauses → ARG1 (ARG2 beside an object); adverbials by their words and by the
entity inside (ARGM-TMP, -LOC, -DIR, -MNR, -CAU, -PRP, -DIS, -ADV), negation and modal (ARGM-NEG, -MOD). A clause without a subject of its
own takes its governor's; a relative pronoun is R-ARGn and its noun ARGn. Senses are not told.
Source: PropBank annotation guidelines (role names); ClearNLP dependency labels as spaCy gives them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hanlin.datasets.corpora.base import Row, words


class Node(NamedTuple):
    """A token of a tree; `head` is its own place at the root; `entity` the kind of entity that it is in, or empty."""

    text: str
    lemma: str
    tag: str
    dep: str
    head: int
    entity: str


class Argument(NamedTuple):
    """A role: tokens from `start` to `end` (exclusive), and which of them is its head."""

    start: int
    end: int
    role: str
    head: int


_COPULAS = words("be become seem appear remain look feel sound stay")
_TIME_WORDS = words(
    "now then today tomorrow yesterday tonight soon already always never often again still ever once recently sometimes usually finally "
    "early late later ago before since immediately meanwhile long when"
)
_PLACE_WORDS = words("here there everywhere somewhere anywhere nowhere away home outside inside upstairs downstairs abroad nearby where")
_DISCOURSE = words("however therefore moreover nevertheless thus furthermore perhaps indeed instead otherwise hence besides also too")
_ADVERBS = {
    **dict.fromkeys(_TIME_WORDS, "TMP"), **dict.fromkeys(_PLACE_WORDS, "LOC"), **dict.fromkeys(_DISCOURSE, "DIS"),
    "how": "MNR", "why": "CAU",
}  # fmt: skip
_TIME_NOUNS = words(
    "year month week day hour minute second morning afternoon evening night time moment season summer winter spring autumn century decade "
    "monday tuesday wednesday thursday friday saturday sunday period age"
)
_TIME_ENTITIES = frozenset({"DATE", "TIME"})
_PLACE_ENTITIES = frozenset({"GPE", "LOC", "FAC"})
_PLACE_PREPOSITIONS = words(
    "in at on near under over behind between inside outside above below beneath beside among amid within upon across"
)
_DIRECTION_PREPOSITIONS = words("into onto toward towards through from out off down up along around past")
_TIME_PREPOSITIONS = words("during until till since before after")
_CLAUSE_MARKS = {
    **dict.fromkeys(words("when while after before since until till once as whenever"), "TMP"),
    "because": "CAU",
    "where": "LOC",
}
_VERBS = frozenset({"VB", "VBD", "VBG", "VBN", "VBP", "VBZ"})
_RELATIVE = frozenset({"WDT", "WP", "WP$", "WRB"})


class Tree:
    """A sentence's tree, asked for children and spans."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.children: list[list[int]] = [[] for _ in nodes]
        for at, node in enumerate(nodes):
            if node.head != at:
                self.children[node.head].append(at)

    def span(self, at: int, without: frozenset[int] = frozenset()) -> tuple[int, int]:
        """What stands under a token, from its first to behind its last; `without` some subtrees."""
        start, end, waiting = at, at + 1, [at]
        while waiting:
            place = waiting.pop()
            start, end = min(start, place), max(end, place + 1)
            waiting += [child for child in self.children[place] if child not in without]
        return start, end

    def child(self, at: int, *deps: str) -> int | None:
        """The first child with one of these labels."""
        return next((child for child in self.children[at] if self.nodes[child].dep in deps), None)


def frames(nodes: Sequence[Node]) -> list[Row]:
    """The predicates of a sentence with their arguments, as rows hold them."""
    tree = Tree(nodes)
    found: list[Row] = []
    for at, node in enumerate(nodes):
        if node.tag in _VERBS and node.dep not in {"aux", "auxpass", "amod", "compound"}:
            arguments = sorted(_disjoint(_arguments(tree, at), at))
            told: list[Row] = [{"start": a.start, "end": a.end, "role": a.role, "head": a.head} for a in arguments]
            found.append({"predicate": at, "lemma": node.lemma.lower(), "arguments": told})
    return found


def _disjoint(arguments: Iterator[Argument], predicate: int) -> Iterator[Argument]:
    """The arguments that hold neither the predicate nor another argument; of numbered roles the first."""
    taken: set[int] = {predicate}
    roles: set[str] = set()
    for argument in arguments:
        places = set(range(argument.start, argument.end))
        is_again = argument.role.startswith("ARG") and argument.role[3].isdigit() and argument.role in roles
        if not places & taken and not is_again:
            taken |= places
            roles.add(argument.role)
            yield argument


def _arguments(tree: Tree, at: int) -> Iterator[Argument]:
    """Core roles first: they have a right to their words."""
    children = tree.children[at]
    yield from _subject(tree, at)
    for child in children:
        if role := _core_role(tree, at, child):
            yield Argument(*tree.span(child), role, child)
    for child in children:
        if role := _adjunct_role(tree, at, child):
            yield Argument(*tree.span(child), role, child)


def _subject(tree: Tree, at: int) -> Iterator[Argument]:
    """The verb's own subject, else that of the clause it hangs on; a relative pronoun brings its noun."""
    is_passive = tree.child(at, "nsubjpass", "auxpass", "csubjpass") is not None
    role = "ARG1" if is_passive or tree.nodes[at].lemma in _COPULAS else "ARG0"
    own = tree.child(at, "nsubj", "csubj", "nsubjpass", "csubjpass")
    if own is None:
        if (governor := _controller(tree, at)) is not None:
            yield Argument(*tree.span(governor, frozenset({at})), role, governor)
        return
    is_relative = tree.nodes[at].dep == "relcl" and (tree.nodes[own].tag in _RELATIVE or tree.nodes[own].lemma == "that")
    yield Argument(*tree.span(own), f"R-{role}" if is_relative else role, own)
    if is_relative:
        noun = tree.nodes[at].head
        yield Argument(*tree.span(noun, frozenset({at})), role, noun)


def _controller(tree: Tree, at: int) -> int | None:
    """Who does it where the verb has no subject: object, else subject, of the verb above; the noun that a participle describes."""
    node = tree.nodes[at]
    if node.dep == "acl" and node.tag in {"VBG", "VBN"}:
        return node.head
    if node.dep not in {"xcomp", "conj", "advcl"} or tree.nodes[node.head].tag not in _VERBS or node.head == at:
        return None
    above = node.head
    if node.dep == "xcomp" and (obj := tree.child(above, "dobj", "dative")) is not None:
        return obj
    return tree.child(above, "nsubj", "nsubjpass")


_CORE = {"dobj": "ARG1", "dative": "ARG2", "attr": "ARG2", "acomp": "ARG2", "oprd": "ARG2", "agent": "ARG0"}


def _core_role(tree: Tree, at: int, child: int) -> str:
    dep = tree.nodes[child].dep
    if dep in {"ccomp", "xcomp"}:
        return "ARG2" if tree.child(at, "dobj", "nsubjpass") is not None else "ARG1"
    if dep == "attr" and tree.nodes[at].lemma not in _COPULAS:
        return "ARG1"
    return _CORE.get(dep, "")


def _adjunct_role(tree: Tree, at: int, child: int) -> str:
    node = tree.nodes[child]
    if node.dep == "prep":
        return _prepositional(tree, at, child)
    kind = ""
    if node.dep == "neg":
        kind = "NEG"
    elif node.dep == "aux" and node.tag == "MD":
        kind = "MOD"
    elif node.dep == "advmod":
        kind = _adverb(node)
    elif node.dep == "npadvmod":
        kind = "TMP" if _is_time(node) else "ADV"
    elif node.dep == "advcl":
        kind = _clause(tree, child)
    return kind and f"ARGM-{kind}"


def _adverb(node: Node) -> str:
    word = node.text.lower()
    return _ADVERBS.get(word) or ("MNR" if word.endswith("ly") else "ADV")


def _is_time(node: Node) -> bool:
    return node.entity in _TIME_ENTITIES or node.lemma.lower() in _TIME_NOUNS


def _prepositional(tree: Tree, at: int, child: int) -> str:
    """By the entity inside first, then by the preposition."""
    word = tree.nodes[child].text.lower()
    inner = tree.child(child, "pobj", "pcomp")
    governed = tree.nodes[inner] if inner is not None else None
    if word in _TIME_PREPOSITIONS or (governed and _is_time(governed)):
        return "ARGM-TMP"
    if word in _PLACE_PREPOSITIONS and (word != "on" or (governed and governed.entity in _PLACE_ENTITIES)):
        return "ARGM-LOC"
    kinds = {"because": "CAU", "for": "PRP", "with": "MNR", "without": "MNR", "by": "MNR", "like": "MNR", "despite": "ADV"}
    if word in _DIRECTION_PREPOSITIONS:
        return "ARGM-DIR"
    if word in kinds:
        return f"ARGM-{kinds[word]}"
    return "ARG2" if tree.child(at, "dobj", "nsubjpass") is not None or word in {"to", "as"} else "ARG1"


def _clause(tree: Tree, child: int) -> str:
    mark = next((tree.nodes[n].text.lower() for n in tree.children[child] if tree.nodes[n].dep in {"mark", "advmod"}), "")
    if mark in _CLAUSE_MARKS:
        return _CLAUSE_MARKS[mark]
    is_purpose = any(tree.nodes[n].dep == "aux" and tree.nodes[n].tag == "TO" for n in tree.children[child])
    return "PRP" if is_purpose else "ADV"
