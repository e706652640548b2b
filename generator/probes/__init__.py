"""One file for each technique: model + inputs -> findings, frozen dataclasses of arrays."""
