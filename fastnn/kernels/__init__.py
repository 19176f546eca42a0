"""The algorithms as numba kernels on flat arrays. The map, and the names.

Which kernel when, as `engine` chooses:

=====================================================  ==========================================
training sample by sample, plain SGD
    the first layer is wide (`wide_input.pays`)        `wide_input.make_train_wide_input`
    one hidden layer, one output, few inputs (`pays`)  `one_output.make_train_one_output`
    one hidden layer otherwise (`one_hidden.pays`)     `one_hidden.make_train_one_hidden`
    other layers                                       `samples.make_train_samples`
training sample by sample with another rule, a         `samples_by_rule`, with `one_hidden_steps`
penalty, a limit, weights, dropout, silu or gelu
training in batches                                    `batches.make_train_batches`
the gradient alone                                     `batches.make_gradient`
training from sparse rows, in batches of any size      `sparse_batches`
many epochs, and their records or scores, around one   `recorded`, with `called`
of the above or below
one row at a time, around one of the above or below    `one_row`, which `learner` prepares
rows of features with names, by their places           `feature_rows`
the outputs, of up to 7 samples                        `row_outputs.make_outputs_by_row`
the outputs, of more; those of every layer             `outputs.make_outputs`
the loss                                               `outputs.make_loss`
derivatives by the inputs, first and second            `derivatives.make_first`;
                                                       `second_derivatives.make_second`
training on them                                       `derivative_training`, by `batches`
many networks at once, a lane each: see `many`
    training sample by sample, plain SGD: one hidden   `many_one_output`
    layer, one output, few inputs
    the same otherwise, by steps in                    `many_samples`;
                                                       `many_sample_steps`
    training in batches                                `many_batches.make_train_many`
    their outputs; their losses                        `many_outputs.make_outputs_of_many`;
                                                       `many_outputs.make_losses_of_many`
in users' own compiled code (`fastnn.jit`), one row    `compiled`, of steps in `stack_rows`;
                                                       from C and SciPy `c_calls`
the profiler's ceilings, and single steps of a layer   `ceilings`, `phases`
=====================================================  ==========================================

What they are made of: the steps of a layer, forward, backward and gradient, for a sample in
`sample_steps`, on parameters that are `padded` meanwhile; for a block of samples in `blocks`, and
the losses in `block_ends`, with the products of `products`, whose `tiles` are in registers, and the
`turning` of what lies the other way; through all layers they go in `samples` and `blocks`. `rows`
has what one sample needs in several kernels; `epochs` is the shell around what is done for each
sample. `activations` and `losses` are of one number, by code; `derivatives` and
`second_derivatives` have the steps for directions of the inputs; `elementary`, exp and its like;
`rules`, those of the optimisers; `updates`, what else is done to a batch's gradient; `random`, for
dropout; `orders`, shuffled rows; `layout`, the table of layers. `lanes` are SIMD values, made in
`llvm`, with the processor's `estimates`. `sparse` has the first layer's steps for sparse rows,
which `batches` and `outputs` take in place of the dense ones. `many_rows`, `many_products` and
`many_updates` are of many networks. `ready` has what `engine` gives its kernels; `forward_engine`,
`many_engine` and `derivative_engine` give theirs what they need. `held` finds arguments that stay
by their address. Large products are shared with idle threads: `sharing`, with `atomics`; `team` has
the threads. `jit` compiles (with private parts of numba in `inlined`), `notice` says so, `cache`
keeps; what is `linked` is compiled once for all kernels.

Names in kernels, capital where they are a matrix:

========  =======================================================================================
X, Y      inputs (n, n_in) and targets (n, n_out) of all samples; x, y: of one, or where it begins
p, g      the flat parameters and the loss's gradient; in `one_output` g is that of the output alone
W, b      a layer's weights and biases: where they begin in p
z, a      weighted sums and the units' values, a = f(z); A: the inputs of a layer for a block
d, D      gradients ∂loss/∂z, of plain SGD times the rate; a unit has the same place in z, a, d
h; V, T   values of hidden units; weights from there to the outputs: where they begin, transposed
i, j, k   an input, a unit, any number of a vector; l: a layer, s: a sample, n: how many there are
m, v      of the optimiser: means of gradients and of their squares; in `losses` m counts outputs
t         the number of this update, from 1; of updates so far, where training begins
w         the workspace: a flat vector in which all of these but p have their places
at        a place in a flat vector from which on a row or a matrix lies
rate      the learning rate; scale: what a batch's gradient is multiplied by
codes     of activations, loss and rule: constants, of which a kernel is made
========  =======================================================================================
"""
