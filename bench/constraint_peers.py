"""xgrammar and outlines-core, put to the documents of the schema suites: what they take that is invalid. See `constraints.py`.

Neither is one of our packages: `pip install xgrammar==0.2.8 outlines-core==0.2.14` into an environment of your own.
"""

from __future__ import annotations

import importlib
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tokenizers import Tokenizer

from schema_sets import Sample

Judge = Callable[[str], bool]


def table(samples: Sequence[Sample], tokenizer: Tokenizer) -> str:
    """A line for each peer that is installed."""
    lines = ["", "| peer | schemas | refused | invalid documents taken | valid ones refused |", "|---|---|---|---|---|"]
    for name, make in (("xgrammar", _xgrammar), ("outlines_core", _outlines)):
        try:
            library = importlib.import_module(name)
        except ImportError:
            lines.append(f"| {name} | not installed | | | |")
            continue
        lines.append(_line(name, samples, make(library, tokenizer)))
    return "\n".join(lines)


def _line(name: str, samples: Sequence[Sample], make: Callable[[str], Judge]) -> str:
    refused, found = 0, Counter[tuple[bool, bool]]()
    for sample in samples:
        try:
            judge = make(json.dumps(sample.schema))
        except Exception:  # each raises kinds of its own
            refused += 1
            continue
        found.update((valid, judge(json.dumps(data, ensure_ascii=False))) for data, valid in sample.tests)
    invalid, valid = found[False, True] + found[False, False], found[True, True] + found[True, False]
    return f"| {name} | {len(samples)} | {refused} | {found[False, True]} of {invalid} | {found[True, False]} of {valid} |"


def _xgrammar(library: Any, tokenizer: Tokenizer) -> Callable[[str], Judge]:
    words = [tokenizer.id_to_token(token) for token in range(tokenizer.get_vocab_size())]
    info = library.TokenizerInfo(words, library.VocabType.BYTE_LEVEL, stop_token_ids=[1])
    compiler = library.GrammarCompiler(info)

    def make(schema: str) -> Judge:
        compiled = compiler.compile_json_schema(schema, any_whitespace=True, strict_mode=False)

        def judge(text: str) -> bool:
            matcher = library.GrammarMatcher(compiled)
            return bool(matcher.accept_string(text) and matcher.accept_token(1))

        return judge

    return make


def _outlines(library: Any, tokenizer: Tokenizer) -> Callable[[str], Judge]:
    schemas = importlib.import_module(f"{library.__name__}.json_schema")

    def make(schema: str) -> Judge:
        pattern = re.compile(schemas.build_regex_from_schema(schema))
        return lambda text: pattern.fullmatch(text) is not None

    return make
