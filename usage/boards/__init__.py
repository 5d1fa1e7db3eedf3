"""Dashboards: what panels, tiles and tables show, and their pages."""
