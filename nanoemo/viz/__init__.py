"""Figures. Each function takes arrays and returns a `matplotlib.figure.Figure`; nothing is shown or saved
by itself.

>>> from nanoemo import viz
>>> figure = viz.loss_curves([1.9, 1.2, 0.8], [1.7, 1.3, 1.1])
>>> png = viz.to_png(figure)        # bytes; or figure.savefig("loss.pdf")

They need matplotlib, which is imported on the first call.
"""
from nanoemo.viz.augmentation import augmented
from nanoemo.viz.classes import confusion_matrix, per_class_accuracy
from nanoemo.viz.curves import accuracy_curves, loss_curves
from nanoemo.viz.photo import faces_in_photo
from nanoemo.viz.search import search_results
from nanoemo.viz.sheet import contact_sheet
from nanoemo.viz.style import to_png

__all__ = ["accuracy_curves", "augmented", "confusion_matrix", "contact_sheet", "faces_in_photo", "loss_curves",
           "per_class_accuracy", "search_results", "to_png"]
