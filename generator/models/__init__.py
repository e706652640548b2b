"""Source references -> loaded models with their layers, units and heads listed one way."""
