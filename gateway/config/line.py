"""One line on its way from a file to a ``LineConfig``: checked as a whole, then built."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.call.policy import BargeIn, Clip, OnFailure, Target
from gateway.config.clips import read_clip
from gateway.config.directory import Setting
from gateway.config.effective import settings_of
from gateway.config.environment import check_environment, fill_model, names_in
from gateway.config.explain import check
from gateway.config.folder import Folder
from gateway.config.model_options import ModelConfig
from gateway.config.names import LineNames, check_names
from gateway.config.python_names import UserPython
from gateway.config.schema import AgentConfig, AgentFile, LineConfig, LineFile
from gateway.config.texts import Texts, variables_of
from gateway.config.tree import Fields, Leaf, Place, plain
from gateway.config.twiml_file import read_twiml
from gateway.errors import Fault


class Line:
    """One line's file, laid over the defaults.

    Args:
        line: its id.
        folder: the snapshot that it belongs to.
        written: its own file.
        tree: the same, laid over the defaults, without what is not supported yet.
        shared: the agents of ``agents/``.
        python: the user's Python.
    """

    def __init__(
        self, line: str, folder: Folder, written: Fields, tree: Fields, shared: Mapping[str, Fields], python: UserPython
    ) -> None:
        self.id = line
        self.written = written
        self.names = LineNames(line, tree, shared, python)
        self._tree = tree
        self._folder = folder
        self._shared = shared
        self._file: LineFile | None = None
        self._agents: dict[str, AgentConfig] = {}
        self._texts = Texts(folder, variables_of(line, tree, {"label": line, "language": "en-US", "timezone": "UTC"}))
        self._spoken: dict[tuple[str, ...], str] = {}
        self._unfilled: dict[tuple[str, ...], str] = {}
        self._markup = ""
        self._clip: Clip | None = None

    def check(self, environment: Mapping[str, str] | None, *, names: bool = True) -> list[Fault]:
        """Return everything that is wrong; ``names`` is whether names can be looked up at all."""
        self._file, faults = check(LineFile, self._tree)
        faults += check_environment(self._tree, environment)
        if names:
            faults += check_names(self.names)
            self._read_texts()
            faults += self._texts.faults
        return faults

    def _read_texts(self) -> None:
        for name, agent in self.names.reached().items():
            if leaf := agent.text("instructions"):
                self._spoken[("agents", name)] = self._texts.instructions(leaf)
                self._unfilled[("agents", name)] = self._texts.unfilled(leaf)
        for path in (("greeting",), ("greeting", "text"), ("on_failure", "say")):
            if leaf := self._tree.text(*path):
                self._spoken[path] = self._texts.fill(leaf)
                self._unfilled[path] = str(leaf.value)
        for entry in self._tree.fields("transfer").values():
            if isinstance(entry.tree, Fields):
                for attribute in entry.tree.fields("attributes").values():
                    if isinstance(attribute.tree, Leaf):
                        self._texts.fill(attribute.tree)
        self._read_markup()
        if leaf := self._tree.text("greeting", "clip"):
            clip = self._texts.file(leaf, self._texts.fill(leaf))
            try:
                text = self._spoken.get(("greeting", "text"), "")
                self._clip = read_clip(self._folder.files[clip], text) if clip else None
            except ValueError as error:
                remedy = "ffmpeg -i in.wav -ar 8000 -ac 1 -c:a pcm_mulaw out.wav makes one"
                self._texts.faults.append(
                    leaf.place.fault(f"{clip} can't be played: {str(error).partition(';')[0]}", remedy)
                )

    def _read_markup(self) -> None:
        leaf = self._tree.text("twiml")
        name = self._texts.file(leaf, str(leaf.value)) if leaf else None
        if name is None:
            return
        text, fault = self._folder.text(name)
        here = Place(self._folder.shown(name), 1, 1)
        self._markup, faults = ("", [fault]) if fault else read_twiml(text, here)
        self._texts.faults += faults
        if not faults:
            self._texts.fill(Leaf(self._markup, here, text))

    def build(self, environment: Mapping[str, str] | None) -> LineConfig:
        """Return the line; only after :meth:`check` found nothing."""
        file = self._file
        assert file is not None  # noqa: S101 - check() found nothing
        entry = self.names.entry
        assert entry is not None  # noqa: S101 - check() found nothing
        return LineConfig(
            id=self.id,
            agent=entry,
            agents=MappingProxyType({name: self._agent(name, tree) for name, tree in self.names.reached().items()}),
            folder=self._folder.path,
            numbers=file.numbers or ((file.number,) if file.number else ()),
            default=file.default,
            label=file.label or self.id,
            timezone=file.timezone,
            language=file.language,
            vars=MappingProxyType(dict(self._texts.variables)),
            declared=frozenset(file.vars),
            greeting=self._spoken.get(("greeting",)) or self._spoken.get(("greeting", "text"), ""),
            greeting_clip=self._clip,
            model=fill_model(self._model(file), environment),
            guardrails=file.guardrails,
            guardrail_debounce=file.guardrail_debounce,
            transfer=MappingProxyType(
                {
                    name: Target(
                        name,
                        target.to or "",
                        int(target.timeout),
                        target.caller_id or "",
                        workflow=target.workflow or "",
                        attributes=MappingProxyType(target.attributes),
                        priority=target.priority,
                        refer=target.mode == "refer",
                    )
                    for name, target in file.transfer.items()
                }
            ),
            notes=MappingProxyType(file.notes),
            return_to=file.return_to,
            return_hosts=file.return_hosts,
            markup=self._markup,
            spoken=MappingProxyType(
                {
                    name: self._unfilled[path]
                    for name, path in (
                        ("greeting", ("greeting",)),
                        ("greeting", ("greeting", "text")),
                        ("say", ("on_failure", "say")),
                    )
                    if path in self._unfilled
                }
            ),
            on_failure=OnFailure(
                say=self._spoken.get(("on_failure", "say"), file.on_failure.say),
                then="" if file.on_failure.then == "hang_up" else file.on_failure.then.removeprefix("transfer:"),
            ),
            limits=file.limits,
            barge_in=BargeIn(file.barge_in.allowed, file.barge_in.min_speech, file.barge_in.protect_greeting),
            approvals=file.approvals,
            recording=file.recording,
            end_by=file.end_by,
        )

    def settings(self) -> tuple[Setting, ...]:
        """Return what is in effect; only after :meth:`check` found nothing."""
        assert self._file is not None  # noqa: S101 - check() found nothing
        own = self.names.own
        used = {name: tree for name, tree in self.names.reached().items() if name not in own}
        shared = {name: (AgentFile.model_validate(plain(tree)), tree) for name, tree in used.items()}
        return settings_of(self._file, self._tree, shared)

    def environment_names(self) -> frozenset[str]:
        """Return the variables of the environment that the line needs."""
        return frozenset(names_in(self._tree))

    def _agent(self, name: str, tree: Fields) -> AgentConfig:
        file = AgentFile.model_validate(plain(tree))
        return AgentConfig(
            name=name,
            instructions=self._spoken.get(("agents", name), ""),
            handoff_description=file.handoff_description,
            handoffs=file.handoffs,
            tools=file.tools,
            needs_approval=file.needs_approval,
            guardrails=file.guardrails,
            template=self._unfilled.get(("agents", name), ""),
        )

    def _model(self, file: LineFile) -> ModelConfig:
        """Return the model, told the line's language for the transcription where the line names one."""
        transcription = file.model.transcription
        if "language" not in self._tree.values or transcription == "off":
            return file.model
        if transcription.language or transcription.languages:
            return file.model
        told = transcription.model_copy(update={"language": file.language.partition("-")[0]})
        return file.model.model_copy(update={"transcription": told})
