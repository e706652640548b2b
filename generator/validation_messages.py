"""What the patterns of the schemas ask for, in words."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic_core import ErrorDetails

# Any other is shown as it is.
PATTERNS: Mapping[str, str] = {
    r"^[a-z0-9]+([-_.][a-z0-9]+)*$": "a-z, 0-9, and - _ . between them",
    r"^(\d{4}-\d{4}-\d{4}-\d{3}[\dX])?$": "an ORCID",
    r"^(https?://.+)?$": "an address that starts with https://",
    r"^https?://\S+$": "an address that starts with https://",
    r"^(10\.\d{4,9}/\S+)?$": "a DOI that starts with 10.",
}


def reason(detail: ErrorDetails) -> str:
    """What pydantic found wrong, for a person who reads no regular expressions."""
    pattern = detail.get("ctx", {}).get("pattern", "")
    if detail["type"] == "string_pattern_mismatch" and pattern in PATTERNS:
        return f"{detail['input']!r} will not do; write {PATTERNS[pattern]}"
    return detail["msg"]
