"""Sentences: questions for parameters, results of tools, and the few things that are always said."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.local.brain.schema import Parameter, Tool
from gateway.local.brain.words import name_words

_LONGEST = 320
_ABOUT_CALLER = re.compile(r"\b(?:the|a) (?:user|caller|customer|client|person)(?:'s|\u2019s)\b", re.IGNORECASE)
_OF_CALLER = re.compile(r"^the (.+?) of (?:the|a) (?:user|caller|customer|client)$", re.IGNORECASE)
_CALLER = re.compile(r"\b(?:the|a) (?:user|caller|customer|client)\b", re.IGNORECASE)
_EXAMPLE = re.compile(r"\s*(?:[,;(]?\s*(?:e\.g\.|for example|such as|like)\b.*|\(.*?\))", re.IGNORECASE)
_TO_AGENT = re.compile(
    r"\b(?:the|your) (?:caller|user|customer)\b|^(?:say|tell|ask|do not|don't|you must|call)\b", re.IGNORECASE
)
_ASK_AGAIN = re.compile(r"\bask (?:the |your )?(?:caller|user|customer|them)\b", re.IGNORECASE)
_REFUSED = re.compile(r"\bnot (?:been )?approved\b|\breject|\bdenied\b|\bdeclin|\brefus", re.IGNORECASE)
_FAILED = re.compile(r"^\W*(?:an )?error\b|\bexception\b|\btraceback\b|\btimed out\b", re.IGNORECASE)
_ARTICLE = re.compile(r"(?:the|a|an|your|this|these)\b", re.IGNORECASE)
_KIND = re.compile(r"\s+(?:agent|tool|function)$")
_FAQ = re.compile(r"\bfaqs?\b", re.IGNORECASE)
_SENTENCES = re.compile(r"(?<=[.!?])\s+")
_QUOTED = re.compile(r"[\"\u201c](.+)[\"\u201d]", re.DOTALL)
_SAY = re.compile(
    r"^\W*(?:please\s+)?(?:say|speak|read|repeat|announce)"
    r"(?:\s+(?:exactly|this|the following|verbatim|only))*\s*:\s*(.+)$",
    re.IGNORECASE | re.DOTALL,
)
_TELL = re.compile(
    r"^\W*(?:please\s+)?tell (?:the )?(?:caller|user|customer|them)\s+(?:that\s+)?(.+)$", re.IGNORECASE | re.DOTALL
)
_CONSENT = re.compile(
    r"waits for .*?consent: (?P<tool>\w+) with (?P<arguments>.*?)\. Say .*?: (?P<keys>press .+)$",
    re.IGNORECASE | re.DOTALL,
)
_QUESTION_WORD = re.compile(r"^(?:who|whom|whose|what|where|when|why|which|how|whether)\b", re.IGNORECASE)

SORRY = "I'm sorry, I can't help with that."
AGAIN = "Sorry, I didn't catch that. Could you say it again?"
ONCE_MORE = "Could you say it again?"
STILL_THERE = "Are you still there?"
WAIT = "One moment, please."
GOODBYE = "Goodbye."
GREETING = "Hello, how can I help you?"
WELCOME = "You're welcome. Is there anything else?"
HELP = "How can I help you?"
ELSE = "Is there anything else?"
NEVER_MIND = "All right. What can I do for you?"
DONE = "That's done."
_WAITS = ("One moment.", "Just a moment.", "Let me see.")


def directed(directive: str) -> str:
    """Give the words that a directive asks for (``Say exactly: "..."``), or nothing where it asks for none."""
    if match := _CONSENT.search(directive):
        return _consent(match["tool"], match["arguments"], match["keys"])
    for pattern in (_QUOTED, _SAY, _TELL):
        if match := pattern.search(directive):
            return " ".join(match.group(1).split())
    return ""


def _consent(tool: str, arguments: str, keys: str) -> str:
    """Say what a tool is about to do, and which keys decide."""
    try:
        details = ", ".join(f"{name_words(name)} {_said(value)}" for name, value in json.loads(arguments).items())
    except (ValueError, AttributeError):
        details = ""
    return f"I am about to {name_words(tool)}{': ' if details else ''}{details}. {keys[0].upper()}{keys[1:]}"


def waiting(request: str) -> str:
    """Say that something is being done; not always the same, but the same for the same request."""
    return _WAITS[sum(map(ord, request)) % len(_WAITS)]


def question_for(parameter: Parameter) -> str:
    """Ask for a parameter in the words of its description."""
    if parameter.enum:
        return f"Which {_noun(parameter)}: {listed([value.replace('_', ' ') for value in parameter.enum], 'or')}?"
    text = _EXAMPLE.sub("", _SENTENCES.split(parameter.description)[0]).strip(" .:?")
    text = _CALLER.sub("you", _ABOUT_CALLER.sub("your", _OF_CALLER.sub(r"your \1", text)))
    if not text:
        return f"What is the {parameter.words}?"
    text = text[0].lower() + text[1:] if not text.split()[0].isupper() else text
    if _QUESTION_WORD.match(text):
        return f"Could you tell me {text}?"
    if not _ARTICLE.match(text):
        text = f"the {text}"
    return f"What is {text}?"


def _noun(parameter: Parameter) -> str:
    return parameter.words or "one"


def offer(tool: Tool) -> str:
    """Ask whether this is what the caller wants."""
    text = _CALLER.sub("you", _ABOUT_CALLER.sub("your", _SENTENCES.split(tool.about)[0])).strip(" .")
    if not text or tool.is_handoff or _ARTICLE.match(text):
        return f"Is this about {_KIND.sub('', tool.label)}?"
    return f"Would you like me to {text[0].lower()}{text[1:]}?"


def abilities(tools: Sequence[Tool]) -> str:
    """Say what can be done here, in the names of the tools."""
    labels = [
        _FAQ.sub("questions", _KIND.sub("", tool.label))
        for tool in tools
        if not (tool.ends_call or tool.is_general or tool.puts_through)
    ]
    return f"I can help with {listed(labels, 'and')}." if labels else ""


def listed(parts: Sequence[str], word: str) -> str:
    """Join as people do: ``a, b or c``."""
    if len(parts) < 2:  # noqa: PLR2004 (one needs no joining)
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def result(output: str) -> str:
    """Turn a tool's output into what a caller can hear; nothing where it speaks to the agent alone."""
    spoken = _prose(output)
    if _REFUSED.search(spoken):
        return f"I'm sorry, that was not approved. {_kept(spoken)}".strip()
    if _FAILED.search(spoken):
        return "I'm sorry, that didn't work."
    return _kept(spoken)


def asks_again(output: str) -> bool:
    """Whether a tool's output tells the agent to ask the caller once more."""
    return bool(_ASK_AGAIN.search(output))


def _kept(spoken: str) -> str:
    kept: list[str] = []
    for sentence in _SENTENCES.split(spoken):
        if _TO_AGENT.search(sentence) or _REFUSED.search(sentence):
            continue
        if kept and len(" ".join(kept)) + len(sentence) > _LONGEST:
            break
        kept.append(sentence)
    return " ".join(kept).strip()


def _prose(output: str) -> str:
    try:
        value = json.loads(output)
    except ValueError:
        return _finished(" ".join(output.split()))
    return _finished(_said(value))


def _finished(text: str) -> str:
    return text if not text or text[-1] in ".!?" else f"{text}."


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        parts = [f"{name_words(str(key))}: {_said(one)}" for key, one in value.items() if one is not None]
        return ". ".join(part[0].upper() + part[1:] for part in parts)
    if isinstance(value, list):
        return listed([_said(one) for one in value], "and") if value else "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return ""
    return " ".join(str(value).split())
