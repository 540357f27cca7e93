"""`nanoemo models`: the names to give to the other commands, under their papers, with what these trained each on."""
from itertools import groupby


def add_arguments(parser):
    pass


def run(args):
    from nanoemo import models
    from nanoemo.nn import shapes_of_inputs

    width = max(map(len, models.names()))
    for paper, names in groupby(models.names(), lambda name: models.recipe(name).paper):
        print(paper or "of your own")
        for name in names:
            recipe = models.recipe(name)
            shape = " + ".join("×".join(map(str, shape)) for shape in shapes_of_inputs(recipe.input_shape))
            kind = f"{recipe.num_classes} classes" if recipe.num_classes else "auto-encoder"
            print(f"  {name:{width}}  {shape:13}  {kind:12}  {recipe.data}")
    return 0
