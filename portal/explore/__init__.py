"""Explore: any question in PromQL, as graph, as table and in words."""
