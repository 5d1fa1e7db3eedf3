"""Rules that map, drop or shorten the values of a label as records are stored, so that label sets stay few."""
