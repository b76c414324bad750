"""Text to speech: hibari's English voice, with the times of the words as the network laid them out."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from gateway.local.sound import WIRE_RATE, Format, Samples, encode, resample

_RATE = 24000
_SEED = 7
_LEAD_MS = 40
_TAIL_MS = 200
_SILENT = 0.01
"""Below this a sample is silence (-40 dB of full scale); the voice begins a third of a second late otherwise."""
_CACHED = 128
_DURATIONS = b"/CumSum_output_0"
_INT64 = 7
_CLAUSE = re.compile(r"(?<=[,;:])\s+")
_SENTENCE = re.compile(r"(?<=[.!?])[\"'\u201d\u2019)]*\s+(?=[\"'\u201c(]?[A-Z0-9])")
_TITLE = re.compile(r"(?:\b(?:Dr|Mr|Mrs|Ms|St|No|Prof)|\b[A-Z])\.$")
_LONG = 160
_SPELLED = re.compile(r"(?<![\d.,])\d{5,}(?![\d.,]*\d)")
"""A run of this many figures is a number that names something: people say it figure by figure."""
_DROPPED = re.compile(r"[\[\]{}<>|*_`#~^]+")

VOICES = {"alloy": 0.97, "ash": 0.86, "ballad": 0.9, "cedar": 0.84, "coral": 1.06, "echo": 0.88, "verse": 0.92}
"""Pitch of the voice names that aren't the one voice as it is: there is one voice, higher or lower."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word as it is heard: its text with the space before it, and its milliseconds in the sound."""

    text: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Speech:
    """One spoken sentence: its text, its wire bytes, how long it is, and when each word is heard."""

    text: str
    payload: bytes
    duration_ms: float
    words: tuple[SpokenWord, ...]


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is to be said: voice name, speed (1 is normal) and wire format."""

    voice: str = "marin"
    speed: float = 1.0
    wire: Format = "audio/pcmu"


def sentences(text: str) -> list[str]:
    """Cut a text into what is spoken at a time: sentences, and long ones at their commas."""
    pieces: list[str] = []
    for line in text.splitlines():
        start = 0
        for match in _SENTENCE.finditer(line):
            if not _TITLE.search(line[start : match.start()]):
                pieces.append(line[start : match.start()])
                start = match.end()
        pieces.append(line[start:])
    return [part for piece in pieces if piece.strip() for part in _clauses(" ".join(piece.split()))]


def _clauses(sentence: str) -> list[str]:
    if len(sentence) <= _LONG:
        return [sentence]
    parts = [""]
    for clause in _CLAUSE.split(sentence):
        joined = f"{parts[-1]} {clause}".strip()
        if parts[-1] and len(joined) > _LONG:
            parts.append(clause)
        else:
            parts[-1] = joined
    return parts


class Voice:
    """The loaded voice; blocking, safe to call from several threads; what it said lately it says again at once."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime  # noqa: PLC0415 (costs 0.2 s, and only the server process needs it)
        from hibari import Hibari, dsp  # noqa: PLC0415 (as above)
        from hibari.g2p.normalize import normalize  # noqa: PLC0415 (as above)

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            _with_durations(path.read_bytes()), options, providers=["CPUExecutionProvider"]
        )
        self._hibari = Hibari(threads=threads)
        self._hibari.sess = None  # ours says how long each sound is; one copy of the weights is enough
        self._g2p: Any = self._hibari.g2p
        self._dsp: Any = dsp
        self._normalize: Any = normalize
        self._lock = Lock()
        self._said: OrderedDict[tuple[str, Manner], Speech] = OrderedDict()

    def say(self, sentence: str, manner: Manner) -> Speech:
        """Speak one sentence."""
        key = (sentence, manner)
        with self._lock:
            if key in self._said:
                self._said.move_to_end(key)
                return self._said[key]
        speech = self._synthesize(sentence, manner)
        with self._lock:
            self._said[key] = speech
            while len(self._said) > _CACHED:
                self._said.popitem(last=False)
        return speech

    def _synthesize(self, sentence: str, manner: Manner) -> Speech:
        pitch = VOICES.get(manner.voice, 1.0)
        said = _SPELLED.sub(lambda run: " ".join(run.group()), _DROPPED.sub(" ", sentence))
        sounds, lengths = self._sounds(said)
        if not sounds:
            return Speech(sentence, b"", 0.0, tuple(_untimed(sentence)))
        feed = {
            "ids": np.asarray([[0, *sounds, 0]], dtype=np.int64),
            "speed": np.asarray([manner.speed / pitch], dtype=np.float32),
        }
        *spectrum, ends = self._session.run(None, feed)
        wave: Samples = self._dsp.synth(*(part[0] for part in spectrum), np.random.default_rng(_SEED))
        # A lower voice is the same sound at a lower rate, said faster before, so that its pace stays.
        wave = resample(wave, _RATE * pitch, WIRE_RATE[manner.wire])
        per_ms = WIRE_RATE[manner.wire] / 1000
        step_ms = len(wave) / per_ms / float(ends[-1])
        wave, cut_ms = _trimmed(wave, per_ms)
        duration_ms = len(wave) / per_ms
        times = [min(max(float(end) * step_ms - cut_ms, 0.0), duration_ms) for end in ends]
        return Speech(sentence, encode(wave, manner.wire), duration_ms, _timed(sentence, lengths, times))

    def _sounds(self, sentence: str) -> tuple[list[int], list[tuple[str, int]]]:
        """Give the ids of the sounds, and for each word of the normalized sentence how many of them are its own."""
        vocabulary: dict[str, int] = self._hibari.vocab
        with self._lock:  # the tagger and the lexicon cache as they go
            tokens = self._g2p.phonemize_tokens(self._g2p.tokenize(self._normalize(sentence)))
        ids: list[int] = []
        words: list[tuple[str, int]] = [("", 0)]
        for token in tokens:
            mine = [vocabulary[sound] for sound in (token.phonemes or "") + (" " if token.whitespace else "")
                    if sound in vocabulary]  # fmt: skip
            ids += mine
            text, count = words[-1]
            words[-1] = (text + token.text, count + len(mine))
            if token.whitespace:
                words.append(("", 0))
        return ids, [word for word in words if word[1]]


def _with_durations(model: bytes) -> bytes:
    """Add the ends of the sounds to the outputs of the network, which computes them but doesn't give them.

    A protobuf message that is appended is merged: graph (7) gets one more output (12), a value (name 1, type 2) that is
    a tensor (1) of int64.
    """
    tensor = _field(2, _field(1, bytes([8, _INT64])))
    return model + _field(7, _field(12, _field(1, _DURATIONS) + tensor))


def _field(number: int, content: bytes) -> bytes:
    size, length = len(content), b""
    while size > 127:  # noqa: PLR2004 (seven bits to a byte)
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def _trimmed(wave: Samples, per_ms: float) -> tuple[Samples, float]:
    """Cut the silence around what is said to a short lead and tail; tells too how many ms of the front are gone."""
    loud = np.flatnonzero(np.abs(wave) > _SILENT)
    if not len(loud):
        return wave, 0.0
    begin = max(int(loud[0] - _LEAD_MS * per_ms), 0)
    end = int(loud[-1] + _TAIL_MS * per_ms)
    silence = np.zeros(max(end - len(wave), 0), dtype=np.float32)
    return np.concatenate([wave[begin:end], silence]), begin / per_ms


def _timed(sentence: str, lengths: list[tuple[str, int]], ends: list[float]) -> tuple[SpokenWord, ...]:
    """Lay the words of the sentence over the times of the sounds; ends[0] is the pause before the first."""
    times: list[tuple[str, float, float]] = []
    at = 0
    for text, count in lengths:
        times.append((text, ends[at], ends[at + count]))
        at += count
    written = sentence.split()
    spans = [(start, end) for _, start, end in times] if len(written) == len(times) else _aligned(written, times)
    return tuple(
        SpokenWord(text if index == 0 else f" {text}", start, end)
        for index, (text, (start, end)) in enumerate(zip(written, spans, strict=True))
    )


def _aligned(written: list[str], times: list[tuple[str, float, float]]) -> list[tuple[float, float]]:
    """Give written words (``7:30``) the times of what is said for them (``seven thirty``)."""
    spans: list[tuple[float, float]] = []
    said = [text for text, _, _ in times]
    for kind, left, right, first, last in SequenceMatcher(None, written, said, autojunk=False).get_opcodes():
        if kind == "equal":
            spans += [(start, end) for _, start, end in times[first:last]]
            continue
        start = times[first][1] if first < len(times) else times[-1][2]
        end = times[last - 1][2] if last > first else start
        count = right - left
        spans += [(start + (end - start) * n / count, start + (end - start) * (n + 1) / count) for n in range(count)]
    return spans


def _untimed(sentence: str) -> list[SpokenWord]:
    return [SpokenWord(word if index == 0 else f" {word}", 0.0, 0.0) for index, word in enumerate(sentence.split())]
