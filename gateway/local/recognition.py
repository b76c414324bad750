"""Speech to text: Moonshine's tiny English network on plain onnxruntime.

The weights come out of the moonshine-voice wheel; its own library is never imported (it splits utterances, and that
costs accuracy).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.local.sound import RATE, Samples, resample

_RATE = 16000
_TOKENS_PER_SECOND = 6.5
_BEGIN, _END = 1, 2
_LAYERS, _HEADS, _HEAD_SIZE = 6, 8, 36
_LONGEST_S = 14.0
_SEARCH_S = 4.0
_FRAME = 160
_SHORTEST_S = 0.1
_LOOP = 4
"""A token run that repeats this often is the network going round in circles."""


class Recognizer:
    """Turns one utterance into English text; blocking, safe to call from several threads."""

    def __init__(self, encoder: Path, decoder: Path, tokenizer: Path, threads: int) -> None:
        import onnxruntime  # noqa: PLC0415 (costs 0.2 s, and only the server process needs it)

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        self._encoder: Any = onnxruntime.InferenceSession(str(encoder), options, providers=providers)
        self._decoder: Any = onnxruntime.InferenceSession(str(decoder), options, providers=providers)
        self._outputs = [output.name for output in self._decoder.get_outputs()]
        self._tokens = _read_tokens(tokenizer.read_bytes())

    def recognize(self, samples: Samples) -> str:
        """Recognize samples at 8 kHz; long ones are cut at their quietest moments."""
        texts = [self._piece(piece) for piece in _cut(samples)]
        return " ".join(text for text in texts if text)

    def _piece(self, samples: Samples) -> str:
        if len(samples) < _SHORTEST_S * RATE:
            return ""
        wave = resample(samples, RATE, _RATE)[None, :]
        # The decoder wants the mask over samples, as the encoder does, not over the encoder's frames.
        mask = np.ones(wave.shape, dtype=np.int64)
        hidden = self._encoder.run(None, {"input_values": wave, "attention_mask": mask})[0]
        limit = max(4, int(wave.shape[1] / _RATE * _TOKENS_PER_SECOND))
        return self._text(self._decode(hidden, mask, limit))

    def _decode(self, hidden: Samples, mask: npt.NDArray[np.int64], limit: int) -> list[int]:
        empty = np.zeros((1, _HEADS, 0, _HEAD_SIZE), dtype=np.float32)
        past = {
            f"past_key_values.{layer}.{side}.{kind}": empty
            for layer in range(_LAYERS)
            for side in ("decoder", "encoder")
            for kind in ("key", "value")
        }
        token, tokens = _BEGIN, list[int]()
        while len(tokens) < limit:
            feed = {
                "input_ids": np.array([[token]], dtype=np.int64),
                "encoder_hidden_states": hidden,
                "encoder_attention_mask": mask,
                "use_cache_branch": np.array([bool(tokens)]),
                **past,
            }
            outputs = dict(zip(self._outputs, self._decoder.run(None, feed), strict=True))
            token = int(np.argmax(outputs["logits"][0, -1]))
            if token == _END:
                break
            for name in past:
                # With a cache the encoder's keys come back empty: the first ones stay good.
                if not tokens or ".decoder." in name:
                    past[name] = outputs[name.replace("past_key_values", "present")]
            tokens.append(token)
            if _loops(tokens):
                break
        return tokens

    def _text(self, tokens: list[int]) -> str:
        joined = b"".join(self._tokens[token] for token in tokens if token < len(self._tokens))
        return joined.decode("utf-8", "replace").replace("\u2581", " ").strip()


def _loops(tokens: list[int]) -> bool:
    for size in (1, 2, 3, 4):
        tail = tokens[-size * _LOOP :]
        if len(tail) == size * _LOOP and tail == tail[:size] * _LOOP:
            return True
    return False


def _read_tokens(packed: bytes) -> list[bytes]:
    """Read the list of tokens: each is its length (two bytes from 128 on, low seven bits first) and its bytes."""
    tokens: list[bytes] = []
    at = 0
    while at < len(packed):
        size = packed[at]
        at += 1
        if size > 127:  # noqa: PLR2004 (the high bit says that a second byte follows)
            size = (size & 127) + (packed[at] << 7)
            at += 1
        token = packed[at : at + size]
        at += size
        special = token.startswith((b"<<", b"<s>", b"</s>", b"<unk>"))
        tokens.append(b"" if special else token)
    return tokens


def _cut(samples: Samples) -> list[Samples]:
    """Cut at the quietest 20 ms before each limit: the network was trained on short utterances."""
    pieces: list[Samples] = []
    limit, search = int(_LONGEST_S * RATE), int(_SEARCH_S * RATE)
    while len(samples) > limit:
        window = samples[limit - search : limit]
        frames = window[: len(window) // _FRAME * _FRAME].reshape(-1, _FRAME)
        at = limit - search + int(np.argmin((frames**2).mean(axis=1))) * _FRAME + _FRAME // 2
        pieces.append(samples[:at])
        samples = samples[at:]
    pieces.append(samples)
    return pieces
