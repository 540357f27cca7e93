"""`nanoemo summary MODEL`: the paper's table of the model's layers."""


def add_arguments(parser):
    parser.add_argument("model", metavar="MODEL", help="a name that `nanoemo models` lists")
    parser.add_argument("--classes", type=int, metavar="K", help="number of classes (default: the paper's)")


def run(args):
    from nanoemo import models, summary

    recipe = models.recipe(args.model)
    from_paper = f": {recipe.paper}, {recipe.source}" if recipe.paper else ""
    print(f"{args.model}{from_paper}\n")
    summary(models.build(args.model, num_classes=args.classes), recipe.input_shape)
    print(f"\nour recipe{' for ' if recipe.data else ''}{recipe.data}: {recipe.epochs} epochs, batches of {recipe.batch_size}, "
          f"{recipe.optimizer}, learning rate {recipe.lr:g}, weight decay {recipe.weight_decay:g}")
    if recipe.paper:
        print(f"what of it the paper leaves open: help(nanoemo.models.{args.model.partition('.')[0]})")
    return 0
