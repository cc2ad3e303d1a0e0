/* A population of Hodgkin-Huxley squid cells in plain C, by the scheme of neurojax.step: gates first
 * with v held, then v along its slope conductance, by the relaxations of neurojax.membrane.relaxation.
 *
 * A chunk of cells stays in the L1 cache for the whole run; the loop over its cells is the one that
 * the compiler vectorises, chunks are spread over the cores. Macros choose between ways to write
 * the same step: -DCHUNK cells, -DINLINE_EXP an exponential of our own in place of libmvec's,
 * -DFEW_EXP rates of equal slope as powers of one another.
 */
#include <math.h>
#include <omp.h>
#include <string.h>

#ifndef CHUNK
#define CHUNK 256
#endif

#ifdef INLINE_EXP
/* 2^k 2^f with |f| <= 1/2: the minimax polynomial is good to 2 units in the last place. */
static inline float exponential(float x)
{
    float y = fminf(fmaxf(x, -87.0f), 87.0f) * 1.44269504f, k = rintf(y), f = y - k;
    float p = 1.5353362e-4f;
    p = p * f + 1.3398874e-3f;
    p = p * f + 9.6184370e-3f;
    p = p * f + 5.5503324e-2f;
    p = p * f + 2.4022648e-1f;
    p = p * f + 6.9314720e-1f;
    p = p * f + 1.0f;
    int bits = ((int)k + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}
#else
#define exponential expf
#endif

/* x / (1 - exp(-x)), given exp(-x). */
static inline float exp_linear(float x, float exp_minus_x)
{
    int near = fabsf(x) < 0.1f;
    float safe = near ? 0.5f : exp_minus_x;
    return near ? 1.0f + x * (0.5f + x * (1.0f / 12)) : x / (1.0f - safe);
}

struct rates { float am, bm, ah, bh, an, bn; };

static inline struct rates rates(float v)
{
    float u = v + 65.0f;
#ifdef FEW_EXP
    float e80 = exponential(-u / 80), e40 = e80 * e80, e20 = e40 * e40, e10 = e20 * e20;
#else
    float e80 = exponential(-u / 80), e20 = exponential(-u / 20);
#endif
#ifdef FEW_EXP
    float em = e10 * 12.1824940f, eh = e10 * 20.0855369f, en = e10 * 2.71828183f;
#else
    float em = exponential(-(v + 40) / 10), eh = exponential(-(v + 35) / 10);
    float en = exponential(-(v + 55) / 10);
#endif
    return (struct rates){
        .am = exp_linear((v + 40) / 10, em), .bm = 4 * exponential(-u / 18),
        .ah = 0.07f * e20, .bh = 1 / (1 + eh),
        .an = 0.1f * exp_linear((v + 55) / 10, en), .bn = 0.125f * e80,
    };
}

/* The mean of what relaxes from 1 in a time of x. */
static inline float mean(float x)
{
    float n = 1 + x * (0.5f + x * (1.0f / 6 + x * (1.0f / 24)));
    return n / (1 + x * n);
}

static inline float moved(float x, float a, float b, float dt)
{
    float rate = a + b;
    return x + dt * (a - rate * x) * mean(dt * rate);
}

/* v_out is [records][n]. Conductances in mS/cm2, current in uA/cm2, dt in ms; C_m is 1 uF/cm2. */
void population(int n, int records, int every, float dt, float current, float v_start,
                const float *g_na, float *v_out)
{
    int threads = omp_get_max_threads(), share = ((n + threads - 1) / threads + 15) / 16 * 16;
    int chunk = share < CHUNK ? share : CHUNK; /* a small population still uses all cores */
#pragma omp parallel for schedule(dynamic)
    for (int begin = 0; begin < n; begin += chunk) {
        int size = n - begin < chunk ? n - begin : chunk;
        float v[CHUNK] __attribute__((aligned(64))), m[CHUNK] __attribute__((aligned(64)));
        float h[CHUNK] __attribute__((aligned(64))), k[CHUNK] __attribute__((aligned(64)));
        float g[CHUNK] __attribute__((aligned(64)));
        for (int c = 0; c < CHUNK; c++) {
            struct rates r = rates(v_start);
            v[c] = v_start;
            m[c] = r.am / (r.am + r.bm);
            h[c] = r.ah / (r.ah + r.bh);
            k[c] = r.an / (r.an + r.bn);
            g[c] = g_na[begin + (c < size ? c : 0)];
        }
        int lanes = (size + 15) / 16 * 16; /* whole vectors, so that no cell is left to a slow end */
        for (int record = 0; record < records; record++) {
            for (int step = 0; step < every; step++) {
#pragma omp simd
                for (int c = 0; c < lanes; c++) {
                    struct rates r = rates(v[c]);
                    m[c] = moved(m[c], r.am, r.bm, dt);
                    h[c] = moved(h[c], r.ah, r.bh, dt);
                    k[c] = moved(k[c], r.an, r.bn, dt);
                    float k2 = k[c] * k[c];
                    float na = g[c] * m[c] * m[c] * m[c] * h[c], potassium = 36 * k2 * k2;
                    float slope = na + potassium + 0.3f;
                    float i = na * (v[c] - 50) + potassium * (v[c] + 77)
                        + 0.3f * (v[c] + 54.387f) - current;
                    v[c] -= dt * i * mean(dt * slope);
                }
            }
            memcpy(v_out + (size_t)record * n + begin, v, size * sizeof *v);
        }
    }
}
