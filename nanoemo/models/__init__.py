"""The papers' models: one file a paper, and a registry that builds them by name."""
from nanoemo.models import alizadeh, chater, marrugat, njoku, series
from nanoemo.models.registry import Recipe, build, names, recipe, register

__all__ = ["Recipe", "alizadeh", "build", "chater", "marrugat", "names", "njoku", "recipe", "register", "series"]
