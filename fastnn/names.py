"""Looking up a name in a table, with a message that helps when it is not there.

And what came instead of what was wanted, as messages name it.
"""

import difflib
import re
import reprlib
from collections.abc import Iterable, Mapping
from typing import TypeVar

Item = TypeVar("Item")

#: Values that other libraries know by these names, as `_plain` writes them, and what they are
#: called here: of several the first that is in the table.
ELSEWHERE = {
    # losses and metrics
    "acc": ("accuracy",),
    "auroc": ("auc",),
    "bce": ("binary_cross_entropy",),
    "bcewithlogits": ("binary_cross_entropy",),
    "categoricalaccuracy": ("accuracy",),
    "categoricalcrossentropy": ("cross_entropy",),
    "gaussiannll": ("gaussian_nll",),
    "l1": ("absolute_error",),
    "log": ("binary_cross_entropy",),
    "mae": ("absolute_error", "mean_absolute_error"),
    "meansquarederror": ("squared_error", "mean_squared_error"),
    "mse": ("squared_error", "mean_squared_error"),
    "nll": ("cross_entropy",),
    "pinball": ("quantile",),
    "r2score": ("r2",),
    "smoothl1": ("huber",),
    "sparsecategoricalaccuracy": ("accuracy",),
    "sparsecategoricalcrossentropy": ("cross_entropy",),
    # start weights
    "he": ("he_normal",),
    "kaiming": ("he_normal",),
    "kaimingnormal": ("he_normal",),
    "kaiminguniform": ("he_uniform",),
    "xavier": ("glorot_uniform",),
    "xaviernormal": ("glorot_normal",),
    "xavieruniform": ("glorot_uniform",),
    # activations
    "exponential": ("exp",),
    "lrelu": ("leaky_relu",),
    "none": ("identity",),
}
#: Names of what is a setting of a value here: that value's name, and what to write.
WRITTEN_OUT = {
    "momentum": ("sgd", "fastnn.SGD(momentum=0.9)"),
    "nesterov": ("sgd", "fastnn.SGD(momentum=0.9, nesterov=True)"),
    "nag": ("sgd", "fastnn.SGD(momentum=0.9, nesterov=True)"),
}
#: Other libraries' names of what is not here, though some sound like something that is.
NOT_HERE = (
    # losses and metrics
    "balancedaccuracy meanabsolutepercentageerror meansquaredlogarithmicerror negmeansquarederror "
    "rmse rootmeansquarederror squaredhinge "
    # optimisers
    "adamax nadam rprop "
    # start weights
    "lecunnormal lecununiform normal randomnormal randomuniform truncatednormal "
    # activations
    "glu hardsigmoid hardswish logsigmoid logsoftmax mish prelu relu6 softsign"
)

#: Arguments: in each line names for one thing, ours and those of Keras, PyTorch and scikit-learn.
#: The first of them that a function has is what is meant by the others.
SAME_ARGUMENT = (
    # networks
    "layer_sizes hidden_layer_sizes hidden_sizes hidden_units hidden layers sizes units",
    "activation hidden_activation activation_function nonlinearity",
    "output_activation out_activation final_activation last_activation",
    "loss criterion loss_function loss_fn objective",
    "bias use_bias",
    "initializer kernel_initializer weight_init initialization init",
    "l2 alpha kernel_regularizer l2_reg l2_regularization",
    "l1 l1_reg l1_regularization",
    "max_norm kernel_constraint",
    "dropout dropout_rate",
    "seed random_state random_seed rng",
    "engine backend",
    # training
    "epochs max_iter n_epochs num_epochs nb_epoch nb_epochs max_epochs epoch n_iter iterations",
    "batch_size batch minibatch_size mini_batch_size",
    "learning_rate_init learning_rate initial_learning_rate max_learning_rate lr eta eta0 max_lr",
    "optimizer solver optim optimiser",
    "validation_data eval_set validation_set val_data",
    "validation_split validation_fraction val_split",
    "sample_weight sample_weights",
    "class_weight class_weights",
    "early_stopping early_stop",
    "callbacks callback",
    "progress verbose progress_bar show_progress",
    # optimisers
    "nesterov nesterovs_momentum",
    "rho alpha",
    "beta_1 beta1 betas",
    "beta_2 beta2",
    "epsilon eps",
    "clip_norm clipnorm global_clipnorm max_grad_norm gradient_clip_val grad_clip",
    "clip_value clipvalue",
    "weight_decay decay",
    "max_evaluations max_fun max_eval",
    "memory history_size",
    # stopping, checkpoints, schedules
    "patience n_iter_no_change",
    "min_delta tolerance tol tolerance_grad threshold",
    "restore_best restore_best_weights",
    "target baseline stopping_threshold",
    "max_seconds max_time time_limit",
    "path filepath filename",
    "best_only save_best_only",
    "every save_freq period every_n_epochs",
    "factor gamma",
    "min_rate min_lr eta_min",
    "decay_steps t_max",
    "warmup_steps warmup",
)
_THREADS = (
    "NUMBA_NUM_THREADS says how many threads large products may take; fastnn.fit_many has n_jobs"
)
#: Other libraries' arguments for what is not here, and what to know about it.
NO_ARGUMENT = {
    "amsgrad": "that variant is not here",
    "centered": "that variant is not here",
    "dampening": "that variant is not here",
    "device": "everything runs on the CPU",
    "inputshape": "the number of inputs is the first of layer_sizes",
    "inputdim": "the number of inputs is the first of layer_sizes",
    "maxqueuesize": "the data are in memory",
    "saveweightsonly": "the whole network is saved",
    "stepsperepoch": "an epoch goes through all samples; batch_size says in how many steps",
    "validationfreq": "validation data are looked at after every epoch",
    "validationsteps": "validation data are looked at as a whole",
    "njobs": _THREADS,
    "workers": _THREADS,
}


def find(
    name: object,
    table: Mapping[str, Item],
    argument: str,
    aliases: Mapping[str, str] | None = None,
) -> Item:
    """``table[name]``, or an error that lists the known names and the one that is meant."""
    aliases = aliases or {}
    if not isinstance(name, str):
        raise TypeError(f"{argument} must be a string, got {describe(name)}")
    key = aliases.get(name, name)
    if key in table:
        return table[key]
    known = sorted([*table, *aliases])
    raise ValueError(
        f"{argument}={name!r} is not known.{did_you_mean(name, known)} Known: {', '.join(known)}."
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The sentence that asks whether a known name was meant; empty if none comes near."""
    value, text = WRITTEN_OUT.get(_plain(name), ("", ""))
    known = list(known)
    if value in known:
        return f" Did you mean {text}?"
    near = nearest(name, known)
    return f" Did you mean {near!r}?" if near else ""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is meant: by other libraries' names, or else by its letters."""
    known = list(known)
    plain = _plain(name)
    spellings = (plain, plain.removesuffix("loss"))
    if not set(spellings).isdisjoint(NOT_HERE.split()):
        return None
    for spelling in spellings:
        if spelling in ELSEWHERE:
            return next((here for here in ELSEWHERE[spelling] if here in known), None)
    return next(iter(difflib.get_close_matches(name.lower(), known, n=1)), None)


def argument_meant(name: str, known: Iterable[str]) -> str | None:
    """The argument among the *known* that goes by another *name* elsewhere."""
    plain, known = _plain(name), list(known)
    for line in SAME_ARGUMENT:
        words = line.split()
        if plain in map(_plain, words):
            found = next((word for word in words if word in known), None)
            if found is not None:
                return found
    return None


def not_an_argument(name: str) -> str | None:
    """What to know about an argument that only other libraries have."""
    return NO_ARGUMENT.get(_plain(name))


def _plain(name: str) -> str:
    """``BCELoss`` and ``bce_loss`` as ``bceloss``."""
    return re.sub("[^a-z0-9]", "", name.lower())


_REPR = reprlib.Repr()
_REPR.maxother = 60  # a class of a package with its path, or a number of many digits
_REPR.maxlong = 60


def describe(value: object) -> str:
    """Its type and what it is, for a message."""
    return f"{type(value).__name__}: {short(value)}"


def short(value: object) -> str:
    """What ``repr`` says, shortened; Python's own refuses to print thousands of digits."""
    try:
        return _REPR.repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
