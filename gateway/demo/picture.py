"""The call as a picture: what the terminal showed, as SVG."""

from __future__ import annotations

import io

from rich.console import Console
from rich.terminal_theme import MONOKAI, TerminalTheme

from gateway.demo.models import Model
from gateway.demo.outcome import Outcome, Phone
from gateway.demo.perform import Show
from gateway.demo.rows import rows
from gateway.demo.show import Palette, heading, render
from gateway.demo.summary import verdict
from gateway.demo.watch import Watch

WIDTH = 110
THEME: TerminalTheme = MONOKAI


class Picture:
    """Passes everything on to another show, and can draw it at the end."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._console = Console(
            record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor", highlight=False
        )
        self._palette = Palette()
        self._begun: tuple[Model, Watch, Phone] | None = None

    def progress(self, what: str) -> None:
        self._show.progress(what)

    def begin(self, model: Model, watch: Watch, phone: Phone) -> None:
        self._begun = (model, watch, phone)
        self._show.begin(model, watch, phone)

    def update(self) -> None:
        self._show.update()

    def end(self, outcome: Outcome) -> None:
        self._show.end(outcome)

    def draw(self, outcome: Outcome) -> str:
        """Return the call as SVG, without fonts from elsewhere."""
        if self._begun is None:
            return ""
        model, watch, phone = self._begun
        for line in heading(model):
            self._console.print(line)
        for row in rows(watch, phone):
            self._console.print(render(row, self._palette))
        self._console.print()
        for part in verdict(outcome):
            self._console.print(part)
        return self._console.export_svg(title="scripts/demo", theme=THEME, code_format=FORMAT)


FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
  <style>
    .{unique_id}-matrix {{
      font-family: "Fira Code", Menlo, Consolas, "DejaVu Sans Mono", monospace;
      font-size: {char_height}px; line-height: {line_height}px;
    }}
    .{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
    {styles}
  </style>
  <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
  </defs>
  {chrome}
  <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">{matrix}</g>
  </g>
</svg>
"""
