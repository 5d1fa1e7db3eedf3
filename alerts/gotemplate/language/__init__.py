"""A text into closures: tokens (`lexer`), trees of nodes (`parse`), closures (`pipelines` for what is called, `compile`
for the rest)."""
