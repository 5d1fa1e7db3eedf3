"""Runbooks: the texts that ship (*.md), their versions and HTML."""
