"""10 notify, whom: who is on call when, and in which steps an incident goes from person to
person until somebody acknowledges it."""
