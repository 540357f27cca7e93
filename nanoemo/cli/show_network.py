"""Figures that the network of a run is run for. Each function gives (figure, default path)."""

import numpy as np

from nanoemo import features, interpret, load_state, nn, viz
from nanoemo.cli.show_records import default_path
from nanoemo.hints import suggest
from nanoemo.recognition import listens
from nanoemo.recognition.trained import Trained
from nanoemo.training import Experiment, RunFolder
from nanoemo.training.preparation import input_shape
from nanoemo.viz.style import shortened

CAPTION = 14            # letters of a class's name above a picture


class Subject:
    """The network of a run with its best weights, and some images: classes in turn, the first class first."""

    def __init__(self, args):
        if listens(args.run):
            raise ValueError(f"{args.run} was trained on voices, and this figure shows images; of a run on voices there are "
                             "curves, confusion, classes, time and, of 2-D convolutions, filters")
        self.folder = RunFolder.open(args.run)
        self.experiment = Experiment.of_run(self.folder, args.data, device=args.device)
        self.epoch = self.experiment.load_best(self.folder)
        self.model = self.experiment.model
        self.classes = self.experiment.classes
        self.answers = np.array([self.classes.index(name) for name in self.experiment.judged_classes])   # those that count
        chosen = self.experiment.splits[args.split].take(args.count)
        chosen = chosen.subset(np.argsort(chosen.labels, kind="stable"))
        self.images, self.labels = chosen.images, chosen.labels
        self.inputs = self.experiment.inputs(self.images)
        self.title = f"{self.experiment.title}, {args.split} set"

    def take(self, path):
        """Load the weights in a file. ValueError, which names it, where they do not fit the network."""
        try:
            self.model.load_state_dict(load_state(path))
        except ValueError as error:
            raise ValueError(f"{path}: not weights of {self.experiment.settings.model} ({error})") from None

    def label(self, name):
        """The number of a class. ValueError, with the names there are, where there is none called so."""
        if name not in self.classes:
            raise ValueError(f"--class: there is no class {name!r}; {suggest(name, self.classes)}")
        return self.classes.index(name)

    def asked(self, name):
        """(targets (N,), captions): the class `name` for each image, or where that is None the network's answer."""
        shares = interpret.probabilities(self.model, self.inputs)
        targets = (np.full(len(shares), self.label(name)) if name is not None
                   else self.answers[shares[:, self.answers].argmax(axis=-1)])
        sign = "→" if name is None else "for"
        names = [shortened(name, CAPTION) for name in self.classes]
        captions = [f"{names[truth]}\n{sign} {names[target]}\n{100 * share[target]:.0f} %"
                    for truth, target, share in zip(self.labels, targets, shares)]
        return targets, captions


def activations(args):
    subject = Subject(args)
    model, inputs = subject.model, subject.inputs
    layers = args.layer or interpret.map_layers(model, [array[:1] for array in inputs])
    maps, sparsity = ({layer: {} for layer in layers} for _ in range(2))

    def look(moment):
        for layer, output in interpret.outputs_of(model, inputs, layers).items():
            maps[layer][moment], sparsity[layer][moment] = output[0], interpret.sparsity(output)

    snapshots = subject.folder.snapshots()
    if not snapshots:
        print("only the trained network: `nanoemo train --snapshots` keeps weights from along the way as well")
    trained = model.state_dict()
    for epoch in sorted({*snapshots, subject.epoch}):
        if epoch == subject.epoch:
            model.load_state_dict(trained)
        else:
            subject.take(snapshots[epoch])
        look(f"epoch {epoch}" + (", best" if epoch == subject.epoch else ""))
    title = f"{subject.title}: {subject.classes[subject.labels[0]]}; zeros over {len(subject.labels)} images"
    return viz.activation_maps(maps, sparsity, title=title), default_path(subject.folder, "activations")


class Network(Trained):
    """The network of a run with its best weights, for a look at them alone: no data are read."""

    def _prepare_for(self, folder, settings):
        return input_shape(self.example_shape, features.BY_NAME.get(settings.features))


def filters(args):
    folder, network = RunFolder.open(args.run), Network(args.run)
    layers = {name: module for name, module in network.model.named_modules() if isinstance(module, nn.Conv2d)}
    if not layers:
        raise ValueError(f"{args.run}: its network has no 2-D convolution, so there are no filters to show")
    name = args.layer or next(iter(layers))
    if name not in layers:
        raise ValueError(f"--layer: {name} is no 2-D convolution; there are {', '.join(layers)}")
    return viz.filters(layers[name].weight.detach().numpy(), f"{network.title}, layer {name}"), default_path(folder, "filters")


def dream(args):
    if args.unit is not None and args.layer is None:
        raise ValueError("--unit says which unit of a layer, so it needs --layer as well")
    if args.jitter < 0:
        raise ValueError(f"--jitter is {args.jitter}; expected 0 or more pixels")
    subject = Subject(args)
    black, white = (subject.experiment.inputs(np.full_like(subject.images[:1], value))[0] for value in (0, 255))
    if args.layer is not None:
        goals = [interpret.Goal(layer=args.layer, unit=args.unit)] * len(subject.labels)
    else:
        label = None if args.label is None else subject.label(args.label)
        goals = [interpret.Goal(label=int(own if label is None else label)) for own in subject.labels]
    dreamt, captions = subject.inputs[0].copy(), [""] * len(goals)
    for goal in dict.fromkeys(goals):
        mine = [place for place, other in enumerate(goals) if other == goal]
        before = [array[mine] for array in subject.inputs]
        dreamt[mine] = interpret.dream(subject.model, before, goal, black, white, args.steps, args.octaves,
                                       smoothness=args.smoothness, jitter=args.jitter)
        after = [dreamt[mine], *before[1:]]
        values = zip(*(goal.values(subject.model, inputs) for inputs in (before, after)))
        for place, (first, last) in zip(mine, values):
            what = shortened(subject.classes[goal.label], CAPTION) + "\n" if args.layer is None else ""
            captions[place] = f"{what}{number(first)} → {number(last)}"
    title = f"{subject.title}: DeepDream of {_goal_in_words(args)}"
    return viz.dreams(subject.images, (dreamt - black) / (white - black), captions, title), default_path(
        subject.folder, "_".join(["dream", *(str(part) for part in (args.label, args.layer, args.unit) if part is not None)]))


def number(value):
    """With one decimal, small ones with two digits that mean something, and a minus that is one."""
    return (f"{value:.1f}" if abs(value) >= 0.1 else f"{value:.2g}").replace("-", "−")


def _goal_in_words(args):
    if args.layer is not None:
        return f"layer {args.layer}" + ("" if args.unit is None else f", unit {args.unit}")
    return f"class {args.label}" if args.label else "each image's own class"


def saliency(args):
    subject = Subject(args)
    targets, captions = subject.asked(args.label)
    maps = interpret.saliency(subject.model, subject.inputs, targets)
    return viz.saliency(subject.images, maps, captions, f"{subject.title}: saliency"), default_path(subject.folder, "saliency")


def gradcam(args):
    subject = Subject(args)
    targets, captions = subject.asked(args.label)
    layer = args.layer or interpret.map_layers(subject.model, [array[:1] for array in subject.inputs])[-1]
    maps = interpret.grad_cam(subject.model, subject.inputs, targets, layer)
    title = f"{subject.title}: Grad-CAM at layer {layer}"
    return viz.grad_cam(subject.images, maps, captions, title), default_path(subject.folder, "gradcam")


def samples(args):
    subject = Subject(args)
    shares = interpret.probabilities(subject.model, subject.inputs)
    labels = np.searchsorted(subject.answers, subject.labels)
    figure = viz.samples(subject.images, shares[:, subject.answers], labels, subject.experiment.judged_classes,
                         f"{subject.title}: predictions")
    return figure, default_path(subject.folder, "samples")


FIGURES = {"activations": activations, "filters": filters, "dream": dream, "saliency": saliency, "gradcam": gradcam,
           "samples": samples}
