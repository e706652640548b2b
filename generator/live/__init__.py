"""A network as a reader's browser can run it: exported, packed, and held against PyTorch."""
