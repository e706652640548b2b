"""The mathematics: model + inputs -> results, frozen dataclasses of arrays."""
