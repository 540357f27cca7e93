"""One model, measured: its training step here and, where PyTorch is given, there."""
from nanoemo.bench import memory
from nanoemo.bench.calls import watch_kernels
from nanoemo.bench.report import Engine, Result
from nanoemo.bench.steps import TrainingStep
from nanoemo.bench.timing import in_turn, on_threads
from nanoemo.bench.torch_step import TorchStep
from nanoemo.bench.twin import check_same_scores, to_torch_layout, torch_twin

__all__ = ["measure", "torch_steps"]

STEPS_ALONE = 4


def measure(name, batch_size, steps, threads, gemm, torch=None):
    """The `Result` for the model `name`, against PyTorch where its module `torch` is given.

    batch_size: None for the paper's; steps: how many are timed, of each engine
    gemm: flop a second that the machine can do (`timing.gemm_rate`)
    Raises NoTwin (a ValueError) where PyTorch would be computing another network.
    """
    ours = TrainingStep(name, batch_size)
    with on_threads(threads, torch):
        theirs, task = torch_steps(torch, ours) if torch else ({}, None)
        times = in_turn({"nanoemo": ours, **theirs}, steps)
        with watch_kernels() as calls:
            ours()
    layouts = {layout: times[layout] for layout in theirs}
    del theirs
    alone = memory.measure_ours(name, ours.batch_size, threads, STEPS_ALONE)
    flop = sum(call.flop for call in calls)
    result = Result(name, ours.batch_size, ours.model.num_parameters(), flop, gemm,
                    Engine(times["nanoemo"], alone=alone))
    if torch:
        result.torch = _faster(layouts, {**task, "threads": threads, "steps": STEPS_ALONE})
    return result


def torch_steps(torch, ours, **options):
    """PyTorch's training step by layout of the images, checked to be the same network; and the task for a
    process of its own.

    options: for `TorchStep`
    Raises NoTwin (a ValueError) where PyTorch would be computing another network.
    """
    layers, state = torch_twin(ours.model.to("cpu"), ours.recipe.input_shape)
    ours.model.to(ours.device)
    inputs, (target,) = ([torch.from_numpy(to_torch_layout(each, layers)) for each in arrays]
                         for arrays in (ours.inputs, [ours.target]))
    recipe = ours.recipe
    optimizer = {"name": recipe.optimizer, "lr": recipe.lr, "weight_decay": recipe.weight_decay}
    layouts = ["contiguous", "channels_last"] if inputs[0].ndim == 4 else ["contiguous"]
    steps = {layout: TorchStep(torch, layers, inputs, target, optimizer, layout == "channels_last", **options)
             for layout in layouts}
    few = [each[:4].astype("float64") for each in ours.inputs]
    scores = to_torch_layout(ours.scores(few), layers)
    for step in steps.values():
        step.load(state)
        check_same_scores(scores, step.scores([to_torch_layout(each, layers) for each in few]))
    return steps, {"layers": layers, "optimizer": optimizer, "shapes": [list(each.shape) for each in inputs],
                   "classes": recipe.num_classes}


def _faster(layouts, task):
    """The engine in the layout in which PyTorch was faster, its memory measured in that layout."""
    best = Engine.faster(layouts)
    best.alone = memory.measure_torch({**task, "channels_last": best.layout == "channels_last"})
    return best
