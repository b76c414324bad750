"""Whether every name in a line names something: agents, handoffs, tools, guardrails, transfer targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from gateway.call.moving import OWN_NAMES
from gateway.config.explain import nearest
from gateway.config.python_names import UserPython, split_reference
from gateway.config.returns import STUDIO_HOST, may_return
from gateway.config.schema import BUILT_IN_GUARDRAILS, BUILT_IN_TOOLS
from gateway.config.tree import Entry, Fields, Leaf, Place
from gateway.config.units import parse_duration
from gateway.errors import Fault

_SHORT_FORM = ("instructions", "tools", "needs_approval")


@dataclass(frozen=True, slots=True)
class LineNames:
    """A line's file (laid over the defaults) and everything that a name in it can refer to."""

    id: str
    tree: Fields
    shared: Mapping[str, Fields]
    """The agents of ``agents/``, by name."""
    python: UserPython

    @property
    def is_short(self) -> bool:
        """Whether the line has one agent, written at its top level."""
        return self.tree.get("instructions") is not None

    @property
    def own(self) -> Mapping[str, Fields]:
        """The line's own agents, by name."""
        if self.is_short:
            keys = {key: entry for key, entry in self.tree.values.items() if key in _SHORT_FORM}
            return {self.id: Fields(keys, self.tree.place)}
        entries = self.tree.fields("agents").items()
        return {name: entry.tree for name, entry in entries if isinstance(entry.tree, Fields)}

    @property
    def known(self) -> Mapping[str, Fields]:
        """Every agent that this line can name."""
        return {**self.shared, **self.own}

    @property
    def entry(self) -> str | None:
        """Who picks up; None where the line does not say."""
        if self.is_short:
            return self.id
        if leaf := self.tree.text("agent"):
            return str(leaf.value)
        return next(iter(self.own)) if len(self.own) == 1 else None

    @property
    def night(self) -> str | None:
        """The agent who picks up outside the hours, where one does."""
        leaf = self.tree.text("hours", "closed")
        kind, _, name = str(leaf.value).partition(":") if leaf else ("", "", "")
        return name if kind == "agent" else None

    def reached(self) -> dict[str, Fields]:
        """Return the agents that a caller can get to, the one who picks up first."""
        found: dict[str, Fields] = {}
        ahead = [name for name in (self.entry, self.night) if name in self.known]
        while ahead:
            name = str(ahead.pop(0))
            if name in self.known and name not in found:
                found[name] = self.known[name]
                ahead += [str(leaf.value) for leaf in found[name].texts("handoffs")]
        return found


def check_names(line: LineNames) -> Iterator[Fault]:
    """Go through everything in a line that names nothing, or says who picks up in two ways or none."""
    yield from _check_form(line)
    reached = line.reached()
    for name, agent in reached.items():
        yield from check_agent(name, agent, line.known, line.python)
        if not line.tree.fields("transfer"):
            for leaf in agent.texts("tools"):
                if leaf.value == "transfer":
                    remedy = "add transfer: {name: {to: ...}} to the line, or remove the tool"
                    yield leaf.place.fault(f"the line {line.id} has nobody to transfer to", remedy)
        if not line.tree.fields("notes"):
            for leaf in agent.texts("tools"):
                if leaf.value == "note":
                    remedy = "add notes: {name: what belongs there} to the line, or remove the tool"
                    yield leaf.place.fault(f"the line {line.id} has nothing to note", remedy)
    if reached and not line.is_short:
        for name, entry in line.tree.fields("agents").items():
            if name not in reached:
                yield entry.place.fault(f"no agent hands over to {name}", "add it to another's handoffs:, or remove it")
    yield from _check_guardrails(line.tree, line.python)
    yield from _check_hours(line)
    for path in (("on_failure", "then"), ("hours", "closed"), ("hours", "closed", "then")):
        yield from _check_target(line.tree, path)
    yield from _check_model(line.tree, reached)
    yield from _check_way_back(line.tree)


def check_agent(name: str, agent: Fields, known: Mapping[str, Fields], python: UserPython) -> Iterator[Fault]:
    """Go through the names in one agent that name nothing."""
    for leaf in agent.texts("handoffs"):
        if leaf.value == name:
            yield leaf.place.fault(f"{name} hands over to itself", "remove it")
        elif leaf.value not in known:
            others = [other for other in known if other != name]
            yield leaf.place.fault(
                f"there is no agent {leaf.value}", nearest(str(leaf.value), others) or "write it, as agents/<name>.yaml"
            )
    yield from _repeated(agent.texts("handoffs"), str)
    for leaf in agent.texts("tools"):
        if fault := _check_function(leaf, "tool", BUILT_IN_TOOLS, python):
            yield fault
    yield from _repeated(agent.texts("tools"), lambda text: text.rpartition(":")[2])
    tools = [str(leaf.value) for leaf in agent.texts("tools")]
    for leaf in agent.texts("needs_approval"):
        if leaf.value not in tools:
            remedy = nearest(str(leaf.value), tools) or "add it to tools:"
            yield leaf.place.fault(f"{leaf.value} is not among the agent's tools", remedy)
    yield from _check_guardrails(agent, python)


def _check_guardrails(tree: Fields, python: UserPython) -> Iterator[Fault]:
    leaves = tree.texts("guardrails")
    yield from _repeated(leaves, str)
    for leaf in leaves:
        if fault := _check_function(leaf, "guardrail", BUILT_IN_GUARDRAILS, python):
            yield fault


def _check_function(leaf: Leaf, what: str, built_in: tuple[str, ...], python: UserPython) -> Fault | None:
    text = str(leaf.value)
    if text in built_in:
        return None
    if ":" in text:
        return python.check(leaf, f"a {what}")
    remedy = python.whereabouts(text) or nearest(text, built_in)
    return leaf.place.fault(f"there is no {what} {text}", f'{remedy}; your own are "module:function"')


def _repeated(leaves: list[Leaf], name_of: Callable[[str], str]) -> Iterator[Fault]:
    seen: set[str] = set()
    for leaf in leaves:
        name = name_of(str(leaf.value))
        if name in seen:
            yield leaf.place.fault(f"{name} is listed twice", "the model tells them apart by name only; keep one")
        seen.add(name)


def _check_form(line: LineNames) -> Iterator[Fault]:
    values = line.tree.values
    agent = line.tree.text("agent")
    if line.is_short:
        for key in ("agent", "agents"):
            if key in values:
                remedy = "keep instructions: for one agent, or agents: for several"
                yield values[key].place.fault(f"both instructions and {key} are given", remedy)
        return
    for key in ("tools", "needs_approval"):
        if key in values:
            yield values[key].place.fault(f"{key} belongs to an agent", f"write it under agents: <name>: {key}:")
    if agent is None:
        yield from _check_unnamed(line)
    elif split_reference(str(agent.value)):
        if fault := line.python.check(agent, "a RealtimeAgent"):
            yield fault
        if "agents" in values:
            remedy = "its handoffs are written in Python; remove agents:"
            yield values["agents"].place.fault(f"agents has no effect with agent: {agent.value}", remedy)
    elif agent.value not in line.known:
        remedy = nearest(str(agent.value), line.known) or "write it under agents:, or as agents/<name>.yaml"
        yield agent.place.fault(f"there is no agent {agent.value}", remedy)


def _check_unnamed(line: LineNames) -> Iterator[Fault]:
    values: Mapping[str, Entry] = line.tree.values
    if "agent" in values:
        return  # It is something else than a text, which was said.
    if "agents" not in values:
        yield _first(line.tree).fault("nobody picks up", "write instructions:, or agent: and agents:")
    elif len(line.own) != 1:
        names = ", ".join(line.own) or "a name"
        yield values["agents"].place.fault("agent is missing: who picks up?", f"write agent: and one of {names}")


def _first(tree: Fields) -> Place:
    return Place(tree.place.file, 1, 1)


def _check_hours(line: LineNames) -> Iterator[Fault]:
    leaf = line.tree.text("hours", "closed")
    if leaf is None or line.night is None or line.night in line.known:
        return
    remedy = nearest(line.night, line.known) or "write it under agents:, or as agents/<name>.yaml"
    yield leaf.place.fault(f"there is no agent {line.night}", remedy)


def _check_target(tree: Fields, path: tuple[str, ...]) -> Iterator[Fault]:
    leaf = tree.text(*path)
    target = str(leaf.value).removeprefix("transfer:") if leaf else ""
    if leaf and str(leaf.value).startswith("transfer:") and target not in tree.fields("transfer"):
        remedy = nearest(target, tree.fields("transfer")) or "add it to transfer:"
        yield leaf.place.fault(f"there is no transfer target {target}", remedy)


def _check_way_back(tree: Fields) -> Iterator[Fault]:
    leaf = tree.text("return_to")
    hosts = [str(host.value) for host in tree.texts("return_hosts")]
    if leaf and leaf.value and not may_return(str(leaf.value), hosts):
        remedy = f"write an https address of {STUDIO_HOST}, or of a host in return_hosts"
        yield leaf.place.fault(f"calls may not be given back to {leaf.value}", remedy)
    for name, entry in tree.fields("notes").items():
        if name in OWN_NAMES:
            yield entry.place.fault(f"{name} is what the gateway itself adds", "choose another name")


def _check_model(tree: Fields, reached: Mapping[str, Fields]) -> Iterator[Fault]:
    choice = tree.text("model", "tool_choice")
    tools = {str(leaf.value).rpartition(":")[2] for agent in reached.values() for leaf in agent.texts("tools")}
    if choice and reached and choice.value not in {"auto", "none", "required", *tools}:
        remedy = nearest(str(choice.value), {"auto", "none", "required", *tools})
        yield choice.place.fault(f"tool_choice: no agent of the line has a tool {choice.value}", remedy)
    turns, speech = tree.text("model", "turn_detection"), tree.text("barge_in", "min_speech")
    if turns and turns.value == "off" and speech and _is_positive(speech):
        remedy = "remove min_speech, or turn_detection: off"
        yield speech.place.fault("min_speech needs turn detection, which is off", remedy)


def _is_positive(leaf: Leaf) -> bool:
    try:
        return bool(parse_duration(leaf.value))
    except ValueError:
        return False
