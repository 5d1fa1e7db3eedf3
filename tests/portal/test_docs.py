"""docs/running.md tells of what there is."""

from pathlib import Path

from portal.env import Config
from portal.run.data_folder import FREE_BYTES
from portal.run.options import OPTIONS

TEXT = (Path(__file__).resolve().parent.parent.parent / "docs/running.md").read_text()


def test_every_part_and_the_bounds_are_told() -> None:
    for role in Config.__dataclass_fields__["roles"].metadata["choices"]:
        assert f"| `{role}` |" in TEXT
    assert f"less than {FREE_BYTES >> 20} MB left" in TEXT
    assert {"--port", "--data", "--only"} <= {f"--{name}" for name in OPTIONS if f"--{name}" in TEXT}
