"""Importers: what labelling tools export becomes a data root. One file a tool."""
