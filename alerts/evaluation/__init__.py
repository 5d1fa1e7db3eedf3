"""8-9: rules over series, slot by slot, into states and flips."""
