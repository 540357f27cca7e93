"""Wrong arguments to every operation: one error that names the operation, what came, and what was expected."""
import numpy as np
import pytest

from nanoemo import Tensor, ops


def f(*shape):
    return Tensor(np.ones(shape, np.float32))


def d(*shape):
    return Tensor(np.ones(shape))


def i(*shape):
    return Tensor(np.ones(shape, int))


ARRAY = np.ones((2, 3), np.float32)
X, W, B = f(1, 4, 4, 3), f(3, 3, 3, 4), f(4)          # an image, and weights that fit it
SEQUENCE, TAPS = f(1, 9, 2), f(3, 2, 4)
C3 = f(3)
LSTM = f(2, 5, 3), f(3, 16), f(4, 16), f(16)
HIGHER = (f(4, 16), f(4, 16), f(16))         # a layer that reads what LSTM gives
NO_TENSOR = "must be a Tensor, got ndarray; wrap it"
WHOLE = "of a floating-point type; make it Tensor"

CALLS = {     # operation -> (arguments, words of the message)
    "conv2d": [
        ((f(4, 4, 3), W), r"expected x \(N, H, W, C\) and w \(kh, kw, C, O\), got shapes \(4, 4, 3\)"),
        ((X, f(3, 3, 4)), r"and \(3, 3, 4\)"),
        ((X, f(3, 3, 1, 4)), r"x has 3 channels \(last axis of \(1, 4, 4, 3\)\) but w expects 1"),
        ((X, W, f(5)), r"b has shape \(5,\) but w makes 4 channels: expected \(4,\)"),
        ((f(1, 2, 4, 3), W), r"the window \(3, 3\) is larger than the padded input"),
        ((X, W, B, 0), "stride must be a positive whole number or a pair of them, got 0"),
        ((X, W, B, (1, -1)), r"stride must be a positive whole number or a pair of them, got \(1, -1\)"),
        ((X, W, B, True), "stride must be a positive whole number or a pair of them, got True"),
        ((X, W, B, 1, True), "padding: expected a number or a pair of whole numbers, got True"),
        ((X, W, B, 1.5), "stride must be a positive whole number or a pair of them, got 1.5"),
        ((X, W, B, "2"), "stride must be a positive whole number or a pair of them, got '2'"),
        ((X, W, B, (1, 1, 1)), "stride must be a positive whole number or a pair"),
        ((X, W, B, None), "stride must be a positive whole number or a pair of them, got None"),
        ((X, W, B, 1, "full"), "padding: expected \"valid\", \"same\", a number or a pair, got 'full'"),
        ((X, W, B, 1, -1), "padding: must not be negative, got -1"),
        ((X, W, B, 1, 0.5), "padding: expected a number or a pair of whole numbers, got 0.5"),
        ((X, W, B, 1, None), "padding: expected a number or a pair of whole numbers, got None"),
        ((X, W, B, 1, ("same", "valid")), "padding: expected a number or a pair"),
        ((f(0, 4, 4, 3), W), r"x of shape \(0, 4, 4, 3\) is empty; no axis may be 0"),
        ((f(1, 4, 4, 0), f(3, 3, 0, 4)), "is empty; no axis may be 0"),
        ((X, f(0, 3, 3, 4)), r"w of shape \(0, 3, 3, 4\) is empty"),
        ((ARRAY, W), f"x {NO_TENSOR}"),
        ((X, None), "w must be a Tensor, got NoneType$"),
        ((X, W, np.ones(4)), f"b {NO_TENSOR}"),
        ((X, W, 0.0), "b must be a Tensor, got float"),
        ((i(1, 4, 4, 3), i(3, 3, 3, 4)), f"x is int64, but must be {WHOLE}"),
        ((X, i(3, 3, 3, 4)), f"w is int64, but must be {WHOLE}"),
        ((X, d(3, 3, 3, 4)), "x is float32, w is float64; make them the same"),
        ((X, W, d(4)), "b is float64; make them the same"),
    ],
    "conv1d": [
        ((f(9, 2), TAPS), r"expected x \(N, T, C\) and w \(k, C, O\), got shapes \(9, 2\)"),
        ((SEQUENCE, f(3, 1, 4)), "x has 2 channels .* but w expects 1"),
        ((SEQUENCE, f(10, 2, 4)), r"the window \(10,\) is larger than the padded input"),
        ((SEQUENCE, TAPS, B, 0), "stride must be a positive whole number, got 0"),
        ((SEQUENCE, TAPS, B, 1.7), "stride must be a positive whole number"),
        ((SEQUENCE, TAPS, B, (1, 2)), r"stride must be a positive whole number, got \(1, 2\)"),
        ((SEQUENCE, TAPS, B, 1, (1, 2, 3)), r"padding: expected a number or a pair of whole numbers, got \(1, 2, 3\)"),
        ((f(0, 9, 2), TAPS), "is empty; no axis may be 0"),
        ((i(1, 9, 2), TAPS), f"x is int64, but must be {WHOLE}"),
        ((SEQUENCE, d(3, 2, 4)), "x is float32, w is float64; make them the same"),
        ((SEQUENCE, TAPS, d(4)), "b is float64; make them the same"),
        ((SEQUENCE, TAPS, f(5)), r"b has shape \(5,\)"), ((ARRAY, TAPS), f"x {NO_TENSOR}"),
    ],
    "max_pool2d": [
        ((f(4, 4, 1), 2), r"x must have 4 axes \(N, H, W, C\), got shape \(4, 4, 1\)"),
        ((X, 0), "kernel_size must be a positive whole number or a pair of them, got 0"),
        ((X, -2), "kernel_size must be a positive whole number"),
        ((X, 2.0), "kernel_size must be a positive whole number or a pair of them, got 2.0"),
        ((X, None), "kernel_size must be a positive whole number"),
        ((X, 2, 0), "stride must be a positive whole number or a pair of them, got 0"),
        ((X, 2, (1, 1, 1)), "stride must be a positive whole number"),
        ((X, 2, 1, 2), r"padding \(2, 2\) of rows is more than half the window of 2"),
        ((X, 2, 1, -1), "padding: must not be negative"),
        ((X, 2, 1, "full"), "padding: expected \"valid\""),
        ((X, 5), "a window of 5 rows does not fit x, which has 4 rows"),
        ((f(1, 0, 4, 1), 2), "has no cells to pool"),
        ((ARRAY, 2), NO_TENSOR), ((i(1, 4, 4, 1), 2), WHOLE),
    ],
    **{name: [((f(4, 4, 1), 2), "x must have 4 axes"), ((X, 5), "does not fit x"), ((i(1, 4, 4, 1), 2), WHOLE),
              ((ARRAY, 2), NO_TENSOR), ((X, 0), "kernel_size must be a positive whole"),
              ((X, 2, 0), "stride must be a positive whole"), ((X, 2, 1, "full"), "padding: expected \"valid\"")]
       for name in ("min_pool2d", "avg_pool2d", "relu_max_pool2d")},
    "conv2d_relu_max_pool2d": [((f(4, 4, 1), W), r"expected x \(N, H, W, C\)"), ((X, W, B, 0), "stride must be a positive whole"),
                               ((X, W, B, 1, "same", 9), "does not fit x"), ((X, W, f(5)), "b has shape"),
                               ((X, W, B, 1, "same", 0), "kernel_size must be a positive whole"),
                               ((X, W, B, 1, "same", 2, "full"), "padding: expected \"valid\""),
                               ((ARRAY, W), f"x {NO_TENSOR}"), ((i(1, 4, 4, 3), W), WHOLE),
                               ((X, d(3, 3, 3, 4)), "x is float32, w is float64; make them the same")],
    **{name: [((X, 2), r"x must have 3 axes \(N, T, C\)"), ((SEQUENCE, 10), "a window of 10 steps does not fit x"),
              ((SEQUENCE, (2, 2)), "kernel_size must be a positive whole"), ((ARRAY, 2), NO_TENSOR),
              ((SEQUENCE, 2, 1.5), "stride must be a positive whole number, got 1.5"),
              ((SEQUENCE, 2, None, 0.5), "padding: expected a number"), ((i(1, 9, 2), 2), WHOLE)]
       for name in ("max_pool1d", "avg_pool1d", "relu_max_pool1d")},
    "upsample2d": [((f(4, 4, 1), 2), r"x must have 4 axes \(N, H, W, C\)"),
                   ((X, 0), "scale must be a positive whole"),
                   ((X, 1.5), "scale must be a positive whole number"), ((X, (1, 2, 3)), "scale must be"),
                   ((X, None), "scale must be"), ((ARRAY, 2), NO_TENSOR), ((i(1, 4, 4, 1), 2), WHOLE)],
    "batch_norm": [
        ((f(3), C3, C3, C3, C3, True), "x must have at least 2 axes"),
        ((f(1, 3), C3, C3, C3, C3, True), "has 1 value for each channel, and training needs at least 2"),
        ((f(0, 3), C3, C3, C3, C3, True), "has 0 value"),
        ((f(4, 0), f(0), f(0), f(0), f(0), True), "has no channels"),
        ((f(4, 3), f(2), C3, C3, C3, True), r"x has 3 channels .* but gamma has shape \(2,\); it must be \(3,\)"),
        ((f(4, 3), C3, C3, C3, f(2), False), "but running_var has shape"),
        ((f(4, 3), None, C3, C3, C3, True), "gamma must be a Tensor, got NoneType$"),
        ((f(4, 3), C3, C3, None, None, True), "running_mean must be a Tensor, got NoneType$"),
        ((f(4, 3), C3, C3, np.zeros(3), C3, True), f"running_mean {NO_TENSOR}"),
        ((f(4, 3), C3, C3, i(3), C3, True), f"running_mean is int64, but must be {WHOLE}"),
        ((f(4, 3), C3, C3, d(3), C3, True), "running_mean is float64, .*; make them the same"),
        ((i(4, 3), C3, C3, C3, C3, True), f"x is int64, but must be {WHOLE}"),
        ((f(4, 3), C3, C3, C3, C3, True, 2), "momentum must be a number of at least 0 and at most 1, got 2"),
        ((f(4, 3), C3, C3, C3, C3, True, None), "momentum must be a number"),
        ((f(4, 3), C3, C3, C3, C3, True, 0.1, -1), "eps must be a number of at least 0, got -1"),
    ],
    "dropout": [((f(2), p, True), f"p must be at least 0 and below 1, got {p!r}")
                for p in (1.0, -0.1, float("nan"), "half", None)]
               + [((ARRAY, 0.5, training), NO_TENSOR) for training in (True, False)] + [((i(2), 0.5, True), WHOLE)],
    "linear": [
        ((f(2, 3), f(4, 2)), r"x has 3 features \(last axis of \(2, 3\)\) but w of shape \(4, 2\) expects 4"),
        ((f(2, 3), f(3)), r"w must be \(in, out\), got shape \(3,\)"), ((f(), f(3, 2)), "x has no features"),
        ((f(2, 3), f(3, 2), f(3)), r"b must be \(2,\)"),
        ((f(2, 3), None), "w must be a Tensor, got NoneType$"),
        ((i(2, 3), i(3, 2)), WHOLE), ((f(2, 3), d(3, 2)), "w is float64; make them the same"),
        ((ARRAY, f(3, 2)), NO_TENSOR),
    ],
    "lstm": [
        ((f(2, 3), *LSTM[1:]), r"x must be \(batch, steps, features\), got shape \(2, 3\)"),
        ((f(2, 0, 3), *LSTM[1:]), "has no time steps"),
        ((LSTM[0], f(2, 16), *LSTM[2:]), r"w must be \(3, 16\); got \(2, 16\)"),
        ((*LSTM[:2], f(4, 15), LSTM[3]), r"u must be \(units, 4·units\), got shape \(4, 15\)"),
        ((*LSTM[:3], f(15)), r"b must be \(16,\)"), ((*LSTM[:3], None), "b must be a Tensor, got NoneType$"),
        ((i(2, 5, 3), *LSTM[1:]), WHOLE), ((d(2, 5, 3), *LSTM[1:]), "x is float64, w is float32"),
    ],
    "lstm_stack": [
        ((LSTM[0], []), "weights must be a list of"), ((LSTM[0], 3), "weights must be a list of"),
        ((LSTM[0], LSTM[1:]), "weights must be a list of"),
        ((LSTM[0], [LSTM[1:], LSTM[1:]]), r"x has 4 features .* so w must be \(4, 16\); got \(3, 16\)"),
        ((LSTM[0], [LSTM[1:], HIGHER], [1.0]), "p must be at least 0 and below 1, got 1.0"),
        ((LSTM[0], [LSTM[1:], HIGHER], [0.1, 0.1]), r"dropouts must be .* 2 layers have 1, got \[0.1, 0.1\]"),
        ((LSTM[0], [LSTM[1:], HIGHER], 0.5), "dropouts must be a list of probabilities, .* got 0.5"),
        ((LSTM[0], [LSTM[1:], (None, *HIGHER[1:])]), "w must be a Tensor, got NoneType$"),
        ((LSTM[0], [LSTM[1:], (d(4, 16), *HIGHER[1:])]), "w is float64"), ((i(2, 5, 3), [LSTM[1:]]), WHOLE),
    ],
    "leaky_relu": [((i(2),), WHOLE), ((f(2), "x"), "slope must be a number, got str"),
                   ((f(2), None), "slope must be a number")],
    **{name: [((ARRAY,), NO_TENSOR), ((i(2),), WHOLE), (([1.0],), "must be a Tensor, got list")]
       for name in ("relu", "sigmoid", "tanh", "exp", "log", "sqrt")},
    **{name: [((ARRAY,), NO_TENSOR), ((i(2),), WHOLE),
              ((f(),), r"axis -1 is out of range for shape \(\)"), ((f(2, 3), 2), "axis 2 is out of range"),
              ((f(2, 3), (0, 1)), r"expected one axis of x, of shape \(2, 3\), got \(0, 1\)"),
              ((f(2, 0),), r"x of shape \(2, 0\) has nothing along axis 1")] for name in ("softmax", "log_softmax")},
    "cross_entropy": [
        ((f(2, 3), [0, 1], [1, 2, -3]), r"a class cannot weigh less than 0; weight is \[1.0, 2.0, -3.0\]"),
        ((ARRAY, [0, 1]), r"logits must be a Tensor, got ndarray; wrap it as Tensor\(logits\)"),
        ((f(2, 7), [0, 7]), "label 7 in row 1 is not one of the 7 classes 0 … 6"),
        ((f(2, 7), [-1, 0]), "label -1 in row 0"),
        ((f(2, 7), [0]), r"labels must be \(2,\) integers or \(2, 7\) probabilities .*; got shape \(1,\)"),
        ((f(2, 7), [0.5, 1.0]), "one label a row must be an integer, got float64"),
        ((f(2, 7), [[0, 1]]), r"labels of shape \(1, 2\) do not fit logits of shape \(2, 7\)"),
        ((f(2, 7), [[0, 1], [1]]), "the rows of the labels differ in length"),
        ((f(2, 7), ["a", "b"]), "the labels must hold numbers"),
        ((f(2, 7), [True, False]), "labels must be integers"),
        ((f(2, 7), 3), "must be a Tensor, an array or a list, got int"), ((f(2, 7), None), "got NoneType"),
        ((f(7), [0]), r"logits must be \(batch, classes\), .* got shape \(7,\)"),
        ((f(0, 7), []), r"got shape \(0, 7\)"),
        ((f(2, 0), [0, 0]), r"got shape \(2, 0\)"), ((i(2, 7), [0, 1]), WHOLE), ((ARRAY, [0, 1]), NO_TENSOR),
    ],
    **{name: [((f(2, 3), f(3, 2)), r"of shape \(2, 3\) and target of shape \(3, 2\) differ; reshape one"),
              ((f(0, 3), f(0, 3)), "is empty, so it has no mean"),
              ((f(2, 3), 1.0), "must be a Tensor, an array or a list, got float"),
              ((f(2, 3), None), "got NoneType"), ((i(2, 3), i(2, 3)), WHOLE), ((ARRAY, f(2, 3)), NO_TENSOR)]
       for name in ("mse_loss", "binary_cross_entropy")},
    **{name: [((f(3), f(4)), r"shapes \(3,\) and \(4,\) do not broadcast"),
              ((f(3), d(3)), "left is float32, right is float64; make"),
              ((f(3), "one"), "expected a Tensor, an array or a number, got str"),
              ((f(3), None), "got NoneType"),
              ((f(3), 1j), "got complex"),
              ((1, ARRAY), "one operand at least must be a Tensor, got int and ndarray"),
              ((f(3), ["a"]), "an operand cannot be made a Tensor"),
              ((f(3), [[1], [1, 2]]), "differ in length")]
       for name in ("add", "sub", "mul", "div", "maximum", "minimum")},
    **{name: [((f(3), f(4)), r"shapes \(3,\) and \(4,\) do not broadcast"),
              ((f(3), d(3)), "left is float32, right is float64; make"),
              ((1, ARRAY), "one operand at least must be a Tensor, got int and ndarray"),
              ((f(3), ["a"]), "an operand cannot be made a Tensor")]
       for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    **{name: [((i(3), i(4)), r"shapes \(3,\) and \(4,\) do not broadcast"), ((f(3), i(3)), "expected bools or integers"),
              ((i(3), f(3)), "expected bools or integers"), ((True, [True]), "one operand at least must be a Tensor")]
       for name in ("logical_and", "logical_or")},
    "logical_not": [((f(3),), "expected bools or integers, got float32; compare first"), ((ARRAY,), NO_TENSOR)],
    "argmax": [((ARRAY,), NO_TENSOR), ((f(2, 3), 2), r"axis 2 is out of range for shape \(2, 3\)"),
               ((f(2, 3), (0, 1)), "axis must be one whole number or None"), ((f(0, 3), 0), "has no values along axis 0"),
               ((f(2, 3), "a"), "axis must be")],
    "matmul": [((f(3), f(4, 2)), r"shapes \(3,\) and \(4, 2\) do not fit: the last axis"),
               ((f(2, 3), 2), "a single number has no matrix"),
               ((f(2, 2, 3), f(3, 3, 2)), "do not fit"),
               ((f(2, 3), d(3, 2)), "left is float32, right is float64")],
    **{name: [((ARRAY,), NO_TENSOR), ((2,), "must be a Tensor, got int")] for name in ("neg", "abs")},
    "pow": [((ARRAY, 2), NO_TENSOR),
            ((f(2), f(2)), r"must be a number, got Tensor; use exp\(log\(x\) \* y\)"),
            ((f(2), "2"), "must be a number, got str"), ((i(2), -1), WHOLE), ((i(2), 0.5), WHOLE),
            ((0, f(2)), "the base under a tensor must be a number above 0, got 0"), ((2, i(2)), WHOLE)],
    "where": [((ARRAY, f(2, 3), 0.0), NO_TENSOR), ((f(3), f(3), 0.0), "condition is float32, not bool; compare first"),
              ((f(4) > 0, f(3), 0.0), r"shapes \(4,\), \(3,\) and \(\) do not broadcast"),
              ((f(3) > 0, f(3), d(3)), "left is float32, right is float64; make"), ((f(3) > 0, 1.0, 0.0), "must be a Tensor")],
    "clip": [((ARRAY, 0, 1), NO_TENSOR), ((f(2),), "give low, high or both"),
             ((f(2), 1, 0), "low 1 is above high 0"),
             ((f(2), "a", 1), "low and high must be numbers or None, got str"),
             ((f(2), f(2), 1), "got Tensor")],
    **{name: [((ARRAY,), NO_TENSOR), ((f(2, 3), 2), r"axis 2 is out of range for shape \(2, 3\)"),
              ((f(2, 3), (0, 0)), "twice"),
              ((f(2, 3), 1.0), "axis must be a whole number, several of them or None, got 1.0"),
              ((f(2, 3), "rows"), "got 'rows'")]
       for name in ("sum", "mean", "max", "min")},
    "reshape": [((ARRAY, 6), NO_TENSOR),
                ((f(2, 3), 4, 2), r"6 values of shape \(2, 3\) do not fit shape \(4, 2\)"),
                ((f(2, 3), -1, -1), "do not fit"),
                ((f(2, 3), -2, 3), r"at least 0, or -1 for what is left, got \(-2, 3\)"),
                ((f(2, 3), 1.5), "sizes must be whole numbers, got 1.5"), ((f(2, 3), "x"), "got 'x'")],
    "transpose": [((ARRAY,), NO_TENSOR),
                  ((f(2, 3), 0, 0), r"\(0, 0\) is not an order of the 2 axes of shape \(2, 3\); name each of them once"),
                  ((f(2, 3), 0), "is not an order"),
                  *[((f(2, 3), *axes), "leaves both axes where they are; to swap them write transpose") for axes in
                    [(0, 1), (0, -1), (-2, 1), (-2, -1)]],
                  ((f(2, 3), 0, "a"), "axes must be whole numbers, got 0, 'a'")],
    "flatten": [((ARRAY,), NO_TENSOR), ((f(2, 3), 5), "start_axis 5 is out of range"),
                ((f(2, 3), 1.0), "must be whole numbers")],
    "getitem": [((ARRAY, 0), NO_TENSOR),
                ((f(2, 3), 5), r"out of bounds .* \(the tensor has shape \(2, 3\)\)"),
                ((f(2, 3), (0, 0, 0)), "too many indices"), ((f(2, 3), "a"), "shape"),
                ((f(2, 3), 1.5), "shape"),
                ((f(2, 3), f(2)), "shape"), ((f(2, 3), ([0, 1], [0, 1, 2])), "shape")],
    "concat": [(([],), "expected at least one tensor"), ((3,), "expected a list or tuple of tensors, got int"),
               ((f(2),), "got Tensor"),
               (([f()],), r"axis -1 is out of range for shape \(\); tensors without an axis can be stacked"),
               (([f(2, 3), f(3, 2)], 0), r"shapes \(2, 3\), \(3, 2\) may differ only along axis 0"),
               (([f(2, 3), d(2, 3)],), r"tensors\[0\] is float32, tensors\[1\] is float64; make them the same"),
               (([f(2), i(2)],), r"tensors\[1\] is int64; make"),
               (([f(2, 3), ARRAY],), NO_TENSOR.replace("must", r"must")),
               (([f(2, 3)], 5), r"axis 5 is out of range for shape \(2, 3\)"),
               (([f(2, 3)], "a"), "axis must be whole numbers")],
    "stack": [(([],), "expected at least one tensor"), ((3,), "expected a list or tuple of tensors, got int"),
              (([f(2, 3), f(3, 2)],), r"shapes differ: \(2, 3\), \(3, 2\)"),
              (([f(2, 3), d(2, 3)],), "make them the same"),
              (([ARRAY],), NO_TENSOR), (([f(2, 3)], 7), "axis 7 is out of range for 3 axes")],
}

# Who writes layers does not know that some are computed in one go: the error names the one that does not fit.
PARTS = {"conv2d_relu_max_pool2d": ("conv2d", "max_pool2d"), "lstm_stack": ("lstm", "dropout")}
LINES = [(name, arguments, words) for name, cases in CALLS.items() for arguments, words in cases]


@pytest.mark.parametrize("name, arguments, words", LINES, ids=[f"{name} {n}" for n, (name, *_) in enumerate(LINES)])
def test_one_clear_error(name, arguments, words):
    with pytest.raises((TypeError, ValueError, IndexError), match=words) as caught:
        getattr(ops, name)(*arguments)
    begin = str(caught.value).partition(": ")[0]
    assert begin == name or begin in PARTS.get(name, ()), "the message must begin with the operation's name"


def test_no_operation_is_left_out():
    assert set(CALLS) == set(ops.__all__)


@pytest.mark.parametrize("arguments, error, words", [
    (("a",), TypeError, "expected numbers, got str"),
    ((None,), TypeError, "expected numbers, got NoneType"),
    (([[1], [1, 2]],), ValueError, "the rows of a nested list differ in length"),
    (([1.0], False, "float33"), TypeError, "float33 is not supported; expected float32, float64 or an integer type"),
    (([1.0], False, "float16"), TypeError, "float16 is not supported"),
    ((np.ones(2, np.float16),), TypeError, "float16 is not supported; pass dtype='float32'"),
    ((np.ones(2, np.longdouble),), TypeError, "is not supported; pass dtype='float32'"),
    (([1, 2], True), TypeError, "only float tensors can require gradients"),
    (([1.0], False, None, "gpu"), ValueError, "expected 'cpu' or 'cuda', got 'gpu'"),
])
def test_what_cannot_be_a_tensor(arguments, error, words):
    with pytest.raises(error, match=words):
        Tensor(*arguments)


EMPTY_BATCH = {     # nothing in, nothing out, and zeros for the gradient of the weights
    "linear": ((0, 3), (3, 2), (2,)), "upsample2d": ((0, 2, 2, 1),),
    "max_pool2d": ((0, 4, 4, 1),), "avg_pool2d": ((0, 4, 4, 1),),
    "lstm": ((0, 5, 3), (3, 16), (4, 16), (16,)), "relu": ((0, 3),), "softmax": ((0, 3),), "dropout": ((0, 3),),
}


@pytest.mark.parametrize("name", EMPTY_BATCH)
def test_an_empty_batch_goes_through_where_it_has_a_meaning(name):
    options = {"max_pool2d": (2,), "avg_pool2d": (2,), "upsample2d": (2,), "dropout": (0.5, True)}.get(name, ())
    x = [Tensor(np.ones(shape, np.float32), requires_grad=True) for shape in EMPTY_BATCH[name]]
    y = getattr(ops, name)(*x, *options)
    assert y.shape[0] == 0
    y.sum().backward()
    assert all(tensor.grad.shape == tensor.shape and not tensor.grad.numpy().any() for tensor in x)
