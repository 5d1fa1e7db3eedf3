"""9 to 10, between: flips become incidents (groups of alerts), and incidents become deliveries when their time has
come."""
