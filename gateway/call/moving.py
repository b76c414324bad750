"""How a call moves on: to a person whom the line names, or back to whoever sent it here. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from gateway.call.plan import Dial, Enqueue, HangUp, Plan, Refer, Return, Verb
from gateway.call.policy import Policy, Target
from gateway.call.reason import EndReason

MAX_ATTRIBUTES: Final = 1024
"""Characters of JSON that a workflow's task takes."""
MAX_RETURN_URL: Final = 4000
"""Characters of a URL that webhooks still take; what does not fit is left out."""
OWN_NAMES: Final = frozenset({"result", "reason"})
"""What we add to a URL ourselves; no variable may be called so."""


def to_target(target: Target, noted: Mapping[str, str]) -> Verb:
    """Return what takes the caller to a target; ``noted`` is what the agent wrote down for whoever comes next."""
    if target.workflow:
        return Enqueue(target.workflow, task_attributes(target.attributes, noted), target.priority)
    if target.refer:
        return Refer(target.to)
    return Dial(target.to, target.timeout_s, target.caller_id)


def apology(policy: Policy) -> Plan:
    """Return a line's on_failure as a plan that the carrier follows without asking us again."""
    say = policy.on_failure.words(policy.language)
    target = policy.transfers.get(policy.on_failure.then)
    if target is None:
        return (say, HangUp())
    verb = to_target(replace(target, refer=False), {})
    return (say, replace(verb, ask_after=False) if isinstance(verb, Dial) else verb)


def task_attributes(fixed: Mapping[str, str], noted: Mapping[str, str]) -> str:
    """Return a task's attributes as JSON, as long as the carrier takes.

    Notes that don't fit in are left out, the latest first; then the longest of the others is cut: a variable in it was
    longer than whoever wrote the line thought, and a task that says less is better than a caller in no queue.
    """
    kept, left = dict(fixed), dict(noted)
    while True:
        text = as_json({**left, **kept})
        excess = len(text) - MAX_ATTRIBUTES
        longest = max(kept, key=lambda name: len(kept[name]), default="")
        if excess <= 0 or not (left or kept.get(longest)):
            return text
        if left:
            left.popitem()
        else:
            kept[longest] = kept[longest][: -min(excess, len(kept[longest]))]


def as_json(attributes: Mapping[str, str]) -> str:
    """Return attributes as a task has them, however long that is."""
    return json.dumps(attributes, ensure_ascii=False, separators=(",", ":"))


def back_to(url: str, reason: EndReason, noted: Mapping[str, str]) -> Return:
    """Return the call to ``url``, whose own query is kept, with how it went and what the agent wrote down."""
    parts = urlsplit(url)
    query = parts.query
    for name, value in {"result": reason.result, "reason": reason.reason, **noted}.items():
        added = f"{quote(name, safe='')}={quote(value, safe='')}"
        if len(url) + len(query) + len(added) < MAX_RETURN_URL:
            query += f"&{added}" if query else added
    return Return(urlunsplit(parts._replace(query=query)))


def ring_time(plan: Plan) -> float:
    """Return the longest time in seconds that somebody may be rung by a plan."""
    return max((verb.timeout_s for verb in plan if isinstance(verb, Dial)), default=0)
