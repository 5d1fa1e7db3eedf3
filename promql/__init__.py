"""PromQL over any source of series: numpy and promql-parser; knows nothing of Django."""
