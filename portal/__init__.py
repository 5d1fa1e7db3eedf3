"""The Django project: settings, urls, schedule, the `up` command, sign-in and health. It may import every other package."""
