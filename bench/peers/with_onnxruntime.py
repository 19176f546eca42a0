"""onnxruntime: prediction, with one thread unless more are allowed, all optimisations on."""

import numpy as np

from bench.contest import Entry, UnavailableError
from bench.machine import threads
from bench.problems import Problem

_NODES = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "softmax": "Softmax"}


def predict(problem: Problem, _: str) -> Entry:
    """``run`` of a session."""
    try:
        import onnx
        import onnxruntime
    except ImportError:
        raise UnavailableError(
            "onnxruntime is not installed: pip install onnxruntime onnx"
        ) from None
    helper = onnx.helper
    nodes, constants, at = [], [], "x"
    names = [*[problem.activation] * (len(problem.sizes) - 2), problem.output]
    for k, (name, layer) in enumerate(zip(names, problem.layers(problem.start), strict=True)):
        arrays = dict(zip((f"W{k}", f"b{k}"), layer, strict=False))
        constants += [onnx.numpy_helper.from_array(a, key) for key, a in arrays.items()]
        nodes.append(helper.make_node("Gemm", [at, *arrays], [f"z{k}"]))
        at = f"z{k}"
        if name != "identity":
            nodes.append(helper.make_node(_NODES[name], [at], [f"a{k}"]))
            at = f"a{k}"
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(problem.dtype))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", kind, [None, problem.sizes[0]])],
        [helper.make_tensor_value_info(at, kind, [None, problem.sizes[-1]])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its own class, which is not public
        if "NOT_IMPLEMENTED" in str(error):
            raise UnavailableError(f"onnxruntime has no such operator in {problem.dtype}") from None
        raise
    inputs = {"x": problem.own_X()}
    return Entry(
        lambda: session.run(None, inputs), lambda: session.run(None, inputs)[0].ravel(), {}
    )
