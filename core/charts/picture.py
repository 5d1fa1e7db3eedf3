"""A figure as a PNG, for messages: drawn on the server, in the light theme, times in UTC.

Pillow draws it: it is small (20 MB on disk, 11 MB in a process that draws), well kept (MIT-CMU licence) and brings its
own font, where SVG renderers need those of the system and browsers cannot be asked for. Import this module only where a
picture is drawn, so that other processes keep their memory.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from core.charts.figures import Figure

# Twice the size at which it is shown, for sharp screens.
WIDTH, HEIGHT = 1240, 520
LEFT, RIGHT, TOP, BOTTOM = 96, 20, 64, 48
TEXT, SMALL = 24, 20
# The light theme of static/core/tokens.css.
COLOURS = {
    "--text": "#1b2430", "--second": "#566172", "--hint": "#667080", "--grid": "#eceef2",
    "--line": "#e2e5ea", "--critical": "#c9302c", "--critical-text": "#b92a26", "--warning": "#b26a00",
    "--warning-text": "#985a00", "--ok": "#1a8a5a", "--accent": "#3455db", "--series-other": "#a3adba",
    "--series-0": "#4269d0", "--series-1": "#e6860f", "--series-2": "#3ca951", "--series-3": "#a463f2",
    "--series-4": "#97bbf5", "--series-5": "#2a9d9d", "--series-6": "#e377a8", "--series-7": "#8c6248",
    "--series-8": "#8a9a1f", "--series-9": "#5b4fc4",
}  # fmt: skip
STEPS = (60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800)
Colour = tuple[int, int, int, int]


def png(figure: Figure, title: str, unit: str) -> bytes:
    """The figure's lines, thresholds, shaded times and changes under a title. Raises ValueError where it has no time
    axis."""
    return _Picture(figure, title, unit).drawn()


class _Picture:
    """A figure on its way to a picture."""

    def __init__(self, figure: Figure, title: str, unit: str) -> None:
        layout = figure["layout"]
        self._lines = [one for one in figure["data"] if one.get("type") == "scatter" and one.get("yaxis", "y") == "y"]
        self._shapes: Sequence[Any] = layout.get("shapes", ())
        self._notes: Sequence[Any] = layout.get("annotations", ())
        try:
            self._start, self._end = (float(end) for end in layout["xaxis"]["range"])
        except (KeyError, TypeError, ValueError):
            raise ValueError("the figure has no time axis") from None
        self._low, self._high = self._bounds()
        self._title, self._unit = title, unit
        self._image = Image.new("RGBA", (WIDTH, HEIGHT), "#ffffff")
        self._font, self._small = ImageFont.load_default(TEXT), ImageFont.load_default(SMALL)

    def drawn(self) -> bytes:
        """The PNG."""
        self._axes()
        self._under(shape for shape in self._shapes if shape.get("type") == "rect")
        for line in self._lines:
            self._line(line)
        for shape in self._shapes:
            if shape.get("type") == "line":
                self._rule(shape)
        self._texts()
        file = BytesIO()
        self._image.convert("RGB").save(file, "PNG", optimize=True)
        return file.getvalue()

    @property
    def _pen(self) -> ImageDraw.ImageDraw:
        return ImageDraw.Draw(self._image)

    def _bounds(self) -> tuple[float, float]:
        """Of the values drawn and of levels, from zero where nothing is below."""
        values = [float(one) for line in self._lines for one in line.get("y", ()) if one is not None]
        values += [float(one["y0"]) for one in self._shapes if one.get("type") == "line" and one.get("yref") == "y"]
        finite = [one for one in values if math.isfinite(one)]
        low, high = min([0.0, *finite]), max([0.0, *finite])
        return (low, high + (high - low) * 0.12) if high > low else (low, low + 1)

    def _x(self, ms: float) -> float:
        share = (ms - self._start) / max(self._end - self._start, 1)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return HEIGHT - BOTTOM - min(max(share, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM)

    def _axes(self) -> None:
        """The grid, with values at its left and times under it."""
        pen = self._pen
        for value in _round_values(self._low, self._high):
            y = self._y(value)
            pen.line([(LEFT, y), (WIDTH - RIGHT, y)], fill=COLOURS["--grid"], width=2)
            pen.text((LEFT - 12, y), f"{value:,.6g}", fill=COLOURS["--second"], font=self._small, anchor="rm")
        seconds = (self._end - self._start) / 1000
        step = next((one for one in STEPS if seconds / one <= 6), STEPS[-1])
        form = "%H:%M" if step < 43_200 else "%d %b"
        at = -(-self._start // (step * 1000)) * step * 1000
        while at <= self._end:
            text = dt.datetime.fromtimestamp(at / 1000, dt.UTC).strftime(form)
            x = min(self._x(at), WIDTH - RIGHT - pen.textlength(text, font=self._small) / 2)
            pen.text((x, HEIGHT - BOTTOM + 10), text, fill=COLOURS["--second"], font=self._small, anchor="mt")
            at += step * 1000

    def _under(self, shapes: Iterator[Any]) -> None:
        """Shaded times, and bands of values."""
        for shape in shapes:
            layer = Image.new("RGBA", self._image.size, (0, 0, 0, 0))
            x = (self._x(shape["x0"]), self._x(shape["x1"])) if shape["xref"] == "x" else (LEFT, WIDTH - RIGHT)
            y = (self._y(shape["y1"]), self._y(shape["y0"])) if shape["yref"] == "y" else (TOP, HEIGHT - BOTTOM)
            ImageDraw.Draw(layer).rectangle([x[0], y[0], x[1], y[1]], fill=_colour(shape["fillcolor"]))
            self._image = Image.alpha_composite(self._image, layer)

    def _line(self, line: Any) -> None:
        """A series; gaps stay gaps, and a lonely value is a dot."""
        style = line.get("line", {})
        colour = _colour(str(style.get("color", "--series-0")))
        pen, part = self._pen, list[tuple[float, float]]()
        for at, value in [*zip(line["x"], line["y"], strict=True), (0, None)]:
            if value is not None:
                part.append((self._x(at), self._y(float(value))))
                continue
            if len(part) == 1:
                x, y = part[0]
                pen.ellipse([x - 3, y - 3, x + 3, y + 3], fill=colour)
            elif part:
                pen.line(part, fill=colour, width=4, joint="curve")
            part = []

    def _rule(self, shape: Any) -> None:
        """A threshold across, or a change up and down, dashed."""
        colour = _colour(shape["line"]["color"])
        if shape["yref"] == "y":
            y = self._y(float(shape["y0"]))
            ends = [((float(x), y), (min(x + 12.0, WIDTH - RIGHT), y)) for x in range(LEFT, WIDTH - RIGHT, 22)]
        else:
            x = self._x(float(shape["x0"]))
            ends = [((x, float(y)), (x, min(y + 4.0, HEIGHT - BOTTOM))) for y in range(TOP, HEIGHT - BOTTOM, 12)]
        for begin, end in ends:
            self._pen.line([begin, end], fill=colour, width=2)

    def _texts(self) -> None:
        """Title, unit, and what levels and times are called."""
        pen = self._pen
        pen.text((LEFT, 18), _fitted(self._title, 80), fill=COLOURS["--text"], font=self._font)
        pen.text(
            (WIDTH - RIGHT, 20), f"{self._unit}  UTC".strip(), fill=COLOURS["--second"], font=self._small, anchor="ra"
        )
        row = 0
        for note in self._notes:
            text, colour = _fitted(str(note.get("text", "")), 40), _colour(note["font"]["color"])
            if note["yref"] == "y":
                pen.text(
                    (WIDTH - RIGHT - 4, self._y(float(note["y"])) - 4), text, fill=colour, font=self._small, anchor="rb"
                )
                continue
            x, width = self._x(float(note["x"])) + 6, pen.textlength(text, font=self._small)
            # One under the other, so that changes of one time do not cover each other.
            y = TOP + 2 + (row % 4) * (SMALL + 4)
            pen.text((min(x, WIDTH - RIGHT - width), y), text, fill=colour, font=self._small)
            row += 1


def _round_values(low: float, high: float) -> Iterator[float]:
    """About five round values between the two."""
    raw = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * one for one in (1, 2, 2.5, 5, 10) if size * one >= raw)
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield number * step


def _fitted(text: str, longest: int) -> str:
    """On one line, and no longer than fits."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _colour(name: str) -> Colour:
    """A colour of the light theme by its variable, with its opacity after a slash."""
    variable, _, opacity = name.partition("/")
    value = COLOURS.get(variable, COLOURS["--second"])
    red, green, blue = (int(value[place : place + 2], 16) for place in (1, 3, 5))
    return red, green, blue, round(255 * float(opacity)) if opacity else 255
