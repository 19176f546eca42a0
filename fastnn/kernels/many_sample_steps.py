"""A sample of many networks: its way through the layers, and back.

There, one sweep over a layer's weights has both uses of each: the delta of the unit that it comes
from is made with the weight as it was, and then *act* does with weight and gradient what is to be
done: ``act(own, place, w, g)``, which returns lanes of float64 that are added up.
"""

from typing import Any

from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.jit import made_once, ordered
from fastnn.kernels.lanes import load, splat, store
from fastnn.kernels.layout import ACTIVATION, BIAS, INPUTS, N_IN, N_OUT, UNITS, WEIGHTS
from fastnn.kernels.many import drop
from fastnn.kernels.rows import by_code


@made_once
def _make_weighted_sums(bias: bool, lanes: int) -> tuple[Any, Any]:
    """Make z_j = b_j + Σ_i x_i W_ij of unit j of a sample, and of four units from j on.

    Four share each x_i that is loaded. The inputs are at the place x.
    """

    @ordered
    def one_sum(p, W, b, n_in, n_out, scratch, x, j):
        z = load(p, (b + j) * lanes, lanes) if bias else load(scratch.zero, 0, lanes)
        for i in range(n_in):
            w = load(p, (W + i * n_out + j) * lanes, lanes)
            z = z + load(scratch.values, (x + i) * lanes, lanes) * w
        return z

    @ordered
    def four_sums(p, W, b, n_in, n_out, scratch, x, j):
        z0 = z1 = z2 = z3 = load(scratch.zero, 0, lanes)
        if bias:
            z0, z1 = load(p, (b + j) * lanes, lanes), load(p, (b + j + 1) * lanes, lanes)
            z2, z3 = load(p, (b + j + 2) * lanes, lanes), load(p, (b + j + 3) * lanes, lanes)
        for i in range(n_in):
            x_i, row = load(scratch.values, (x + i) * lanes, lanes), W + i * n_out + j
            z0 = z0 + x_i * load(p, row * lanes, lanes)
            z1 = z1 + x_i * load(p, (row + 1) * lanes, lanes)
            z2 = z2 + x_i * load(p, (row + 2) * lanes, lanes)
            z3 = z3 + x_i * load(p, (row + 3) * lanes, lanes)
        return z0, z1, z2, z3

    return one_sum, four_sums


@made_once
def _make_hidden_layer(hidden: Codes, bias: bool, keeps: bool, lanes: int) -> Any:
    """Make a hidden layer's values from its inputs', and slopes if they are kept."""
    one_sum, four_sums = _make_weighted_sums(bias, lanes)

    def for_code(code: int) -> Any:
        value, slope = VALUES[code], SLOPES[code]

        @ordered
        def put(scratch, place, unit, z):
            a = value(z)
            store(scratch.values, place * lanes, a * load(scratch.present, unit * lanes, lanes))
            if keeps:  # of a unit that is not present too: the weights that lead on from it are 0
                store(scratch.slopes, place * lanes, slope(z, a))

        @ordered
        def hidden_layer(code, p, W, b, n_in, n_out, scratch, x, units, unit):
            for j in range(0, n_out - 3, 4):
                z0, z1, z2, z3 = four_sums(p, W, b, n_in, n_out, scratch, x, j)
                put(scratch, units + j, unit + j, z0)
                put(scratch, units + j + 1, unit + j + 1, z1)
                put(scratch, units + j + 2, unit + j + 2, z2)
                put(scratch, units + j + 3, unit + j + 3, z3)
            for j in range(n_out - n_out % 4, n_out):
                z = one_sum(p, W, b, n_in, n_out, scratch, x, j)
                put(scratch, units + j, unit + j, z)

        return hidden_layer

    return by_code(for_code, hidden)


@made_once
def make_forward(hidden: Codes, bias: bool, keeps: bool, drops: bool, lanes: int) -> Any:
    """Make the way up to the outputs' z; dropout is numbered from *counter*."""
    one_sum, _ = _make_weighted_sums(bias, lanes)
    hidden_layer = _make_hidden_layer(hidden, bias, keeps, lanes)

    @ordered
    def forward(layers, p, scratch, options, counter):
        last = len(layers) - 1
        for l in range(last + 1):
            n_in, n_out, units = layers[l, N_IN], layers[l, N_OUT], layers[l, UNITS]
            W, b, x = layers[l, WEIGHTS], layers[l, BIAS], layers[l, INPUTS]
            if l < last:
                unit, code = units - layers[0, N_IN], layers[l, ACTIVATION]
                hidden_layer(code, p, W, b, n_in, n_out, scratch, x, units, unit)
                for j in range(n_out if drops else 0):
                    drop(scratch, units + j, 1, l, j, counter, options, lanes)
            else:
                for j in range(n_out):
                    z = one_sum(p, W, b, n_in, n_out, scratch, x, j)
                    store(scratch.values, (units + j) * lanes, z)

    return forward


@made_once
def _make_rows(act: Any, lanes: int) -> tuple[Any, Any]:
    """Make *act* on all W_ij of input i, and on those of the two from i on, which share each d_j.

    They return Σ_j d_j W_ij of the weights before, and one also the sum of what *act* returns.
    """

    @ordered
    def one_row(own, W, n_out, scratch, x, d, i):
        x_i, total = load(scratch.values, (x + i) * lanes, lanes), load(scratch.zero, 0, lanes)
        beside = splat(0.0, lanes)
        for j in range(n_out):
            place = (W + i * n_out + j) * lanes
            w, d_j = load(own.p, place, lanes), load(scratch.deltas, (d + j) * lanes, lanes)
            total = total + d_j * w
            beside = beside + act(own, place, w, x_i * d_j)
        return total, beside

    @ordered
    def two_rows(own, W, n_out, scratch, x, d, i):
        total_0 = total_1 = load(scratch.zero, 0, lanes)
        x_0 = load(scratch.values, (x + i) * lanes, lanes)
        x_1 = load(scratch.values, (x + i + 1) * lanes, lanes)
        for j in range(n_out):
            place = (W + i * n_out + j) * lanes
            below, d_j = place + n_out * lanes, load(scratch.deltas, (d + j) * lanes, lanes)
            w_0, w_1 = load(own.p, place, lanes), load(own.p, below, lanes)
            total_0, total_1 = total_0 + d_j * w_0, total_1 + d_j * w_1
            act(own, place, w_0, x_0 * d_j)
            act(own, below, w_1, x_1 * d_j)
        return total_0, total_1

    return one_row, two_rows


@made_once
def _make_back(
    hidden: Codes, bias: bool, keeps: bool, act: Any, act_on_bias: Any, by_two: bool, lanes: int
) -> tuple[Any, Any]:
    """Make the way back of a layer, to the deltas of the units below, whose biases get these.

    The second is that of a network's only output. Both return the sum of what was returned.
    """
    one_row, two_rows = _make_rows(act, lanes)

    def make_put(code: int) -> Any:
        slope = SLOPES[code]

        @ordered
        def put(own, b, scratch, at, total):
            place, a = at * lanes, load(scratch.values, at * lanes, lanes)
            d = total * (load(scratch.slopes, place, lanes) if keeps else slope(a, a))
            store(scratch.deltas, place, d)
            if bias:
                return act_on_bias(own, b * lanes, load(own.p, b * lanes, lanes), d)
            return splat(0.0, lanes)

        return put

    def of_many(code: int) -> Any:
        put = make_put(code)

        @ordered
        def back(code, own, W, b, n_in, n_out, scratch, x, d):
            beside = splat(0.0, lanes)
            if by_two:
                for i in range(0, n_in - 1, 2):
                    total_0, total_1 = two_rows(own, W, n_out, scratch, x, d, i)
                    put(own, b + i, scratch, x + i, total_0)
                    put(own, b + i + 1, scratch, x + i + 1, total_1)
            for i in range(n_in - n_in % 2 if by_two else 0, n_in):
                total, of_weights = one_row(own, W, n_out, scratch, x, d, i)
                of_bias = put(own, b + i, scratch, x + i, total)
                beside = beside + (of_weights + of_bias)
            return beside

        return back

    def of_one(code: int) -> Any:
        put = make_put(code)

        @ordered
        def back(code, own, W, b, n_in, scratch, x, d):
            d_0, beside = load(scratch.deltas, d * lanes, lanes), splat(0.0, lanes)
            for i in range(n_in):
                place, x_i = (W + i) * lanes, load(scratch.values, (x + i) * lanes, lanes)
                w = load(own.p, place, lanes)
                of_weight = act(own, place, w, x_i * d_0)
                of_bias = put(own, b + i, scratch, x + i, d_0 * w)
                beside = beside + (of_weight + of_bias)
            return beside

        return back

    return by_code(of_many, hidden), by_code(of_one, hidden)


@made_once
def make_backward(
    hidden: Codes, bias: bool, keeps: bool, act: Any, act_on_bias: Any, by_two: bool, lanes: int
) -> Any:
    """Make the way back from the outputs' deltas; it returns the sum of what was returned.

    With *by_two* weights go by two rows where they can; then nothing is to be returned.
    """
    back, back_of_one = _make_back(hidden, bias, keeps, act, act_on_bias, by_two, lanes)
    one_row, two_rows = _make_rows(act, lanes)

    @ordered
    def backward(layers, own, scratch):
        last, beside = len(layers) - 1, splat(0.0, lanes)
        b, outputs, n_outputs = layers[last, BIAS], layers[last, UNITS], layers[last, N_OUT]
        for j in range(n_outputs if bias else 0):
            place, d_j = (b + j) * lanes, load(scratch.deltas, (outputs + j) * lanes, lanes)
            beside = beside + act_on_bias(own, place, load(own.p, place, lanes), d_j)
        for l in range(last, 0, -1):
            W, x, d = layers[l, WEIGHTS], layers[l, INPUTS], layers[l, UNITS]
            n_in, n_out, b = layers[l, N_IN], layers[l, N_OUT], layers[l - 1, BIAS]
            code = layers[l - 1, ACTIVATION]
            if l == last and n_out == 1:  # of a hidden layer it would be the block's to say
                beside = beside + back_of_one(code, own, W, b, n_in, scratch, x, d)
            else:
                beside = beside + back(code, own, W, b, n_in, n_out, scratch, x, d)
        W, n_in, n_out = layers[0, WEIGHTS], layers[0, N_IN], layers[0, N_OUT]
        x, d = layers[0, INPUTS], layers[0, UNITS]
        if by_two:
            for i in range(0, n_in - 1, 2):
                two_rows(own, W, n_out, scratch, x, d, i)
        for i in range(n_in - n_in % 2 if by_two else 0, n_in):
            beside = beside + one_row(own, W, n_out, scratch, x, d, i)[1]
        return beside

    return backward
