"""One file for each kind of picture: plain arrays in, encoded pictures out."""
