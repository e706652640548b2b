"""Curated pictures and texts, with label, alt text, licence and origin."""
