"""`nanoemo show FIGURE RUN ...`: draw a figure of one run or of several, into a file. See docs/figures.md.

Figures of what a run has written down are made in show_records.py, those that its network is run for in
show_network.py.
"""
from pathlib import Path

from nanoemo.cli.common import SPLITS, whole_number


def add_arguments(parser):
    figures = parser.add_subparsers(dest="figure", metavar="FIGURE", required=True)

    _figure(figures, "curves", "loss and accuracy of each epoch, several runs together", runs="+")
    figure = _figure(figures, "confusion", "confusion matrix: numbers of images")
    figure.add_argument("--normalised", action="store_true", help="per cent of the true class instead")
    figure.add_argument("--split", choices=SPLITS, default="test", help="default test")
    figure = _figure(figures, "classes", "table of the accuracy of each class, runs side by side", runs="+")
    figure.add_argument("--split", choices=SPLITS, default="test", help="default test")
    _figure(figures, "time", "time that the training of each run took", runs="+",
            about="the folder of a run; or a file of `nanoemo bench --json`, for the time of a step")

    figure = _figure(figures, "activations", "what layers give for an image, through training", images=64,
                  about_count="that sparsity is measured on, the first of which is shown")
    figure.add_argument("--layer", action="append", metavar="NAME",
                        help="may be repeated (default: all activations that are maps)")
    figure = _figure(figures, "filters", "what the first convolution has learned")
    figure.add_argument("--layer", metavar="NAME", help="another convolution")
    figure = _figure(figures, "dream", "images changed so that the network sees more of something", images=7)
    goal = figure.add_mutually_exclusive_group()
    goal.add_argument("--class", dest="label", metavar="NAME", help="a class (default: of each image, its own)")
    goal.add_argument("--layer", metavar="NAME", help="a layer")
    figure.add_argument("--unit", type=int, metavar="K", help="only this channel of the layer, or unit of a dense one")
    figure.add_argument("--steps", type=whole_number(1), default=40, metavar="N", help="steps uphill (default 40)")
    figure.add_argument("--octaves", type=whole_number(1), default=3, metavar="N",
                        help="number of blurs, each half of the one before (default 3)")
    figure.add_argument("--smoothness", type=float, default=0.005, metavar="X", help="weight of the regulariser (default 0.005)")
    figure.add_argument("--jitter", type=int, default=2, metavar="N", help="largest shift before a step, in pixels (default 2)")
    saliency = _figure(figures, "saliency", "how much each pixel moves the answer", images=7)
    gradcam = _figure(figures, "gradcam", "where a layer finds what speaks for the answer", images=7)
    for figure in (saliency, gradcam):
        figure.add_argument("--class", dest="label", metavar="NAME", help="ask about this class (default: the network's answer)")
    gradcam.add_argument("--layer", metavar="NAME", help="default: the last activation that gives maps")
    _figure(figures, "samples", "images beside the probabilities that the network gives each class", images=12)


def _figure(figures, name, text, runs=None, images=None, about="the folder of a run", about_count="to show"):
    """Add a figure's own parser, and return it.

    runs: "+" for one or more; images: how many are looked at unless one says otherwise, where it needs any
    """
    parser = figures.add_parser(name, help=text, description=text.capitalize() + ".")
    parser.add_argument("run", metavar="RUN", nargs=runs, help=about)
    parser.add_argument("--out", metavar="FILE", help=".png, .svg or .pdf (default: figures/ in the folder of the run)")
    if images:
        parser.add_argument("--data", metavar="PATH", help="the data set (default: the one it was trained on)")
        parser.add_argument("--split", choices=SPLITS, default="test", help="which images of it (default test)")
        parser.add_argument("--count", type=whole_number(1), default=images, metavar="N",
                            help=f"images {about_count} (default {images})")
        parser.add_argument("--device", choices=("cpu", "cuda"), help="where to compute (default: where the run did)")

    return parser


def run(args):
    from nanoemo import viz
    from nanoemo.cli import show_network, show_records
    from nanoemo.viz.style import format_of

    if args.out is not None:            # a wrong name is found before minutes of computing
        format_of(args.out)
        if not Path(args.out).absolute().parent.is_dir():
            raise ValueError(f"--out {args.out}: there is no folder {Path(args.out).parent} to write it to")
    draw = {**show_records.FIGURES, **show_network.FIGURES}[args.figure]
    figure, place = draw(args)
    path = Path(args.out) if args.out else place
    path.parent.mkdir(exist_ok=True)
    viz.save(figure, path)
    print(f"figure: {path}")
    return 0
