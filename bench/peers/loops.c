/* The same loops in plain C. Compiled twice, with REAL double and REAL float. */
#include <math.h>

#ifndef REAL
#define REAL double
#define EXP exp
#define TANH tanh
#define LOG log
#define LOG1P log1p
#endif
typedef REAL real;

/* Per-sample SGD of a 1-n_hidden-1 network: sigmoid, identity, half squared error. */
void sgd_curve(int n_hidden, real *restrict W1, real *restrict b1, real *restrict W2,
               real *restrict b2, const real *restrict X, const real *restrict Y, int n,
               int epochs, real rate, real *restrict losses, real *restrict h)
{
    for (int e = 0; e < epochs; e++) {
        real total = 0;
        for (int i = 0; i < n; i++) {
            real x = X[i], z = b2[0];
            for (int j = 0; j < n_hidden; j++) {
                h[j] = 1 / (1 + EXP(-(x * W1[j] + b1[j])));
                z += h[j] * W2[j];
            }
            real error = z - Y[i], step = rate * error;
            total += error * error / 2;
            for (int j = 0; j < n_hidden; j++) {
                real d = step * W2[j] * h[j] * (1 - h[j]);
                W2[j] -= step * h[j];
                b1[j] -= d;
                W1[j] -= d * x;
            }
            b2[0] -= step;
        }
        losses[e] += total;
    }
}

/* Per-sample SGD of a 3-4-1 network without biases, sigmoid in both layers: sizes are constants,
   and the weights are in local arrays, which gcc turns into faster code than memory. */
void sgd_gate(real *restrict W1, real *restrict W2, const real *restrict X,
              const real *restrict Y, int n, int epochs, real rate, real *restrict losses)
{
    enum { N_IN = 3, N_HIDDEN = 4 };
    real w1[N_IN][N_HIDDEN], w2[N_HIDDEN];
    for (int k = 0; k < N_IN; k++)
        for (int j = 0; j < N_HIDDEN; j++)
            w1[k][j] = W1[k * N_HIDDEN + j];
    for (int j = 0; j < N_HIDDEN; j++)
        w2[j] = W2[j];
    for (int e = 0; e < epochs; e++) {
        real total = 0;
        for (int i = 0; i < n; i++) {
            const real *x = X + i * N_IN;
            real h[N_HIDDEN], z = 0;
            for (int j = 0; j < N_HIDDEN; j++) {
                real sum = 0;
                for (int k = 0; k < N_IN; k++)
                    sum += x[k] * w1[k][j];
                h[j] = 1 / (1 + EXP(-sum));
            }
            for (int j = 0; j < N_HIDDEN; j++)
                z += h[j] * w2[j];
            real a = 1 / (1 + EXP(-z)), error = a - Y[i];
            total += error * error / 2;
            real step = rate * error * a * (1 - a);
            for (int j = 0; j < N_HIDDEN; j++) {
                real d = step * w2[j] * h[j] * (1 - h[j]);
                w2[j] -= step * h[j];
                for (int k = 0; k < N_IN; k++)
                    w1[k][j] -= d * x[k];
            }
        }
        losses[e] += total;
    }
    for (int k = 0; k < N_IN; k++)
        for (int j = 0; j < N_HIDDEN; j++)
            W1[k * N_HIDDEN + j] = w1[k][j];
    for (int j = 0; j < N_HIDDEN; j++)
        W2[j] = w2[j];
}

real dot(const real *restrict a, const real *restrict b, int n)
{
    real sum = 0;
    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

#define FUNCTION(name, expression)                                              \
    void name##_of(const real *restrict x, real *restrict out, int n)           \
    {                                                                           \
        for (int i = 0; i < n; i++)                                             \
            out[i] = expression;                                                \
    }
FUNCTION(exp, EXP(x[i]))
FUNCTION(log, LOG(x[i]))
FUNCTION(tanh, TANH(x[i]))
FUNCTION(sigmoid, 1 / (1 + EXP(-x[i])))
FUNCTION(softplus, (x[i] > 0 ? x[i] : 0) + LOG1P(EXP(x[i] > 0 ? -x[i] : x[i])))
