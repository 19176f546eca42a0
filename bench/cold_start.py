"""What new processes run: an import; or an import, a first fit and a first predict.

The work is one epoch of per-sample SGD of 1-128-1 in float64 on 1,000 samples, and a prediction.
"""

IMPORTS = {
    "nothing": "pass",
    "numpy": "import numpy",
    "numba-itself": "import numba",
    "numba": "import fastnn",
    "sklearn": "import sklearn.neural_network",
    "torch": "import torch",
    "jax": "import jax",
}

_DATA = "import numpy as np; X = np.linspace(0, 1, 1000)[:, None]; y = X * X\n"
_FASTNN = f"""{_DATA}import fastnn
net = fastnn.Network([1, 128, 1], seed=0, engine={{engine!r}})
net.fit(X, y, epochs=1, batch_size=1, learning_rate=0.1)
assert net.predict(X).shape == y.shape
"""
_SKLEARN = f"""{_DATA}import warnings; from sklearn.neural_network import MLPRegressor
warnings.simplefilter("ignore")  # it has not converged
net = MLPRegressor(hidden_layer_sizes=(128,), activation="logistic", solver="sgd", alpha=0,
                   batch_size=1, learning_rate_init=0.1, momentum=0, max_iter=1)
assert net.fit(X, y.ravel()).predict(X).shape == (1000,)
"""
_TORCH = f"""{_DATA}import torch; nn = torch.nn
X, y = torch.tensor(X), torch.tensor(y)
net = nn.Sequential(nn.Linear(1, 128), nn.Sigmoid(), nn.Linear(128, 1)).double()
sgd = torch.optim.SGD(net.parameters(), lr=0.1, fused=True)
for i in range(len(X)):
    sgd.zero_grad(); ((net(X[i]) - y[i]) ** 2 / 2).sum().backward(); sgd.step()
assert net(X).shape == y.shape
"""
_JAX = f"""{_DATA}import jax; jnp = jax.numpy; jax.config.update("jax_enable_x64", True)
def outputs(p, x): return jax.nn.sigmoid(x @ p[0] + p[1]) @ p[2] + p[3]
def loss(p, x, y): return ((outputs(p, x) - y) ** 2 / 2).sum()
def update(p, xy): return [a - 0.1 * g for a, g in zip(p, jax.grad(loss)(p, *xy))], None
p = [jnp.ones((1, 128)), jnp.zeros(128), jnp.zeros((128, 1)), jnp.zeros(1)]
p, _ = jax.jit(lambda p, X, y: jax.lax.scan(update, p, (X, y)))(p, X, y)
assert jax.jit(outputs)(p, X).shape == y.shape
"""
FIRST_WORK = {
    **{engine: _FASTNN.format(engine=engine) for engine in ("numba", "numpy", "python")},
    "sklearn": _SKLEARN,
    "torch": _TORCH,
    "jax": _JAX,
}
