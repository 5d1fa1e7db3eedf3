"""1: the way of a request's body to a receipt, and the spool for while Postgres is away."""
