"""The papers' models: one file a paper, and a registry that builds them by name."""
from nanoemo.models import alizadeh, chater, marrugat, njoku, series
from nanoemo.models.registry import Recipe, UnknownModel, build, module_of, names, recipe, register

__all__ = ["Recipe", "UnknownModel", "alizadeh", "build", "chater", "marrugat", "module_of", "names", "njoku", "recipe",
           "register", "series"]
