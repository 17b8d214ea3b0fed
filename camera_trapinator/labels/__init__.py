"""Importers: what labelling tools export becomes a data root. One file a tool.

Each reads its tool's files into the `Labels` of shapes.py, with the help of exports.py;
data_root.py makes masks, classes.csv and manifest.csv of them.
"""
