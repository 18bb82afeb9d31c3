"""The SDK: `Hanlin` and `AsyncHanlin`. Imports httpx and pydantic only, so that a script starts at once.

from hanlin.client import Hanlin

with Hanlin() as hanlin:
    print(hanlin.classify("mood", "What a lovely place").label)
"""

from __future__ import annotations

from hanlin.client.asynchronous import AsyncHanlin
from hanlin.client.mapping import MapOptions
from hanlin.client.questions import Ask, Classify, Embed, Predict, Question, TagTokens
from hanlin.client.sse import Message
from hanlin.client.sync import Hanlin
from hanlin.client.value import Warned
from hanlin.client.values import (
    Answer,
    Certificate,
    Dataset,
    DatasetCheck,
    DatasetVersion,
    Deployment,
    Endpoint,
    Job,
    JobEvent,
    Key,
    Model,
    ModelVersion,
    Rollback,
    Task,
    UploadedFile,
    Variant,
)
from hanlin.client.values_answers import Entity, Prediction, Ranked, Scored
from hanlin.client.values_chat import ChatAnswer, ChatPiece, ToolCall
from hanlin.client.values_language import Argument, Filled, FoundAnswer, Frame, Meaning, SlotSpan, SqlQuery, Written

__all__ = [
    "Answer",
    "Argument",
    "Ask",
    "AsyncHanlin",
    "Certificate",
    "ChatAnswer",
    "ChatPiece",
    "Classify",
    "Dataset",
    "DatasetCheck",
    "DatasetVersion",
    "Deployment",
    "Embed",
    "Endpoint",
    "Entity",
    "Filled",
    "FoundAnswer",
    "Frame",
    "Hanlin",
    "Job",
    "JobEvent",
    "Key",
    "MapOptions",
    "Meaning",
    "Message",
    "Model",
    "ModelVersion",
    "Predict",
    "Prediction",
    "Question",
    "Ranked",
    "Rollback",
    "Scored",
    "SlotSpan",
    "SqlQuery",
    "TagTokens",
    "Task",
    "ToolCall",
    "UploadedFile",
    "Variant",
    "Warned",
    "Written",
]
