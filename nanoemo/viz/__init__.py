"""Figures. Each function takes arrays and returns a `matplotlib.figure.Figure`; nothing is shown or saved
by itself.

>>> from nanoemo import viz
>>> figure = viz.loss_curves([1.9, 1.2, 0.8], [1.7, 1.3, 1.1])
>>> png = viz.to_png(figure)        # bytes; or viz.save(figure, "loss.pdf")

They need matplotlib, which is imported on the first call.
"""
from nanoemo.viz.augmentation import augmented
from nanoemo.viz.classes import class_counts, class_table, confusion_matrix, per_class_accuracy
from nanoemo.viz.curves import accuracy_curves, loss_curves, run_curves
from nanoemo.viz.groups import group_accuracy
from nanoemo.viz.maps import activation_maps, filters
from nanoemo.viz.network import network
from nanoemo.viz.photo import faces_in_photo
from nanoemo.viz.reasons import dreams, grad_cam, saliency, samples
from nanoemo.viz.reconstructions import reconstructions
from nanoemo.viz.search import search_results
from nanoemo.viz.sheet import contact_sheet
from nanoemo.viz.style import save, to_png
from nanoemo.viz.timeline import timeline
from nanoemo.viz.times import times
from nanoemo.viz.together import face_and_voice
from nanoemo.viz.voice import voice

__all__ = ["accuracy_curves", "activation_maps", "augmented", "class_counts", "class_table", "confusion_matrix",
           "contact_sheet", "dreams", "face_and_voice", "faces_in_photo", "filters", "grad_cam", "group_accuracy", "loss_curves",
           "network", "per_class_accuracy", "reconstructions", "run_curves", "saliency", "samples", "save", "search_results",
           "timeline", "times", "to_png", "voice"]
