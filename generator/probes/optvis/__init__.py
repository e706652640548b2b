"""Feature visualisation by optimisation: objective, parametrisation, transforms, render loop.

The four parts are those of Lucid (Olah, Mordvintsev and Schubert, "Feature Visualization", Distill
2017). Each can be used and tested alone.
"""
