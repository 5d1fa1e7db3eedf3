"""A figure as a picture: what is drawn where, without a browser."""

from io import BytesIO

import pytest
from PIL import Image

from core.charts import overlays
from core.charts.figures import figure
from core.charts.picture import COLOURS, HEIGHT, LEFT, RIGHT, TOP, WIDTH, png

HOUR = 3_600_000


def drawn(
    values: list[float | None], shapes: list[object] | None = None, notes: list[object] | None = None
) -> Image.Image:
    """An hour of values, a minute apart."""
    line = {
        "type": "scatter",
        "x": [n * 60_000 for n in range(len(values))],
        "y": values,
        "line": {"color": "--critical"},
    }
    layout = {"xaxis": {"range": [0, HOUR]}, "shapes": shapes or [], "annotations": notes or []}
    return Image.open(BytesIO(png(figure([line], layout, ""), "Slow calls", "s")))


def count(image: Image.Image, colour: str, box: tuple[int, int, int, int] | None = None) -> int:
    """Pixels of exactly a colour."""
    wanted = tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return sum(pixel == wanted for pixel in (image.crop(box) if box else image).convert("RGB").getdata())


def test_a_line_is_drawn_and_its_gap_stays_a_gap() -> None:
    whole, gap = drawn([5.0] * 60), drawn([5.0] * 20 + [None] * 20 + [5.0] * 20)
    assert whole.size == (WIDTH, HEIGHT)
    assert whole.format == "PNG"
    middle = (LEFT + (WIDTH - LEFT - RIGHT) * 22 // 60, TOP, LEFT + (WIDTH - LEFT - RIGHT) * 38 // 60, HEIGHT)
    assert count(whole, COLOURS["--critical"], middle) > 500
    assert count(gap, COLOURS["--critical"], middle) == 0
    assert count(drawn([None] * 30 + [5.0] + [None] * 29), COLOURS["--critical"]) > 10


def test_thresholds_firing_and_changes_are_drawn_over_it() -> None:
    level = overlays.threshold(9, "threshold 9 s")
    plain = drawn([1.0] * 60)
    over = drawn(
        [1.0] * 60,
        [overlays.span(HOUR // 2, HOUR, "--critical/.13"), *level["shapes"], overlays.change(HOUR // 4)],
        [*level["annotations"], overlays.label(HOUR // 4, "agent 2.14.0 <b>"), overlays.label(HOUR // 4, "price of x")],
    )
    right = (WIDTH * 3 // 4, TOP + 100, WIDTH - RIGHT, HEIGHT - 100)
    assert count(plain, "#ffffff", right) > 0.8 * (right[2] - right[0]) * (right[3] - right[1])
    assert count(over, "#ffffff", right) < 100
    assert count(over, COLOURS["--second"]) > count(plain, COLOURS["--second"])


@pytest.mark.parametrize("values", [[], [None] * 60, [0.0] * 60, [-5.0, 5.0], [1e300, 1e-300], [float("inf"), 1.0]])
def test_odd_values_are_drawn_too(values: list[float | None]) -> None:
    assert drawn(values).size == (WIDTH, HEIGHT)


def test_what_has_no_time_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="no time axis"):
        png(figure([], {"xaxis": {}}, ""), "x", "")
