"""Networks of many kinds in plain torch, at their published sizes, with seeded random weights."""
