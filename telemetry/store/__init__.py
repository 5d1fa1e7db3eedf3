"""Where spans, traces and logs are kept. One module writes each and one reads each, so that another store can stand
behind them.

Pages call `traces` (lists of traces, and one trace) and `logs`; what they return is typed and knows nothing of tables.
"""
