"""What is drawn over a chart."""

from core.charts import overlays


def test_a_threshold_has_its_label_on_the_side_that_is_fine() -> None:
    above, below = (overlays.threshold(95, "target", below=side) for side in (False, True))
    assert [one["annotations"][0]["yanchor"] for one in (above, below)] == ["bottom", "top"]
    [line] = above["shapes"]
    assert (line["type"], line["y0"], line["y1"], line["line"]["color"]) == ("line", 95, 95, "--critical")


def test_a_change_is_a_dotted_line_and_its_label() -> None:
    line, note = overlays.change(7), overlays.label(7, "rule edited", height=0.93)
    assert (line["x0"], line["x1"], line["line"]["dash"]) == (7, 7, "dot")
    assert (note["x"], note["text"], note["y"], note["font"]["color"]) == (7, "rule edited", 0.93, "--second")


def test_a_span_is_shaded_over_the_whole_height_and_a_band_over_the_whole_width() -> None:
    span, band = overlays.span(1, 2, "--warning/.1"), overlays.band(5, 9)
    assert (span["x0"], span["x1"], span["yref"], span["fillcolor"]) == (1, 2, "paper", "--warning/.1")
    assert (band["y0"], band["y1"], band["xref"], band["layer"]) == (5, 9, "paper", "below")
