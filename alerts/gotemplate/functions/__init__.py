"""What a template can call: the functions of text/template (`builtins`), and those that Prometheus adds
(`prometheus`)."""
