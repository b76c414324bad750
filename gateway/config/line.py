"""One line on its way from a file to a ``LineConfig``: checked as a whole, then built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from gateway.call.outcome import AgentAnswers, Outcome, Refused, TargetRings, WordsHeard
from gateway.call.policy import BargeIn, OnFailure, Target
from gateway.config.directory import Setting
from gateway.config.effective import settings_of
from gateway.config.environment import check_environment, fill_model, names_in
from gateway.config.explain import check
from gateway.config.folder import Folder
from gateway.config.model_options import ModelConfig
from gateway.config.names import LineNames, check_names
from gateway.config.not_yet import refuse_in_line
from gateway.config.opening import ClosedRejectConfig, HoursConfig, hours_of
from gateway.config.python_names import UserPython
from gateway.config.resolved import AgentConfig, ClosedLine, LineConfig, Recording
from gateway.config.schema import (
    NOT_NEEDED,
    AgentFile,
    LineFile,
    OnFailureConfig,
    RecordingConfig,
    TransferConfig,
)
from gateway.config.texts import Texts, Words, variables_of
from gateway.config.tree import Fields, Leaf, Place, merge, plain
from gateway.config.twiml_file import read_twiml
from gateway.errors import Fault

_SPOKEN = (("greeting",), ("on_failure", "say"), ("hours", "closed", "say"), ("recording", "consent"))
"""Where texts stand that callers hear."""


class Line:
    """One line's file, laid over the defaults.

    Args:
        line: its id.
        folder: the snapshot that it belongs to.
        written: its own file.
        tree: the same, laid over the defaults, without what is not supported yet.
        shared: the agents of ``agents/``.
        python: the user's Python.
        row: the number whose row of the table is laid over it, if one is.
        laid: ``tree`` with what is not supported yet; what a row is laid over.
    """

    def __init__(
        self,
        line: str,
        folder: Folder,
        written: Fields,
        tree: Fields,
        shared: Mapping[str, Fields],
        python: UserPython,
        row: str = "",
        laid: Fields | None = None,
    ) -> None:
        self.id = line
        self.laid = laid or tree
        self.row = row
        self.written = written
        self.names = LineNames(line, tree, shared, python)
        self._tree = tree
        self._folder = folder
        self._shared = shared
        self._file: LineFile | None = None
        self._agents: dict[str, AgentConfig] = {}
        always = {"label": line, "language": LineFile.model_fields["language"].default, "timezone": "UTC"}
        language = tree.text("language")
        self._texts = Texts(
            folder,
            variables_of(line, tree, always),
            str(language.value) if language else always["language"],
        )
        self._instructions: dict[str, tuple[str, str]] = {}
        self._words: dict[tuple[str, ...], Words] = {}
        self._markup = ""

    def check(self, environment: Mapping[str, str] | None, *, names: bool = True) -> list[Fault]:
        """Return everything that is wrong; ``names`` is whether names can be looked up at all."""
        self._file, faults = check(LineFile, self._tree)
        faults += check_environment(self._tree, environment)
        if names:
            faults += check_names(self.names)
            self._read_texts()
            faults += self._texts.faults
        return faults

    def over(self, row: str, overrides: Fields) -> tuple[Line, list[Fault]]:
        """Return the line with a row of the table laid over it, and a fault for each key that is not supported yet."""
        laid = merge(self.laid, overrides)
        tree, faults = refuse_in_line(laid)
        names = self.names
        return Line(self.id, self._folder, self.written, tree, names.shared, names.python, row, laid), faults

    def _read_texts(self) -> None:
        for name, agent in self.names.reached().items():
            if leaf := agent.text("instructions"):
                self._instructions[name] = self._texts.instructions(leaf), self._texts.unfilled(leaf)
        for path in _SPOKEN:
            if tree := self._tree.get(*path):
                self._words[path] = self._texts.words(tree)
        for entry in self._tree.fields("transfer").values():
            if isinstance(entry.tree, Fields):
                for attribute in entry.tree.fields("attributes").values():
                    if isinstance(attribute.tree, Leaf):
                        self._texts.fill(attribute.tree)
        self._read_markup()

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
        greeting = self._words.get(("greeting",), Words())
        line = LineConfig(
            id=self.id,
            row=self.row,
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
            greeting=greeting.text,
            greeting_clip=greeting.clip,
            model=fill_model(self._model(file), environment),
            guardrails=file.guardrails,
            guardrail_debounce=file.guardrail_debounce,
            transfer=MappingProxyType({name: _as_target(name, target) for name, target in file.transfer.items()}),
            notes=MappingProxyType(file.notes),
            return_to=file.return_to,
            return_hosts=file.return_hosts,
            markup=self._markup,
            spoken=MappingProxyType(
                {
                    name: self._words[path].template
                    for name, path in (("greeting", ("greeting",)), ("say", ("on_failure", "say")))
                    if path in self._words
                }
            ),
            on_failure=self._on_failure(file.on_failure),
            limits=file.limits,
            barge_in=BargeIn(file.barge_in.allowed, file.barge_in.min_speech, file.barge_in.protect_greeting),
            approvals=file.approvals,
            recording=self._recording(file.recording),
            keep_transcript=file.transcript.keep,
            outcome=file.outcome.wanted if file.outcome is not None else None,
            deliver=tuple(to.resolved(environment) for to in file.deliver),
            end_by=file.end_by,
        )
        return replace(line, closed=self._closed(file.hours, line)) if file.hours else line

    def sounds(self) -> Mapping[str, bytes]:
        """Return the recordings that the carrier may ask for, by name."""
        return self._texts.sounds

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

    def _on_failure(self, file: OnFailureConfig) -> OnFailure:
        words = self._words.get(("on_failure", "say"), Words(OnFailure().say))
        return OnFailure(words.text, _target(file.then), words.sound)

    def _recording(self, file: RecordingConfig) -> Recording:
        words = self._words.get(("recording", "consent"), Words())
        consent = NOT_NEEDED if file.consent == NOT_NEEDED else words.text
        return Recording(file.mode, consent, file.notice or words.sound, file.reason, file.keep)

    def _closed(self, file: HoursConfig, line: LineConfig) -> ClosedLine:
        outcome = self._outcome(file)
        return ClosedLine(
            hours=hours_of(file, line.timezone),
            outcome=outcome,
            line=replace(line, agent=outcome.agent, after_hours=True) if isinstance(outcome, AgentAnswers) else None,
        )

    def _outcome(self, file: HoursConfig) -> Outcome:
        if isinstance(file.closed, str):
            kind, _, name = file.closed.partition(":")
            return AgentAnswers(name) if kind == "agent" else TargetRings(name)
        if isinstance(file.closed, ClosedRejectConfig):
            return Refused(file.closed.reject)
        words = self._words[("hours", "closed", "say")]
        return WordsHeard(words.text, words.sound, _target(file.closed.then))

    def _agent(self, name: str, tree: Fields) -> AgentConfig:
        file = AgentFile.model_validate(plain(tree))
        return AgentConfig(
            name=name,
            instructions=self._instructions.get(name, ("", ""))[0],
            handoff_description=file.handoff_description,
            handoffs=file.handoffs,
            tools=file.tools,
            needs_approval=file.needs_approval,
            guardrails=file.guardrails,
            template=self._instructions.get(name, ("", ""))[1],
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


def _target(then: str) -> str:
    """Return the name in ``transfer:<name>``, or nothing for ``hang_up``."""
    return "" if then == "hang_up" else then.removeprefix("transfer:")


def _as_target(name: str, file: TransferConfig) -> Target:
    return Target(
        name,
        file.to or "",
        int(file.timeout),
        file.caller_id or "",
        workflow=file.workflow or "",
        attributes=MappingProxyType(file.attributes),
        priority=file.priority,
        refer=file.mode == "refer",
    )
