"""Rules and their groups: lists, the editor, files, comparison with a shadow, and what rules cost people."""
