/* Shrinkage of planes by the noise in them, in overlapping blocks of 8 x 8 pixels.

     z = planes + U(coarse - coarse_noisy)    U: bilinear interpolation from half the resolution
     B = DCT-II of a block of z, orthonormal; blocks start at every multiple of 4, edges are mirrored
     e = |B|^2 / (n v)                        v: variance of the noise at that frequency; n: mean of 1 / frames
     E = mean of e over the 3 x 3 frequencies around, weights (1 2 1) (1 2 1) / 16, the last ones repeated; e of
         the constant frequency counts as 1
     F = max(1 - (T / E)^4, 0)                1 for the constant frequency
     T = threshold (EVEN + (1 - EVEN) s)      s: smoothstep from 1.2 to 2 of the mean of e over the block
     shrunk = sum over blocks of w DCT^-1(F B),  w = sin^2(pi (x + 1/2) / 8) in each direction, which sums to 1
     removed = the variance of the noise that was removed: mean over the four blocks of a cell of 4 x 4 pixels of
         the sum of (1 - F^2) n v / 64

   A frequency is judged by its neighbours too, as detail is seldom at one frequency alone: texture is kept where
   single coefficients are below their noise, and lone coefficients of noise are not (Cai and Silverman 2001,
   "Incorporating information on neighbouring coefficients into wavelet estimation"; blocks as in Yu and Sapiro
   2011, doi:10.5201/ipol.2011.ys-dct). A block that holds no more than noise is shrunk more: what is left of noise is
   seen there first. What is coarser than a block is left to the planes at half the resolution.
   threshold 0 -> shrunk = z but for rounding.

   Execution: a work-item computes TILE x TILE pixels of one plane, all blocks that reach into them. */
#define TILE 32
#define SIDE 8
#define STEP 4
#define REGION (TILE + 2 * STEP)
#define CELLS (REGION / STEP)
#define SAMPLES 4 /* of `frames` across a block */

#define EVEN 1.7f /* times the threshold, in blocks of noise alone */
#define EVEN_FROM 1.2f /* mean energy of a block over that of noise; noise alone is within 1 +- 0.18 */
#define EVEN_TO 2.0f

constant float WINDOW[SIDE] = {0.03806023f, 0.30865828f, 0.69134172f, 0.96193977f,
                               0.96193977f, 0.69134172f, 0.30865828f, 0.03806023f};
#define C1 0.49039264f /* cos(k pi / 16) / 2 */
#define C2 0.46193977f
#define C3 0.41573481f
#define C4 0.35355339f
#define C5 0.27778512f
#define C6 0.19134172f
#define C7 0.09754516f

inline void forward(float8 *v)
{
    float8 s0 = v[0] + v[7], s1 = v[1] + v[6], s2 = v[2] + v[5], s3 = v[3] + v[4];
    float8 d0 = v[0] - v[7], d1 = v[1] - v[6], d2 = v[2] - v[5], d3 = v[3] - v[4];
    float8 a = s0 + s3, b = s1 + s2, c = s0 - s3, d = s1 - s2;
    v[0] = C4 * (a + b);
    v[4] = C4 * (a - b);
    v[2] = C2 * c + C6 * d;
    v[6] = C6 * c - C2 * d;
    v[1] = C1 * d0 + C3 * d1 + C5 * d2 + C7 * d3;
    v[3] = C3 * d0 - C7 * d1 - C1 * d2 - C5 * d3;
    v[5] = C5 * d0 - C1 * d1 + C7 * d2 + C3 * d3;
    v[7] = C7 * d0 - C5 * d1 + C3 * d2 - C1 * d3;
}

inline void inverse(float8 *v)
{
    float8 a = C4 * (v[0] + v[4]), b = C4 * (v[0] - v[4]);
    float8 c = C2 * v[2] + C6 * v[6], d = C6 * v[2] - C2 * v[6];
    float8 s0 = a + c, s1 = b + d, s2 = b - d, s3 = a - c;
    float8 d0 = C1 * v[1] + C3 * v[3] + C5 * v[5] + C7 * v[7];
    float8 d1 = C3 * v[1] - C7 * v[3] - C1 * v[5] - C5 * v[7];
    float8 d2 = C5 * v[1] - C1 * v[3] + C7 * v[5] + C3 * v[7];
    float8 d3 = C7 * v[1] - C5 * v[3] + C3 * v[5] - C1 * v[7];
    v[0] = s0 + d0;
    v[7] = s0 - d0;
    v[1] = s1 + d1;
    v[6] = s1 - d1;
    v[2] = s2 + d2;
    v[5] = s2 - d2;
    v[3] = s3 + d3;
    v[4] = s3 - d3;
}

/* Three perfect shuffles of rows are a transposition. */
inline void transpose(float8 *v)
{
    for (int round = 0; round < 3; round++) {
        float8 t[SIDE];
        for (int i = 0; i < SIDE / 2; i++) {
            float8 a = v[i], b = v[i + SIDE / 2];
            t[2 * i] = (float8)(a.s0, b.s0, a.s1, b.s1, a.s2, b.s2, a.s3, b.s3);
            t[2 * i + 1] = (float8)(a.s4, b.s4, a.s5, b.s5, a.s6, b.s6, a.s7, b.s7);
        }
        for (int i = 0; i < SIDE; i++)
            v[i] = t[i];
    }
}

inline float sum_of(float8 v)
{
    float4 four = v.lo + v.hi;
    return (four.x + four.y) + (four.z + four.w);
}

/* Shrink the frequencies of a block, one across in each vector, and return the sum of (1 - F^2) v. */
inline float shrink(float8 *block, const float8 *variance, const float8 *inverse_variance, float noise,
                    float threshold)
{
    float8 around[SIDE], all = 0.0f;
    for (int i = 0; i < SIDE; i++) {
        float8 e = block[i] * block[i] * inverse_variance[i] / noise;
        if (i == 0)
            e.s0 = 1.0f;
        all += e;
        around[i] = 2.0f * e + (float8)(e.s0, e.s0, e.s1, e.s2, e.s3, e.s4, e.s5, e.s6)
                    + (float8)(e.s1, e.s2, e.s3, e.s4, e.s5, e.s6, e.s7, e.s7);
    }
    float8 removed = 0.0f;
    threshold *= mix(EVEN, 1.0f, smoothstep(EVEN_FROM, EVEN_TO, sum_of(all) / (SIDE * SIDE)));
    for (int i = 0; i < SIDE; i++) {
        float8 energy = 2.0f * around[i] + around[max(i - 1, 0)] + around[min(i + 1, SIDE - 1)];
        float8 ratio = 16.0f * threshold / fmax(energy, 16e-9f);
        ratio *= ratio;
        float8 factor = fmax(1.0f - ratio * ratio, 0.0f);
        if (i == 0)
            factor.s0 = 1.0f;
        block[i] *= factor;
        removed += (1.0f - factor * factor) * variance[i];
    }
    return sum_of(removed);
}

/* Row y of a plane from column x on, REGION pixels, plus the correction from half the resolution. */
inline void read_row(__global const float *plane, int width, __global const float *coarse,
                     __global const float *coarse_noisy, int coarse_width, int coarse_height, int x, int y,
                     float *row)
{
    bool is_inside = x >= 2 && x + REGION + 2 <= width && coarse_width > 0;
    if (is_inside) { /* x is even */
        int above = min(y / 2 - 1 + (y & 1), coarse_height - 1), below = min(above + 1, coarse_height - 1);
        float part = y & 1 ? 0.25f : 0.75f;
        size_t one = (size_t)max(above, 0) * coarse_width + x / 2 - 1, other = (size_t)below * coarse_width + x / 2 - 1;
        float across[REGION / 2 + 2];
        for (int i = 0; i < REGION / 2 + 2; i++) {
            float a = coarse[one + i] - coarse_noisy[one + i], b = coarse[other + i] - coarse_noisy[other + i];
            across[i] = a + part * (b - a);
        }
        __global const float *from = plane + (size_t)y * width + x;
        for (int i = 0; i < REGION / 2; i++) {
            row[2 * i] = from[2 * i] + 0.25f * across[i] + 0.75f * across[i + 1];
            row[2 * i + 1] = from[2 * i + 1] + 0.75f * across[i + 1] + 0.25f * across[i + 2];
        }
        return;
    }
    for (int i = 0; i < REGION; i++) {
        int at = mirror(x + i, width);
        row[i] = plane[(size_t)y * width + at];
        if (coarse_width > 0) {
            float cx = 0.5f * at - 0.25f, cy = 0.5f * y - 0.25f;
            row[i] += sample1(coarse, coarse_width, coarse_height, cx, cy)
                      - sample1(coarse_noisy, coarse_width, coarse_height, cx, cy);
        }
    }
}

/* Mean of 1 / frames over a block at (x, y); its pixels are `scale` wide, those of frames 2. */
inline float noise_of(__global const float *frames, int columns, int rows, int scale, int x, int y)
{
    if (columns == 0)
        return 1.0f;
    float sum = 0.0f;
    for (int j = 0; j < SAMPLES; j++)
        for (int i = 0; i < SAMPLES; i++) {
            int column = clamp(x * scale / 2 + i * scale, 0, columns - 1);
            int row = clamp(y * scale / 2 + j * scale, 0, rows - 1);
            sum += 1.0f / frames[(size_t)row * columns + column];
        }
    return sum / (SAMPLES * SAMPLES);
}

__kernel void denoise_shrink(__global const float *planes,       /* 3 H W */
                             __global const float *coarse,       /* 3 h w: at half the resolution, shrunk */
                             __global const float *coarse_noisy, /* 3 h w: and not; not read where w is 0 */
                             __global const float *variance,     /* 3 8 8: plane, frequency across, down */
                             __global const float *frames,       /* frames merged; not read where it has no columns */
                             __global float *shrunk,             /* 3 H W */
                             __global float *removed,            /* 3 ceil(H / 4) ceil(W / 4) */
                             int width, int height, int coarse_width, int coarse_height, int frame_columns,
                             int frame_rows, int scale, float threshold)
{
    int left = get_global_id(0) * TILE, top = get_global_id(1) * TILE, c = get_global_id(2);
    if (left >= width || top >= height || c >= 3)
        return;
    planes += (size_t)c * height * width;
    shrunk += (size_t)c * height * width;
    coarse += (size_t)c * coarse_height * coarse_width;
    coarse_noisy += (size_t)c * coarse_height * coarse_width;
    float8 of_noise[SIDE], inverse_of_noise[SIDE];
    for (int i = 0; i < SIDE; i++) {
        of_noise[i] = vload8(c * SIDE + i, variance);
        inverse_of_noise[i] = 1.0f / of_noise[i];
    }
    float region[REGION * REGION], sum[REGION * REGION], gone[CELLS * CELLS];
    for (int j = 0; j < REGION; j++)
        read_row(planes, width, coarse, coarse_noisy, coarse_width, coarse_height, left - STEP,
                 mirror(top - STEP + j, height), region + j * REGION);
    for (int i = 0; i < REGION * REGION; i++)
        sum[i] = 0.0f;
    for (int i = 0; i < CELLS * CELLS; i++)
        gone[i] = 0.0f;
    float8 window = vload8(0, WINDOW);
    for (int y = 0; y <= TILE; y += STEP)
        for (int x = 0; x <= TILE; x += STEP) {
            float8 block[SIDE];
            for (int i = 0; i < SIDE; i++)
                block[i] = vload8(0, region + (y + i) * REGION + x);
            float noise = noise_of(frames, frame_columns, frame_rows, scale, left - STEP + x, top - STEP + y);
            forward(block);
            transpose(block);
            forward(block);
            float away = shrink(block, of_noise, inverse_of_noise, noise, threshold);
            inverse(block);
            transpose(block);
            inverse(block);
            for (int i = 0; i < SIDE; i++) {
                float *to = sum + (y + i) * REGION + x;
                vstore8(vload8(0, to) + WINDOW[i] * window * block[i], 0, to);
            }
            int cell = y / STEP * CELLS + x / STEP;
            away *= noise / (SIDE * SIDE * 4);
            gone[cell] += away;
            gone[cell + 1] += away;
            gone[cell + CELLS] += away;
            gone[cell + CELLS + 1] += away;
        }
    for (int j = 0; j < min(TILE, height - top); j++)
        for (int i = 0; i < min(TILE, width - left); i++)
            shrunk[(size_t)(top + j) * width + left + i] = sum[(j + STEP) * REGION + i + STEP];
    int cells_width = (width + STEP - 1) / STEP, cells_height = (height + STEP - 1) / STEP;
    removed += (size_t)c * cells_height * cells_width;
    for (int j = 0; j < min(TILE / STEP, cells_height - top / STEP); j++)
        for (int i = 0; i < min(TILE / STEP, cells_width - left / STEP); i++)
            removed[(size_t)(top / STEP + j) * cells_width + left / STEP + i] = gone[(j + 1) * CELLS + i + 1];
}
