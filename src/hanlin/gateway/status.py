"""The one table from error families to HTTP statuses and gRPC codes. A code may ask for a finer HTTP status in its catalogue."""

from __future__ import annotations

from hanlin import messages
from hanlin.errors import HanlinError

STATUS: dict[str, tuple[int, str]] = {
    "InvalidInput": (422, "INVALID_ARGUMENT"),
    "Unauthenticated": (401, "UNAUTHENTICATED"),
    "PermissionDenied": (403, "PERMISSION_DENIED"),
    "NotFound": (404, "NOT_FOUND"),
    "Conflict": (409, "FAILED_PRECONDITION"),
    "NotReady": (503, "UNAVAILABLE"),
    "QuotaExceeded": (429, "RESOURCE_EXHAUSTED"),
    "Overloaded": (429, "RESOURCE_EXHAUSTED"),
    "DeadlineExceeded": (504, "DEADLINE_EXCEEDED"),
    "Cancelled": (499, "CANCELLED"),
    "DataCorrupt": (500, "DATA_LOSS"),
    "EngineFailed": (500, "INTERNAL"),
    "Internal": (500, "INTERNAL"),
}


def http_status(error: HanlinError) -> int:
    """The HTTP status of `error`."""
    return messages.http_status(error.code) or STATUS[error.family][0]


def grpc_code(error: HanlinError) -> str:
    """The name of the gRPC status code of `error`."""
    return STATUS[error.family][1]


TYPES = {
    "InvalidInput": "invalid_request_error",
    "Unauthenticated": "authentication_error",
    "PermissionDenied": "permission_error",
    "NotFound": "not_found_error",
    "Conflict": "conflict_error",
    "NotReady": "unavailable_error",
    "QuotaExceeded": "insufficient_quota",
    "Overloaded": "rate_limit_error",
    "DeadlineExceeded": "timeout_error",
    "Cancelled": "cancelled_error",
}


def error_type(error: HanlinError) -> str:
    """The family in the words that clients of OpenAI's API look for under `type`."""
    return TYPES.get(error.family, "server_error")
