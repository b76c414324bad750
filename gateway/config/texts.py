"""What agents are told and callers hear: prompt files read, ``{{variables}}`` filled in."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.config.explain import nearest
from gateway.config.folder import Folder
from gateway.config.tree import Fields, Leaf, Place
from gateway.config.units import VARIABLE, fill_in
from gateway.errors import Fault

_FILE = "file:"


def variables_of(line: str, tree: Fields, defaults: Mapping[str, str]) -> dict[str, str]:
    """Return every variable of a line: those that are always there, and its own, which win.

    Args:
        line: the line's id.
        tree: the line's file, laid over the defaults.
        defaults: values of ``label``, ``language`` and ``timezone`` where the line has none.
    """
    always = {"line": line, **defaults}
    for key in ("label", "language", "timezone"):
        if leaf := tree.text(key):
            always[key] = str(leaf.value)
    own = {name: entry.tree.value for name, entry in tree.fields("vars").items() if isinstance(entry.tree, Leaf)}
    return always | {name: value for name, value in own.items() if isinstance(value, str)}


@dataclass(slots=True)
class Texts:
    """The texts of one line; collects what is wrong with them."""

    folder: Folder
    variables: Mapping[str, str]
    faults: list[Fault] = field(default_factory=list)

    def fill(self, leaf: Leaf) -> str:
        """Return a text with its variables filled in."""
        text = str(leaf.value)
        for match in VARIABLE.finditer(text):
            if match["name"] not in self.variables:
                message = f"{{{{{match['name']}}}}} is not a variable of this line"
                remedy = f"{nearest(match['name'], self.variables)}; or add it to vars:"
                self.faults.append(leaf.find(match[0]).fault(message, remedy))
        return fill_in(text, self.variables)

    def instructions(self, leaf: Leaf) -> str:
        """Return instructions, from the prompt file that they name or as they stand."""
        text = self.fill(leaf)
        if not text.startswith(_FILE):
            return text.strip()
        prompt = self._prompt(leaf, text.removeprefix(_FILE).strip())
        return self.fill(prompt).strip() if prompt else ""

    def unfilled(self, leaf: Leaf) -> str:
        """Return instructions that :meth:`instructions` found right with their variables still in them."""
        text = str(leaf.value).strip()
        if not text.startswith(_FILE):
            return text
        name = posixpath.normpath(fill_in(text, self.variables).removeprefix(_FILE).strip())
        return self.folder.text(name)[0].strip() if name in self.folder.files else ""

    def file(self, leaf: Leaf, name: str) -> str | None:
        """Return the name of a file in the folder, or None where it is not there or outside."""
        within = posixpath.normpath(name)
        if name.startswith(("/", "~")) or within.startswith(".."):
            self.faults.append(leaf.place.fault(f"{name} is outside the folder", "keep it beside the lines"))
        elif within not in self.folder.files:
            near = [known for known in self.folder.files if posixpath.splitext(known)[1] == posixpath.splitext(name)[1]]
            self.faults.append(leaf.place.fault(f"there is no file {name}", nearest(name, near) or "put it there"))
        else:
            return within
        return None

    def _prompt(self, leaf: Leaf, name: str) -> Leaf | None:
        file = self.file(leaf, name)
        if file is None:
            return None
        text, fault = self.folder.text(file)
        here = Place(self.folder.shown(file), 1, 1)
        if fault or not text.strip():
            self.faults.append(fault or here.fault("the prompt is empty", "write what the agent is told"))
            return None
        return Leaf(text, here, text)
