"""Where spans, traces and logs are kept: writes, and which traces stay for how long. Reads are in `reading`, so that
another store can stand behind them."""
