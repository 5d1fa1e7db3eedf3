"""Marks: changes outside of the portal (a deploy, a flag, a migration) that charts and alerts show beside its own."""
