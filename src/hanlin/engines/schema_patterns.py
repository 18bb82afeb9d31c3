"""Patterns of ECMA's dialect in the words of one without look-ahead: what a text may not begin with is said by another pattern beside it.

Source: ECMA-262, 22.2, as JSON Schema recommends it.
"""

from __future__ import annotations

import re

from hanlin.engines.schema_negation import literals_of, none_of

_AHEAD = re.compile(r"\^((?:\(\?![^()]*\))+)(.*)", re.DOTALL)
_BLANK = frozenset({r"\s*$", r"^\s*$", r"\s+$", r"^\s+$", " *$"})
_NO_BLANK = r"[!-~\x{a1}-\x{167f}\x{3001}-\x{d7ff}]"  # a part of what nobody takes for a space
_CODE = re.compile(r"(\\\\)|\\u([0-9A-Fa-f]{4})|\\u\{([0-9A-Fa-f]+)\}")


def plain_patterns(pattern: str) -> list[str]:
    """Patterns that a text matches all of when it matches this one; only it, where it is as plain as it can be."""
    pattern = _CODE.sub(lambda found: found[1] or f"\\x{{{found[2] or found[3]}}}", pattern)
    ahead = _AHEAD.fullmatch(pattern)
    if ahead is None:
        return [pattern]
    found = [f"^{ahead[2]}"]
    for inner in re.findall(r"\(\?!([^()]*)\)", ahead[1]):
        if inner in _BLANK:
            found.append(_NO_BLANK)
            continue
        is_whole = inner.endswith("$")
        texts = literals_of(f"^({inner.removesuffix('$').removesuffix('.*')})")
        if texts is None or (is_whole and (inner.endswith(".*$") or "|" in inner)):  # of `a|b$`, only b is meant whole
            return [pattern]
        found.append(none_of(texts, as_beginnings=not is_whole))
    return found
