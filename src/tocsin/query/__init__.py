"""One filter language: text -> tree -> predicate, Polars expression or SQL condition."""
