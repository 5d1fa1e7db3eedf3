"""How templates are written."""

from pathlib import Path

from django.template.loader import get_template

ROOT = Path(__file__).parent.parent
LONGEST = 160
TEMPLATES = sorted(path for path in ROOT.glob("templates/**/*") if path.is_file())


def test_no_line_of_a_template_is_too_long_to_read() -> None:
    assert TEMPLATES
    long = [
        f"{path.relative_to(ROOT)}:{number} has {len(line)} characters"
        for path in TEMPLATES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > LONGEST
    ]
    assert long == []


def test_every_template_compiles() -> None:
    for path in TEMPLATES:
        get_template(str(path.relative_to(ROOT / "templates")))
