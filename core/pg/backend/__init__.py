"""Django's backend for Postgres, with connections that a hanging server cannot hold for ever."""
