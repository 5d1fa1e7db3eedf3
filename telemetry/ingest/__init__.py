"""The way of a body to what is stored: bounds, what each span means and counts as, then the store, or the spool while
Postgres is away."""
