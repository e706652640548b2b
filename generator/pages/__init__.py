"""Findings and drawn figures -> template context -> one page file each."""
