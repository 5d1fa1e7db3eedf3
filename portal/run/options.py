"""The options of `up`. Each stands for a setting of the environment and wins over it."""

import argparse
import os
from collections.abc import Sequence

OPTIONS = {"host": "PORTAL_HOST", "port": "PORTAL_PORT", "data": "PORTAL_DATA_DIR", "only": "PORTAL_ROLES"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("--host", metavar="ADDRESS", help="address to bind (PORTAL_HOST, default 127.0.0.1)")
    parser.add_argument("--port", metavar="PORT", help="port to bind (PORTAL_PORT, default 8000)")
    parser.add_argument("--data", metavar="DIR", help="data folder (PORTAL_DATA_DIR, default .data)")
    parser.add_argument(
        "--only", metavar="ROLES", help="comma-separated: postgres, web, worker, beat, otlp (PORTAL_ROLES)"
    )
    parser.add_argument("--with-parent", action="store_true", help="stop when the process that started this one ends")


def options_to_environment(arguments: Sequence[str]) -> None:
    """Put the options into the environment, before the settings are read from there."""
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    options, _ = parser.parse_known_args(arguments)
    for name, variable in OPTIONS.items():
        if (value := getattr(options, name)) is not None:
            os.environ[variable] = value
