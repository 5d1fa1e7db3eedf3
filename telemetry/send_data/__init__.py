"""How to send data: a snippet for each usual client, and what the portal understands of what arrives."""
