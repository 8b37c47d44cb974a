"""Evaluation: data sets and models in, scores of each image and their summary out."""
