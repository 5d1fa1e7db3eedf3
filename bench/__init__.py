"""What `make bench` runs: the portal's speed as ratios, each against a baseline measured in the same run."""
