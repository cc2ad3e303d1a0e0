/* A population of Hodgkin-Huxley squid cells in CUDA, by the scheme of neurojax.step: gates first with
 * v held, then v along its slope conductance, by the relaxations of neurojax.membrane.relaxation.
 *
 * A thread keeps a cell in registers for the whole run. As a kernel does, all exponentials but one
 * are powers of exp(-v / 80), and divisions are products with the hardware's reciprocal. What does
 * not change in time is in the constants: rates and conductances are scaled by the step.
 *
 * Compiled as C++ (g++ -x c++) it is the same program for the CPU, slow, to be checked there.
 */
#ifndef __CUDACC_RTC__
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#endif

#ifndef DT
#define DT 0.025 /* ms */
#endif
#ifndef EVERY
#define EVERY 10 /* steps between records */
#endif
#ifndef UNROLL
#define UNROLL 5 /* steps in one turn of the loop: what the first instruction cache holds */
#endif

#ifdef __CUDACC__
#define INLINE static __device__ __forceinline__
INLINE float reciprocal(float x)
{
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
#else
#define INLINE static inline
INLINE float reciprocal(float x) { return 1 / x; }
#endif

constexpr double S = DT;
constexpr double E = 2.718281828459045, ROOT = 1.6487212707001282; /* exp(1), exp(1/2) */
constexpr int TURN = UNROLL;

struct state { float v, m, h, n; };

/* The mean of what relaxes at a rate, scaled, from 1. */
INLINE float mean(float rate)
{
    float n = rate * (rate * (rate * float(1.0 / 24) + float(1.0 / 6)) + 0.5f) + 1;
    return n * reciprocal(rate * n + 1);
}

INLINE float moved(float x, float opening, float rate)
{
    return x + (opening - rate * x) * mean(rate);
}

/* A gate that closes at rate beta, and opens at one * x / (1 - exp(-x)), which is y / q for
 * y = one * x and q = 1 - exp(-x). Near x = 0, where that is 0 / 0, it is a series.
 */
INLINE float exp_linear_gate(float x, float y, float q, float beta, double one)
{
    bool near = fabsf(y) < float(0.1 * one);
    float series = y * (y * float(1 / (12 * one)) + 0.5f) + float(one);
    float alpha = near ? series : y * reciprocal(q);
    return moved(x, alpha, alpha + beta);
}

INLINE state step(state s, float g_na, float current)
{
    /* exp(-(v + 40) / 10) is c * e10, and so on */
    constexpr double c35 = 1 / (E * E * E * ROOT), c40 = 1 / (E * E * E * E), c55 = c40 / E / ROOT;
    constexpr double c65_80 = 0.44374731008107987, c65_20 = 0.03877420783172201; /* exp(-65 / .) */
    float v = s.v;
    float e80 = expf(v * float(-1.0 / 80)), e40 = e80 * e80, e20 = e40 * e40, e10 = e20 * e20;
    float e18 = expf(v * float(-1.0 / 18) - float(65.0 / 18));

    s.n = exp_linear_gate(s.n, v * float(S / 100) + float(S * 0.55), e10 * float(-c55) + 1,
                          e80 * float(S * 0.125 * c65_80), S * 0.1);
    s.m = exp_linear_gate(s.m, v * float(S / 10) + float(S * 4), e10 * float(-c40) + 1,
                          e18 * float(S * 4), S);
    float alpha = e20 * float(S * 0.07 * c65_20), q = e10 * float(c35) + 1; /* beta is S / q */
    s.h = moved(s.h, alpha, float(S) * reciprocal(q) + alpha);

    float n2 = s.n * s.n, n4 = n2 * n2, na = g_na * (s.m * s.m * (s.m * s.h)); /* g_na is scaled */
    float slope = n4 * float(S * 36) + float(S * 0.3) + na;
    float toward = current * float(S) + float(S * 0.3 * -54.387);
    toward = na * 50 + (n4 * float(S * 36 * -77) + toward);
    s.v = v + (toward - slope * v) * mean(slope);
    return s;
}

/* All gates where they settle at v. */
INLINE state settled(float v)
{
    float m = (v + 40) / 10, n = (v + 55) / 10; /* not 0 where cells start */
    float am = m / (1 - expf(-m)), bm = 4 * expf((v + 65) / -18);
    float an = 0.1f * n / (1 - expf(-n)), bn = 0.125f * expf((v + 65) / -80);
    float ah = 0.07f * expf((v + 65) / -20), bh = 1 / (1 + expf((v + 35) / -10));
    state s = {v, am / (am + bm), ah / (ah + bh), an / (an + bn)};
    return s;
}

/* One cell from beginning to end. `v_out` is [records][n], `current` one number a step. */
INLINE void integrate(size_t cell, size_t n, int records, float v_start, const float *g_na,
                      const float *current, float *v_out)
{
    state s = settled(v_start);
    float g = g_na[cell] * float(S);
    for (int record = 0; record < records; record++) {
#ifdef __CUDACC__
#pragma unroll TURN
#endif
        for (int k = 0; k < EVERY; k++)
            s = step(s, g, current[k]);
        current += EVERY;
        v_out[record * n + cell] = s.v;
    }
}

#ifdef __CUDACC__
/* The bounds leave the compiler registers for constants, which it would load anew in every step. */
extern "C" __global__ __launch_bounds__(256, 5) void
population(int n, int records, float v_start, const float *__restrict__ g_na,
           const float *__restrict__ current, float *__restrict__ v_out)
{
    int cell = blockIdx.x * blockDim.x + threadIdx.x;
    if (cell < n)
        integrate(cell, n, records, v_start, g_na, current, v_out);
}
#endif

/* -- the program -------------------------------------------------------------------------------
 * Arguments: n, records, stride, v_start, a file with g_na [n] and current [records * EVERY], and one
 * for v of every stride-th cell, [records][(n + stride - 1) / stride]; all float32. Prints the seconds
 * of the fastest block size, each the median of some runs.
 */
#ifndef __CUDACC_RTC__
#ifdef __CUDACC__
constexpr int BLOCKS[] = {64, 128, 256}, RUNS = 5;

static void check(cudaError_t error)
{
    if (error != cudaSuccess) {
        fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(error));
        exit(1);
    }
}

static float *on_device(size_t size, const float *from = nullptr)
{
    void *there;
    check(cudaMalloc(&there, size * sizeof(float)));
    if (from)
        check(cudaMemcpy(there, from, size * sizeof(float), cudaMemcpyHostToDevice));
    return (float *)there;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static __global__ void gather(size_t size, size_t few, size_t n, size_t stride, const float *v,
                              float *out)
{
    size_t k = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (k < size)
        out[k] = v[k / few * n + k % few * stride];
}
#endif

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: hh n records stride v_start cells v\n");
        return 2;
    }
    size_t n = atol(argv[1]), records = atol(argv[2]), stride = atol(argv[3]);
    size_t steps = records * EVERY, few = (n + stride - 1) / stride;
    float v_start = atof(argv[4]);
    float *g_na = new float[n], *current = new float[steps], *v = new float[records * few];
    FILE *file = fopen(argv[5], "rb");
    if (!file || fread(g_na, sizeof(float), n, file) != n
        || fread(current, sizeof(float), steps, file) != steps) {
        fprintf(stderr, "no input in %s\n", argv[5]);
        return 1;
    }
    double seconds = 1e9, megabytes = (n + steps + records * n) * sizeof(float) / 1048576.0;
    int best = 1;
#ifdef __CUDACC__
    float *g_there = on_device(n, g_na), *current_there = on_device(steps, current);
    float *v_there = on_device(records * n), *few_there = on_device(records * few);
    cudaEvent_t began, ended;
    check(cudaEventCreate(&began));
    check(cudaEventCreate(&ended));
    for (int block : BLOCKS) {
        float ms[RUNS];
        for (int run = -1; run < RUNS; run++) { /* the first one wakes the device up */
            check(cudaEventRecord(began));
            population<<<(n + block - 1) / block, block>>>(n, records, v_start, g_there,
                                                           current_there, v_there);
            check(cudaGetLastError());
            check(cudaEventRecord(ended));
            check(cudaEventSynchronize(ended));
            if (run >= 0)
                check(cudaEventElapsedTime(ms + run, began, ended));
        }
        qsort(ms, RUNS, sizeof *ms, by_size);
        if (ms[RUNS / 2] * 1e-3 < seconds)
            seconds = ms[RUNS / 2] * 1e-3, best = block;
    }
    gather<<<(records * few + 255) / 256, 256>>>(records * few, few, n, stride, v_there, few_there);
    check(cudaGetLastError());
    check(cudaMemcpy(v, few_there, records * few * sizeof(float), cudaMemcpyDeviceToHost));
#else
    float *all = new float[records * n];
    clock_t began = clock();
    for (size_t cell = 0; cell < n; cell++)
        integrate(cell, n, records, v_start, g_na, current, all);
    seconds = double(clock() - began) / CLOCKS_PER_SEC;
    for (size_t k = 0; k < records * few; k++)
        v[k] = all[k / few * n + k % few * stride];
#endif
    file = fopen(argv[6], "wb");
    if (!file || fwrite(v, sizeof(float), records * few, file) != records * few || fclose(file)) {
        fprintf(stderr, "no output to %s\n", argv[6]);
        return 1;
    }
    printf("{\"seconds\": %.9g, \"block\": %d, \"device_MB\": %.3f}\n", seconds, best, megabytes);
    return 0;
}
#endif
