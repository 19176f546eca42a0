"""Training: everything between `fastnn.Network` and an engine.

``job``         what was asked for, validated
``session``     what every way of training shares: the history, Ctrl-C, callbacks, the bar, the end
``cuts``        how epochs are cut into pieces of about 50 ms
``run``         ``fit``: pieces on an engine, and the way back inside one
``streams``     ``fit_stream``: the same run, with other samples for each epoch
``updates``     ``partial_fit`` and ``learn_one``: one update after another
``changes``     what an update changes, to take it back
``lbfgs``       ``fit`` by SciPy's L-BFGS
``groups``      ``fit_many``: which networks are trained together
``block``       a block of them in lanes: its pieces, and what becomes of each
``many``        such a block, or networks each by its own kernel
``workers``     who trains the blocks: this thread, several, or an executor
``watching``    the rules that look at each epoch's values
``scoring``     the validation loss and the metrics after each epoch, of many epochs at once
``interrupts``  Ctrl-C

A piece is about 50 ms of work: thousands of epochs of a problem with four samples, or a part of one
epoch of a large one. Between pieces Python looks at the losses, the stopping rule, the progress bar
and Ctrl-C. How the epochs are cut changes no bit of the result.
"""
