"""Where a step's time goes: a table with a line for each operation of the network, and one for each kind."""
import statistics
import time
from dataclasses import dataclass, replace

from nanoemo.bench.calls import watch_kernels

__all__ = ["Breakdown", "break_down"]


@dataclass
class Breakdown:
    """Medians over several steps.

    step: seconds of a whole step; outside: of what is not in a kernel (the graph, reshaping, adding
    gradients, Python); calls: a `Call` for each operation
    """
    step: float
    outside: float
    calls: list

    def as_dict(self):
        """For JSON."""
        return {"step_ms": 1e3 * self.step, "outside_kernels_ms": 1e3 * self.outside,
                "calls": [{"op": call.op, "shapes": call.shapes, "forward_ms": 1e3 * call.forward,
                           "backward_ms": 1e3 * call.backward, "forward_gflop": call.forward_flop / 1e9,
                           "backward_gflop": call.backward_flop / 1e9, "forward_mb": call.forward_bytes / 1e6,
                           "backward_mb": call.backward_bytes / 1e6} for call in self.calls]}

    def __str__(self):
        lines = [_line("operation", "shapes", "forward ms", "backward ms", "share", "GFLOP/s fwd", "bwd")]
        lines += [self._of(call, call.op, _shapes(call)) for call in self.calls]
        lines += ["", _line("sums", "", "forward ms", "backward ms", "share", "GFLOP/s fwd", "bwd")]
        sums = sorted(self._sums(), key=lambda call: -call.forward - call.backward)
        lines += [self._of(call, call.op, f"× {len(call.shapes)}") for call in sums]
        lines.append(_line("outside kernels", "graph, reshaping, Python", f"{1e3 * self.outside:.2f}", "",
                           f"{100 * self.outside / self.step:.1f} %", "", ""))
        lines.append(_line("step", "", f"{1e3 * self.step:.2f}", "", "", "", ""))
        return "\n".join(line.rstrip() for line in lines)

    def _of(self, call, name, shapes):
        share = (call.forward + call.backward) / self.step
        return _line(name, shapes, f"{1e3 * call.forward:.2f}", f"{1e3 * call.backward:.2f}",
                     f"{100 * share:.1f} %", _rate(call.forward_flop, call.forward),
                     _rate(call.backward_flop, call.backward))

    def _sums(self):
        """One Call an operation's name, its times and flop summed; its `shapes` are one entry a call."""
        for op in dict.fromkeys(call.op for call in self.calls):
            calls = [call for call in self.calls if call.op == op]
            yield replace(calls[0], shapes=tuple(call.shapes for call in calls),
                          products=(sum(call.forward_flop for call in calls),),
                          forward=sum(call.forward for call in calls),
                          backward=sum(call.backward for call in calls),
                          backward_flop=sum(call.backward_flop for call in calls),
                          forward_bytes=sum(call.forward_bytes for call in calls),
                          backward_bytes=sum(call.backward_bytes for call in calls))


def break_down(step, count, warm_up=2, device="cpu"):
    """The `Breakdown` of `step`, a function without arguments that makes a training step, over `count` steps.

    device: on which it computes; the step must not end before the device has done it
    Every step must call the same kernels in the same order, as it does where shapes are fixed.

    >>> from nanoemo.bench.steps import TrainingStep
    >>> [call.op for call in break_down(TrainingStep("chater.dcnn", 2), count=1, warm_up=0).calls][-3:]
    ['linear', 'cross_entropy', 'adam_step']
    """
    for _ in range(warm_up):
        step()
    seconds, outside, runs = [], [], []
    for _ in range(count):
        with watch_kernels(device) as calls:
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        outside.append(seconds[-1] - sum(call.forward + call.backward for call in calls))
        runs.append(calls)
    medians = [replace(same[0], forward=statistics.median(call.forward for call in same),
                       backward=statistics.median(call.backward for call in same))
               for same in zip(*runs, strict=True)]
    return Breakdown(statistics.median(seconds), statistics.median(outside), medians)


def _line(operation, shapes, forward, backward, share, forward_rate, backward_rate):
    return (f"{operation:<22}  {shapes:<32}  {forward:>10}  {backward:>11}  {share:>7}  {forward_rate:>11}  "
            f"{backward_rate:>6}")


def _shapes(call):
    """Input and weights as "32×48×48×1 · 3×3×1×32"; of an update rule, how many parameters."""
    if call.op.endswith("_step"):
        return f"{len(call.shapes)} arrays"
    return " · ".join("×".join(map(str, shape)) for shape in call.shapes[:2])


def _rate(flop, seconds):
    return f"{flop / seconds / 1e9:.1f}" if flop else ""
