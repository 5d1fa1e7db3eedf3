"""The one place where figures for plotly.js are built: traces, axes, what is drawn over them, colours and units
(docs/architecture.md)."""
