"""`nanoemo models`: the names to give to the other commands, with what the papers trained each on."""


def add_arguments(parser):
    pass


def run(args):
    from nanoemo import models

    width = max(map(len, models.names()))
    for name in models.names():
        recipe = models.recipe(name)
        shape = "×".join(map(str, recipe.input_shape))
        print(f"{name:{width}}  {shape:>9}  {recipe.num_classes} classes  {recipe.data}; {recipe.paper}")
    return 0
