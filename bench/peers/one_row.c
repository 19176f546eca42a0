/* One row through a network, as one would write it for the sizes at hand, n times. gcc makes vectors
   of the loops and takes tanh from the vector library. */
#include <math.h>

#define ROWS 1024

/* 3-8-1, sizes as constants; p: W (3, 8), b, V, c */
static inline double of_3_8_1(const double *restrict x, const double *restrict p)
{
    const double *W = p, *b = p + 24, *V = p + 32;
    double z[8] __attribute__((aligned(64)));
    double y = p[40];
    int j;
    for (j = 0; j < 8; j++) z[j] = b[j] + x[0] * W[j] + x[1] * W[8 + j] + x[2] * W[16 + j];
    for (j = 0; j < 8; j++) z[j] = tanh(z[j]);
    for (j = 0; j < 8; j++) y += z[j] * V[j];
    return y;
}

double run_3_8_1(const double *restrict p, const double *restrict X, long n)
{
    double total = 0;
    long k;
    for (k = 0; k < n; k++) total += of_3_8_1(X + 3 * (k % ROWS), p);
    return total;
}

/* 1-m-1, the size as an argument; p: W (1, m), b, V, c */
static double of_1_m_1(double x, const double *restrict p, long m)
{
    const double *W = p, *b = p + m, *V = p + 2 * m;
    double y = p[3 * m];
    long j;
    for (j = 0; j < m; j++) y += tanh(b[j] + x * W[j]) * V[j];
    return y;
}

double run_1_m_1(const double *restrict p, const double *restrict X, long n, long m)
{
    double total = 0;
    long k;
    for (k = 0; k < n; k++) total += of_1_m_1(X[k % ROWS], p, m);
    return total;
}
