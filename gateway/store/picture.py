"""A call as a picture (SVG): both channels with turns, tools, handoffs, barge-ins and how long callers waited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from gateway.call.turns import Turn
from gateway.store.story import Story, Wait
from gateway.store.waveform import Waveform

MARGIN, LANE, GAP = 90, 110, 26
LEAST, MOST, PER_SECOND = 900, 24_000, 40.0
"""Pixels: the width of a picture, and of a second in it where that fits."""
PARTS = {"detection": "#8e7cc3", "gateway": "#cc4125", "tool": "#e69138", "model": "#3d85c6", "playout": "#6aa84f"}
"""The parts of a wait and their colours."""
_SHORT_TURN = 60
_LABEL_PX = 6.2
_STYLE = """
svg { background: #fff; font: 11px system-ui, sans-serif; fill: #222 }
.lane { fill: #f6f7f9 } .axis { stroke: #ccd } .axis-text, .small { fill: #667; font-size: 10px }
.caller { fill: #0b6e99; stroke: #0b6e99 } .agent { fill: #8a4b08; stroke: #8a4b08 }
.wave { stroke-width: 1; stroke-opacity: .6 } .turn { fill-opacity: .10; stroke-opacity: .45 }
.said { stroke: #f6f7f9; stroke-width: 3px; paint-order: stroke }
.unheard { fill: url(#unheard); stroke: #a33; stroke-dasharray: 3 2 }
.tool { fill: #e69138; fill-opacity: .75 } .failed { fill: #c22 } .barge-in { stroke: #c22; fill: #c22 }
.handoff { stroke: #674ea7; stroke-dasharray: 4 3 } .stream { stroke: #999; stroke-dasharray: 1 3 }
"""


def longest_step(story: Story) -> float:
    """Seconds that a pixel of the picture stands for: the step in which a waveform is wanted."""
    return 1 / _scale(_length(story, None))


def draw(story: Story, waveform: Waveform | None = None, *, words: bool = True) -> str:
    """Return the picture.

    Args:
        story: the call.
        waveform: of its recording, if it has one.
        words: whether what was said is on it; else only who spoke when.
    """
    return "\n".join(_Picture(story, waveform, words=words).lines())


def _length(story: Story, waveform: Waveform | None) -> float:
    recorded = story.zero + waveform.seconds if waveform is not None else 0.0
    return max(story.ended or story.last, recorded, 1.0)


def _scale(seconds: float) -> float:
    return min(max(PER_SECOND, LEAST / seconds), MOST / seconds)


class _Picture:
    """One picture, as it is drawn from top to bottom."""

    def __init__(self, story: Story, waveform: Waveform | None, *, words: bool) -> None:
        self._story = story
        self._waveform = waveform
        self._words = words
        self._seconds = _length(story, waveform)
        self._scale = _scale(self._seconds)
        self._zero = story.zero
        self._caller = 64
        self._agent = self._caller + LANE + GAP
        self._tools = self._agent + LANE + GAP
        self.height = self._tools + 70

    def _x(self, at: float) -> float:
        return round(MARGIN + at * self._scale, 1)

    def lines(self) -> Iterator[str]:
        width = round(MARGIN + self._seconds * self._scale + 30)
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{self.height}" '
            f'viewBox="0 0 {width} {self.height}" role="img">'
        )
        yield f"<title>{escape(self._headline())}</title><style>{_STYLE}</style>"
        yield (
            '<defs><pattern id="unheard" width="6" height="6" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)"><rect width="2" height="6" fill="#a33" fill-opacity=".25"/></pattern></defs>'
        )
        yield _text(MARGIN, 18, self._headline())
        yield from self._legend()
        yield from self._lanes(width)
        yield from self._axis()
        yield from self._streams()
        if self._waveform is not None:
            yield self._wave("caller", self._caller, self._waveform.caller, self._waveform.step)
            yield self._wave("agent", self._agent, self._waveform.agent, self._waveform.step)
        for number, turn in enumerate(self._story.turns, 1):
            yield from self._turn(number, turn)
        yield from self._waits()
        yield from self._marks()
        yield from self._runs_of_tools()
        yield "</svg>"

    def _headline(self) -> str:
        story = self._story
        when = datetime.fromtimestamp(story.header.wall, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        end = str(story.reason) if story.reason is not None else "not closed"
        return f"{story.header.line} · {when} · {self._seconds:.1f} s · {end} · {story.header.call_id}"

    def _legend(self) -> Iterator[str]:
        x = MARGIN
        for name, colour in PARTS.items():
            yield f'<rect x="{x}" y="27" width="10" height="8" fill="{colour}"/>' + _text(x + 13, 35, name, "small")
            x += 75

    def _lanes(self, width: int) -> Iterator[str]:
        for name, top, height in (
            ("caller", self._caller, LANE),
            ("agent", self._agent, LANE),
            ("tools", self._tools, 34),
        ):
            yield f'<rect class="lane" x="{MARGIN}" y="{top}" width="{width - MARGIN - 30}" height="{height}"/>'
            yield _text(8, top + height / 2, name)

    def _axis(self) -> Iterator[str]:
        step = next(step for step in (1, 2, 5, 10, 30, 60, 300, 600) if step * self._scale >= 50 or step == 600)  # noqa: PLR2004
        bottom = self.height - 24
        for second in range(0, int(self._seconds) + 1, step):
            x = self._x(second)
            yield f'<line class="axis" x1="{x}" x2="{x}" y1="{self._caller}" y2="{bottom}"/>'
            yield _text(x + 2, bottom + 12, f"{second // 60}:{second % 60:02}", "axis-text")

    def _streams(self) -> Iterator[str]:
        for stream in self._story.streams:
            x = self._x(stream.began)
            title = f"stream {stream.number}"
            yield self._upright("stream", x, title) + _text(x + 2, self._caller - 4, title, "small")

    def _wave(self, kind: str, top: int, peaks: Iterable[float], step: float) -> str:
        middle, half = top + LANE / 2, LANE / 2 - 6
        path = []
        for number, peak in enumerate(peaks):
            if (height := round(peak**0.5 * half, 1)) >= 1:  # quiet speech is to be seen too
                path.append(f"M{self._x(self._zero + number * step)} {middle - height}v{2 * height}")
        return f'<path class="{kind} wave" d="{"".join(path)}"/>'

    # ---- What was said ----------------------------------------------------------------------------------------------

    def _turn(self, number: int, turn: Turn) -> Iterator[str]:
        top = self._caller if turn.speaker == "caller" else self._agent
        begin = turn.began
        ended = turn.ended if turn.ended is not None else begin + turn.heard_ms / 1000
        width = max((ended - begin) * self._scale, 2)
        x = self._x(begin)
        yield "<g>" + _title(self._told(number, turn))
        yield f'<rect class="turn {turn.speaker}" x="{x}" y="{top}" width="{width:.1f}" height="{LANE}"/>'
        missed = turn.generated_ms - turn.heard_ms
        if turn.speaker == "agent" and missed > _SHORT_TURN:
            unheard = min(missed / 1000 * self._scale, 46)
            yield f'<rect class="unheard" x="{x + width:.1f}" y="{top}" width="{unheard:.1f}" height="{LANE}"/>'
        yield _text(x + 3, top + 12, _fit(f"{number} {turn.agent}".strip(), width), f"said {turn.speaker}")
        if self._words and turn.heard:
            yield _text(x + 3, top + LANE - 5, _fit(turn.heard, width), f"said {turn.speaker}")
        yield "</g>"

    def _told(self, number: int, turn: Turn) -> str:
        lines = [f"turn {number}: {turn.agent or turn.speaker}, from {turn.began:.2f} s"]
        if turn.speaker == "agent":
            lines.append(f"heard {turn.heard_ms:.0f} of {turn.generated_ms:.0f} ms")
        if turn.transcription_failed:
            lines.append("transcription failed")
        if self._words:
            lines.append(turn.heard)
            if turn.unheard:
                lines.append(f"not heard: {turn.unheard}")
        return "\n".join(line for line in lines if line)

    def _waits(self) -> Iterator[str]:
        y = self._agent - GAP + 7
        for wait in self._story.waits:
            x = self._x(wait.at - wait.sent)
            yield "<g>" + _title(describe(wait))
            for name, seconds in wait.parts().items():
                width = seconds * self._scale
                if width > 0:
                    yield f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="7" fill="{PARTS[name]}"/>'
                x += width
            yield _text(x + 3, y + 7, f"{wait.total * 1000:.0f} ms", "small") + "</g>"

    def _marks(self) -> Iterator[str]:
        for at, before, after in self._story.handoffs:
            if before:
                x = self._x(at)
                yield self._upright("handoff", x, f"handoff from {before} to {after}")
                yield _text(x + 3, self._tools - 6, f"→ {after}", "small")
        for at in self._story.barge_ins:
            x, y = self._x(at), self._agent
            yield self._upright("barge-in", x, f"barge-in at {at:.2f} s")
            yield f'<path class="barge-in" d="M{x - 5} {y - 9}h10l-5 8z"/>'

    def _upright(self, kind: str, x: float, title: str) -> str:
        line = f'<line class="{kind}" x1="{x}" x2="{x}" y1="{self._caller}" y2="{self.height - 24}"/>'
        return f"<g>{_title(title)}{line}</g>"

    def _runs_of_tools(self) -> Iterator[str]:
        for tool in self._story.tools:
            ended = tool.ended if tool.ended is not None else self._seconds
            x, width = self._x(tool.began), max((ended - tool.began) * self._scale, 2)
            kind = "tool" if tool.ended is not None else "tool failed"
            took = f"{(ended - tool.began) * 1000:.0f} ms" if tool.ended is not None else "never ended"
            yield f"<g>{_title(f'{tool.tool}: {took}')}"
            yield f'<rect class="{kind}" x="{x}" y="{self._tools + 4}" width="{width:.1f}" height="26"/>'
            yield _text(x + 3, self._tools + 21, tool.tool) + "</g>"


def describe(wait: Wait) -> str:
    """Return a wait as one line: the whole, then its parts in milliseconds."""
    parts = ", ".join(f"{name} {seconds * 1000:.0f}" for name, seconds in wait.parts().items())
    return f"waited {wait.total * 1000:.0f} ms: {parts}"


def _fit(text: str, width: float) -> str:
    room = int((width - 6) / _LABEL_PX)
    return text if len(text) <= room else (text[: room - 1] + "…" if room > 3 else "")  # noqa: PLR2004 - no room for words


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    if not text:
        return ""
    named = f" class={quoteattr(kind)}" if kind else ""
    return f'<text x="{x}" y="{y}"{named}>{escape(_clean(text))}</text>'


def _title(text: str) -> str:
    return f"<title>{escape(_clean(text))}</title>"


def _clean(text: str) -> str:
    """Leave out what XML can't hold; models and callers may say anything."""
    return "".join(char for char in text if char in "\n\t" or (char >= " " and not "\ud800" <= char <= "\udfff"))
