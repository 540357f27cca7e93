"""`nanoemo bench`: time training steps, also against PyTorch. See docs/benchmarks/README.md."""
import os
import sys
from contextlib import contextmanager
from pathlib import Path

from nanoemo.cli.common import whole_number


def add_arguments(parser):
    parser.add_argument("models", metavar="MODEL", nargs="*",
                        help="names that `nanoemo models` lists (default: all)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--against", choices=["torch"], help="also time the same networks in PyTorch, in turn")
    what.add_argument("--profile", action="store_true", help="instead show where the time of our step goes")
    parser.add_argument("--batch-size", type=whole_number(1), metavar="N",
                        help="images per step (default: the paper's)")
    parser.add_argument("--steps", type=whole_number(1), default=20, metavar="N",
                        help="steps to time (default 20), on the GPU in each of several blocks; the median is taken")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute (default cpu)")
    parser.add_argument("--threads", type=whole_number(1), metavar="N",
                        help="threads for each engine (default: all cores)")
    parser.add_argument("--json", metavar="FILE", help="also write all figures to this file")


def run(args):
    import nanoemo
    from nanoemo import backend, models
    from nanoemo.bench.report import describe_machine
    from nanoemo.bench.timing import blas_can_be_held
    from nanoemo.files import write_json

    names = args.models or models.names()
    for name in names:              # a wrong name is found before the first is measured, not after an hour
        models.recipe(name)
    if args.json and not Path(args.json).absolute().parent.is_dir():
        raise ValueError(f"--json {args.json}: there is no folder {Path(args.json).parent} to write it to")
    if args.json and (Path(args.json).is_dir() or not os.access(Path(args.json).absolute().parent, os.W_OK)):
        raise ValueError(f"--json {args.json}: a file cannot be written there")
    if args.device == "cuda" and args.threads:
        raise ValueError("bench: --threads is for --device cpu; a GPU shares its work out itself")
    backend.check_device(args.device)
    torch = _import_torch(args.device) if args.against else None
    threads = args.threads or nanoemo.get_num_threads()
    machine = describe_machine(threads, torch)
    versions = f"NumPy {machine['numpy']}" + (f", PyTorch {machine['torch']}" if torch else "")
    print(f"{machine['processor']}; threads: {threads}; {versions}")
    if args.device == "cpu" and not blas_can_be_held():
        print("NumPy's BLAS library here multiplies on as many threads as it likes: it cannot be set")
    if args.device == "cuda":
        machine |= _introduce_card(torch)
    if args.profile:
        measured = _profile(args, names, threads)
    else:
        measured = _time_on_card(args, names, torch) if args.device == "cuda" else _time(args, names, threads, torch)
    for figures in measured:            # after each model: what is broken off has left those that were done
        if args.json:
            write_json(args.json, {"machine": machine, **figures})
    return 0


def _time(args, names, threads, torch):
    """Yields all figures so far after each model; so do the two below."""
    from nanoemo.bench.compare import measure
    from nanoemo.bench.report import HEADER, table_row
    from nanoemo.bench.timing import gemm_rate, on_threads

    with on_threads(threads):
        gemm = gemm_rate()
    print(f"GEMM rate {gemm / 1e9:.1f} GFLOP/s (NumPy, float32, 2048 × 2048)\n\n{HEADER}", flush=True)
    results, failed = [], []
    for name in names:
        with _others_go_on(name, failed):
            results.append(measure(name, args.batch_size, args.steps, threads, gemm, torch))
            print(table_row(results[-1]), flush=True)
            yield {"gemm_gflops": gemm / 1e9, "models": [result.as_dict() for result in results]}
    if any(result.torch and result.torch.layout == "channels_last" for result in results):
        print("\n* PyTorch was faster with channels-last images; else it was with contiguous ones")
    if any(result.ours.alone.peak is None for result in results):
        print("\npeak memory is not measured: this system has no /proc to read it from, as Linux has")
    _check_all_measured(failed)


@contextmanager
def _others_go_on(name, failed):
    """A model that cannot be measured costs the others nothing: what went wrong is told, and its name goes to `failed`."""
    try:
        yield
    except (ValueError, RuntimeError, MemoryError, OSError) as error:
        print(f"{name}: not measured: {error}", file=sys.stderr, flush=True)
        failed.append(name)


def _check_all_measured(failed):
    if failed:
        raise ValueError(f"not measured, for the reasons above: {', '.join(failed)}")


def _introduce_card(torch):
    from nanoemo.bench.card_report import describe_card

    card = describe_card(torch)
    print(f"{card['card']}, {card['card_mib'] / 1024:.0f} GiB; driver {card['driver'] or 'unknown'} for CUDA "
          f"{card['driver_cuda']}; CUDA {card['runtime_cuda']}, CuPy {card['cupy']}")
    return card


def _time_on_card(args, names, torch):
    from nanoemo.bench.card_report import HEADER, goals_met, table_row
    from nanoemo.bench.ceilings import measure_ceilings
    from nanoemo.bench.on_card import measure

    ceilings = measure_ceilings()
    print(f"GEMM {ceilings.gemm / 1e9:.0f} GFLOP/s, with TF32 {ceilings.gemm_tf32 / 1e9:.0f} (cuBLAS, float32); copy "
          f"{ceilings.copy / 1e9:.0f} GB/s\n\n{HEADER}", flush=True)
    results, failed = [], []
    for name in names:
        for tf32 in (False, True):
            with _others_go_on(f"{name}, TF32 {'on' if tf32 else 'off'}", failed):
                results.append(measure(name, args.batch_size, args.steps, tf32, ceilings, torch))
                print(table_row(results[-1]), flush=True)
                yield {"ceilings": ceilings.as_dict(), "models": [result.as_dict() for result in results]}
    print("\n".join(["", *goals_met(results)]).rstrip())
    _check_all_measured(failed)


def _profile(args, names, threads):
    from nanoemo.bench.breakdown import break_down
    from nanoemo.bench.steps import TrainingStep
    from nanoemo.bench.timing import on_threads

    figures = []
    for name in names:
        step = TrainingStep(name, args.batch_size, device=args.device)
        with on_threads(threads):
            breakdown = break_down(step, args.steps, device=args.device)
        print(f"\n{name}, batches of {step.batch_size}\n{breakdown}", flush=True)
        figures.append({"model": name, "batch_size": step.batch_size, **breakdown.as_dict()})
        yield {"models": figures}


def _import_torch(device):
    try:
        import torch
    except ImportError as error:
        raise ImportError(f"--against torch needs PyTorch, which cannot be imported ({error}); "
                          f"pip install torch, or leave --against out to time nanoemo alone") from error
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"--against torch: PyTorch {torch.__version__} finds no GPU; install one that is built for "
                         f"CUDA, or leave --against out to time nanoemo alone")
    return torch
