"""Cutaway publishes what is inside a trained neural network, as a static site."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("cutaway")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"
