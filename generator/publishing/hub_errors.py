"""What the Hub answers when it refuses, as a sentence with what to do."""

from __future__ import annotations

from generator.errors import first_line
from generator.publishing.plan import redacted

Told = tuple[str, str]
NO_TOKEN = (
    "Nobody is logged in to the Hub here.",
    "Make a token that may write (Settings, Access Tokens), then run 'hf auth login' or set HF_TOKEN.",
)
_LARGE = ("storage limit", "too large", "quota", "exceed")


def explained(error: Exception, where: str) -> Told | None:
    """What went wrong on the way to `where`; None for what neither the Hub nor the network has done.

    What others say is told without the token.
    """
    from huggingface_hub import get_token

    told = _explained(error, where)
    return told and (redacted(told[0], get_token() or ""), told[1])


def _explained(error: Exception, where: str) -> Told | None:
    from huggingface_hub import constants, errors

    if isinstance(error, errors.HfHubHTTPError):
        return _answered(error, where)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "Offline mode is on, and nothing can be published.", "Unset HF_HUB_OFFLINE."
    if isinstance(error, errors.HFValidationError):
        return f"{where} has a name that the Hub does not allow.", "Name it user/name."
    # The client's transport is httpx or httpx2, by its release.
    transport = type(error).__module__.partition(".")[0] in {"httpx", "httpx2"}
    unanswered = (ConnectionError, TimeoutError, errors.LocalEntryNotFoundError)
    if transport or isinstance(error, unanswered):
        hint = "Check the network, HF_ENDPOINT and the proxy; the same command goes on."
        return f"{constants.ENDPOINT} gives no answer: {first_line(error)}", hint
    if isinstance(error, ValueError):  # a README.md that it does not take, or no JSON
        return f"The Hub does not take it: {' '.join(str(error).split())[:300]}", ""
    return None


def _answered(error: Exception, where: str) -> Told:
    response = getattr(error, "response", None)
    status = response.status_code if response is not None else 0
    message = getattr(error, "server_message", None) or ""
    if status == 401:
        return f"The Hub does not know the token that was sent for {where}.", NO_TOKEN[1]
    if status == 429:
        return "The Hub asks to wait: too many requests.", "The same command goes on later."
    if status == 413 or any(word in message.lower() for word in _LARGE):
        hint = "Show fewer models or draw less of them (make: in exhibit.yml), or publish to another host."
        return f"{where} would hold more than the Hub allows: {_said(message, status)}", hint
    if status == 403:
        hint = "Use a token that may write, of somebody who owns it or is a member of its organisation."
        return f"The Hub does not let this token write to {where}.", hint
    if status == 404:
        hint = "Check the user's or organisation's name, and that the token may see it."
        return f"The Hub does not find {where}.", hint
    if status in {409, 412}:
        return f"{where} was changed meanwhile.", "Publish again."
    if status >= 500:
        return f"The Hub has a fault of its own ({status}).", "The same command goes on later."
    return f"The Hub refuses: {_said(message, status)}", ""


def _said(message: str, status: int) -> str:
    return " ".join(message.split())[:300] or f"status {status}"
