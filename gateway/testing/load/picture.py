"""A benchmark drawn: what a call costs, and how late its audio is, over the number of calls."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from statistics import median
from typing import Final

from gateway.testing.load.runs import LIMIT_MS, Window

_COLOURS: Final = ("#1a7f5a", "#b4562c", "#3b5fa8")
_FONT: Final = 'font-family="sans-serif" font-size="12"'
_WIDTH: Final = 420
_HEIGHT: Final = 260
_LEFT: Final = 48
_TOP: Final = 56


def draw(windows: Sequence[Window], programs: Sequence[str], caption: str) -> str:
    """Two panels beside each other, as an SVG."""
    panels = (
        ("CPU, ms per call and second", lambda w: w.cpu_ms, None),
        ("p99 delay in ms, the slower direction", lambda w: min(w.slowest, 3 * LIMIT_MS), LIMIT_MS),
    )
    width, height = 2 * (_WIDTH + _LEFT) + 40, _HEIGHT + _TOP + 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" {_FONT}>',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="18" font-size="11" fill="#555555">{html.escape(caption)}</text>',
    ]
    for number, (title, value, limit) in enumerate(panels):
        parts += _panel(windows, programs, title, value, limit, left=_LEFT + number * (_WIDTH + _LEFT))
    for number, program in enumerate(programs):
        x = _LEFT + number * 110
        y = _HEIGHT + _TOP + 48
        parts.append(f'<rect x="{x}" y="{y - 9}" width="14" height="4" fill="{_COLOURS[number % 3]}"/>')
        parts.append(f'<text x="{x + 20}" y="{y - 3}">{html.escape(program)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _panel(
    windows: Sequence[Window],
    programs: Sequence[str],
    title: str,
    value: Callable[[Window], float],
    limit: float | None,
    *,
    left: int,
) -> list[str]:
    most_x = max((window.calls for window in windows), default=1)
    most_y = max([value(window) for window in windows] + [limit or 0.0]) * 1.08 or 1.0

    def place(calls: float, amount: float) -> tuple[float, float]:
        return left + calls / most_x * (_WIDTH - 30), _TOP + _HEIGHT * (1 - amount / most_y)

    parts = [
        f'<text x="{left}" y="{_TOP - 12}" font-weight="bold">{title}</text>',
        f'<path d="M{left} {_TOP} V{_TOP + _HEIGHT} H{left + _WIDTH - 20}" fill="none" stroke="#888888"/>',
    ]
    for step in range(5):
        calls, amount = most_x * step / 4, most_y * step / 4
        x, y = place(calls, amount)
        parts.append(f'<text x="{x:.0f}" y="{_TOP + _HEIGHT + 16}" text-anchor="middle">{calls:.0f}</text>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{amount:.3g}</text>')
    if limit is not None:
        y = place(0, limit)[1]
        parts.append(f'<path d="M{left} {y:.1f} H{left + _WIDTH - 20}" stroke="#cc3333" stroke-dasharray="4 3"/>')
    for number, program in enumerate(programs):
        colour = _COLOURS[number % len(_COLOURS)]
        mine = [window for window in windows if window.program == program]
        points = [place(n, median(value(w) for w in mine if w.calls == n)) for n in sorted({w.calls for w in mine})]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for window in mine:
            x, y = place(window.calls, value(window))
            fill = colour if window.passed else "#ffffff"
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{fill}" stroke="{colour}"/>')
    return parts
