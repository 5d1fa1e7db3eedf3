"""The Django project: settings, urls, schedule, the `up` command, sign-in, health. May import every package."""
