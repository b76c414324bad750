"""What agents are told and callers hear: prompt files read, ``{{variables}}`` filled in."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.call.policy import Clip
from gateway.config.clips import SOUND_PATH, read_clip, sound_name
from gateway.config.explain import nearest
from gateway.config.folder import Folder
from gateway.config.tree import Fields, Leaf, Place, Tree
from gateway.config.units import VARIABLE, fill_in
from gateway.errors import Fault

_FILE = "file:"


def _closest(language: str, known: Mapping[str, object]) -> str | None:
    """Return the tag of a language, or of its nearest relative: de-CH, else any other kind of de."""
    family = language.partition("-")[0]
    return language if language in known else next((tag for tag in known if tag.partition("-")[0] == family), None)


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


@dataclass(frozen=True, slots=True)
class Words:
    """What callers hear, in the language of their line: a text, and perhaps its recording."""

    text: str = ""
    template: str = ""
    """The text with its variables still in it."""
    clip: Clip | None = None
    sound: str = ""
    """Where the carrier finds the recording, as a path of ours; empty where there is none."""


@dataclass(slots=True)
class Texts:
    """The texts of one line; collects what is wrong with them, and the recordings that the carrier may ask for."""

    folder: Folder
    variables: Mapping[str, str]
    language: str = "en-US"
    faults: list[Fault] = field(default_factory=list)
    sounds: dict[str, bytes] = field(default_factory=dict)
    """WAV files by the names of :func:`gateway.config.clips.sound_name`."""

    def words(self, tree: Tree | None) -> Words:
        """Return what is spoken in the line's language; ``tree`` is a text, a clip, or either for each language."""
        if isinstance(tree, Leaf) and isinstance(tree.value, str):
            return Words(self.fill(tree), tree.value)
        if not isinstance(tree, Fields) or not tree.values:
            return Words()  # Something else, which the schema refuses.
        if {"clip", "text"} & {*tree.values}:
            return self._recorded(tree)
        spoken = {tag: self.words(entry.tree) for tag, entry in tree.values.items()}
        tag = _closest(self.language, spoken)
        if tag is None:
            remedy = f"add {self.language}: to it; there is {', '.join(spoken)}"
            self.faults.append(tree.place.fault(f"there is no text for the language {self.language}", remedy))
            return Words()
        return spoken[tag]

    def _recorded(self, tree: Fields) -> Words:
        said, leaf = tree.text("text"), tree.text("clip")
        text, template = (self.fill(said), str(said.value)) if said else ("", "")
        name = self.file(leaf, self.fill(leaf)) if leaf else None
        if leaf is None or name is None:
            return Words(text, template)
        content = self.folder.files[name]
        try:
            clip = read_clip(content, text)
        except ValueError as error:
            remedy = "ffmpeg -i in.wav -ar 8000 -ac 1 -c:a pcm_mulaw out.wav makes one"
            self.faults.append(leaf.place.fault(f"{name} can't be played: {str(error).partition(';')[0]}", remedy))
            return Words(text, template)
        self.sounds[sound_name(content)] = content
        return Words(text, template, clip, SOUND_PATH + sound_name(content))

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
