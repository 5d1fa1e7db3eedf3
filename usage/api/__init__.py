"""REST resources of records, prices, budgets, boards and what was received; portal/api/ assembles them."""
