"""Settings are parsed strictly, and the reference page tells of each."""

import dataclasses
from itertools import groupby
from pathlib import Path

import pytest

from portal.env import Config, ConfigError, env_name, load
from portal.exports.settings_reference import settings_page


def wrong(environ: dict[str, str]) -> list[str]:
    """The lines of the error that `environ` causes."""
    with pytest.raises(ConfigError) as refused:
        load(environ)
    return str(refused.value).splitlines()


def test_an_empty_environment_gives_the_defaults() -> None:
    assert load({}) == Config(data_dir=Path(".data").absolute())


def test_values_are_parsed_by_their_type() -> None:
    config = load(
        {
            "PORTAL_PORT": "8123",
            "PORTAL_DEBUG": "Yes",
            "PORTAL_ALLOWED_HOSTS": "a.example, b.example,",
            "PORTAL_SPOOL_DIR": "/srv/spool",
            "PORTAL_ROLES": "web,beat",
            "DATABASE_URL": "postgresql://u@h/n",
            "UNRELATED": "x",
        }
    )
    assert (config.port, config.debug, config.allowed_hosts) == (8123, True, ("a.example", "b.example"))
    assert (config.spool, config.roles, config.database_url) == (
        Path("/srv/spool"),
        ("web", "beat"),
        "postgresql://u@h/n",
    )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("PORTAL_PORT", "eighty", "expected a whole number"),
        ("PORTAL_PORT", "8_000", "expected a whole number"),
        ("PORTAL_PORT", " 80", "expected a whole number"),
        ("PORTAL_PORT", "0", "must be at least 1"),
        ("PORTAL_PORT", "65536", "must be at most 65535"),
        ("PORTAL_DEBUG", "maybe", "expected true or false"),
        ("PORTAL_ROLES", "web,cook", "no such word: cook (expected postgres, web, worker, beat, otlp)"),
        ("DATABASE_URL", "mysql://h/n", "must start with postgresql:// or postgres://"),
        ("PORTAL_BASE_URL", "portal.example", "must start with http:// or https://"),
        ("EMAIL_URL", "mail.example", "must start with smtp:// or smtps://"),
        ("PORTAL_PROT", "1", "no such setting (see docs/settings.md)"),
    ],
)
def test_a_wrong_value_is_named_with_its_reason(name: str, text: str, said: str) -> None:
    assert wrong({name: text}) == [f"{name}: {said}"]


def test_every_wrong_setting_is_named_at_once() -> None:
    assert len(wrong({"PORTAL_PORT": "x", "PORTAL_DEBUG": "x", "PORTAL_NO": "x"})) == 3


def test_contradictions_are_refused() -> None:
    assert wrong({"DATABASE_URL": "postgresql://h/n", "PORTAL_ROLES": "postgres,web"}) == [
        "PORTAL_ROLES: names postgres, but DATABASE_URL says that Postgres is elsewhere; keep one"
    ]
    assert wrong({"PORTAL_BODY_MAX_UNPACKED_BYTES": "2000"}) == [
        "PORTAL_BODY_MAX_UNPACKED_BYTES: must be at least PORTAL_BODY_MAX_BYTES"
    ]


def test_a_secret_is_read_from_the_file_that_name_file_names(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("s3cret\n")
    assert load({"PORTAL_SECRET_KEY_FILE": str(secret)}).secret_key == "s3cret"
    assert wrong({"PORTAL_SECRET_KEY_FILE": str(secret), "PORTAL_SECRET_KEY": "other"}) == [
        "PORTAL_SECRET_KEY: PORTAL_SECRET_KEY_FILE is set too; keep one"
    ]
    missing = tmp_path / "missing"
    assert wrong({"PORTAL_SECRET_KEY_FILE": str(missing)}) == [
        f"PORTAL_SECRET_KEY: cannot read {missing} (No such file or directory)"
    ]


def test_the_reference_page_has_a_row_for_every_setting() -> None:
    page = settings_page()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [
        env_name(f)
        for section in dict.fromkeys(f.metadata["section"] for f in dataclasses.fields(Config))
        for f in dataclasses.fields(Config)
        if f.metadata["section"] == section
    ]
    assert "| `PORTAL_PORT` | whole number, 1 to 65,535 | `8000` | Port of the web server. |" in rows
    assert all(f.metadata["doc"].endswith(".") for f in dataclasses.fields(Config))


def test_the_settings_of_a_section_stand_together_so_that_the_settings_page_shows_each_section_once() -> None:
    sections = [section for section, _ in groupby(f.metadata["section"] for f in dataclasses.fields(Config))]
    assert sections[:4] == ["Places", "Processes", "Web", "Sign-in"]
    assert len(sections) == len(set(sections))


def test_links_use_loopback_when_every_address_is_bound() -> None:
    assert load({"PORTAL_HOST": "0.0.0.0"}).public_url == "http://127.0.0.1:8000"
    assert load({"PORTAL_HOST": "::"}).public_url == "http://[::1]:8000"
    assert load({"PORTAL_BASE_URL": "https://portal.example/"}).public_url == "https://portal.example"


def test_a_share_is_a_number_between_0_and_1_and_a_choice_one_of_its_values() -> None:
    config = load(
        {"PORTAL_TRACE_KEEP": "0.25", "PORTAL_TELEMETRY_CONTENT": "store", "PORTAL_TELEMETRY_MASK": "tenant-[0-9]+"}
    )
    assert (config.trace_keep, config.telemetry_content, config.telemetry_mask) == (0.25, "store", "tenant-[0-9]+")
    for text, line in (("some", "expected a number"), ("1.5", "must be at most 1"), ("nan", "must be at least 0")):
        assert wrong({"PORTAL_TRACE_KEEP": text}) == [f"PORTAL_TRACE_KEEP: {line}"]
    assert wrong({"PORTAL_TELEMETRY_CONTENT": "keep"}) == ["PORTAL_TELEMETRY_CONTENT: must be drop or store"]
    [line] = wrong({"PORTAL_TELEMETRY_MASK": "("})
    assert line.startswith("PORTAL_TELEMETRY_MASK: no regular expression")
