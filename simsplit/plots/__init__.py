"""Figures for papers; the only room that imports Matplotlib."""
