"""What every resource of the REST API stands on: who asks, what may go wrong, editions, repeated requests, pages of
lists."""
