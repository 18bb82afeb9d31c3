"""Formats of JSON Schema that llguidance does not know, as patterns: each matches texts of the format, and nothing else.

Formats that only say how a value is stored or shown allow everything, as validators have it. Source: JSON Schema 2020-12, validation, 7.3;
OpenAPI's registry of formats; RFC 3986 (uri-reference), 6570 (uri-template), 6901 (json-pointer).
"""

from __future__ import annotations

KNOWN = frozenset({"date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri", "unknown"})
IDLE = frozenset({
    "password", "binary", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float", "double", "decimal", "color",
    "markdown", "html", "textarea", "commonmark", "media-range", "char", "single-quoted", "sf-boolean", "sf-string", "timestamp",
    "phone", "hidden", "file", "path", "directory-path", "file-path",
})  # fmt: skip
_PART = r"[A-Za-z0-9._~-]"
_PATH = rf"{_PART}+(/{_PART}+)*"
_QUERY = rf"(\?{_PART}+(=({_PART}+)?)?(&{_PART}+(=({_PART}+)?)?)*)?"
_WEB = r"https?://[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
NO_LEAP_SECOND = "^[^:]*:[0-9]{2}:[0-5]"  # there is one only at the end of a day by UTC, which llguidance does not ask
PATTERNS = {
    "uri-reference": rf"^({_WEB}(/({_PATH})?)?|/({_PATH})?|{_PART}*(/{_PART}+)*){_QUERY}(#{_PART}*)?$",
    "iri": rf"^{_WEB}(/({_PATH})?)?{_QUERY}(#{_PART}*)?$",
    "uri-template": rf"^{_WEB}(/({_PART}|\{{[A-Za-z0-9_]+\}}|/)*)?(\{{[?&/][A-Za-z0-9_]+(,[A-Za-z0-9_]+)*\}})*$",
    "json-pointer": r"^(/([^/~\x00-\x1f]|~[01])*)*$",
    "relative-json-pointer": r"^(0|[1-9][0-9]{0,8})(#|(/([^/~\x00-\x1f]|~[01])*)*)$",
    "regex": r"^\^?([A-Za-z0-9 _,:;=@%&/-]|\\[dswDSW.]|\.\*?|\[[a-z]-[a-z]\]\+?|\[[0-9]-[0-9]\]\+?)*\$?$",
    "byte": r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
}
PATTERNS["iri-reference"] = PATTERNS["uri-reference"]
SAME = {"idn-email": "email", "idn-hostname": "hostname", "ip-address": "ipv4", "host-name": "hostname", "url": "uri"}
