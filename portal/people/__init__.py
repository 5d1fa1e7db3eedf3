"""Signing in: by password, one-time codes, passkeys, OpenID Connect, or the header of a reverse proxy."""
