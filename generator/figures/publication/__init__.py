"""Figures for articles, slides and papers: labelled, of one family, as matplotlib figures.

Charts are dark ink on a transparent ground, which the dark palette turns over. A photograph cannot be
turned over: figures that hold any are drawn twice, with dark ink and with light.
"""
