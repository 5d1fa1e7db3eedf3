#!/usr/bin/env python
"""Django's entrance: `manage.py up` starts the portal, `manage.py help` lists the rest."""

import os
import sys

from django.core.management import execute_from_command_line

from portal.run.up import main

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    if sys.argv[1:2] == ["up"]:
        # Before Django is loaded: Postgres starts meanwhile.
        sys.exit(main(sys.argv[2:]))
    execute_from_command_line(sys.argv)
