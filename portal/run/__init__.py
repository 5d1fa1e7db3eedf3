"""`manage.py up`: the processes of the portal, its Postgres and its data folder."""
