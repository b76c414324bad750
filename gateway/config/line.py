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
from gateway.config.tree import Fields, plain
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
        for path in (("greeting",), ("greeting", "text"), ("on_failure", "say")):
            if leaf := self._tree.text(*path):
                self._spoken[path] = self._texts.fill(leaf)
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
            greeting=self._spoken.get(("greeting",)) or self._spoken.get(("greeting", "text"), ""),
            greeting_clip=self._clip,
            model=fill_model(self._model(file), environment),
            guardrails=file.guardrails,
            guardrail_debounce=file.guardrail_debounce,
            transfer=MappingProxyType(
                {
                    name: Target(name, target.to, int(target.timeout), target.caller_id or "")
                    for name, target in file.transfer.items()
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
