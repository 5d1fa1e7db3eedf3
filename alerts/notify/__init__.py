"""10: flips into messages, messages into channels, until they are taken."""
