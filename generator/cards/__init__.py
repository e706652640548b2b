"""Model cards: what is stated of a model and what was measured, as one tree rendered twice."""
