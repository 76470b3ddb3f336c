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
#define STEP 4
#define REGION (TILE + 2 * STEP)
#define CELLS (REGION / STEP)
#define SAMPLES 4 /* of `frames` across a block */

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
    float8 of_noise[DCT_SIDE], inverse_of_noise[DCT_SIDE];
    for (int i = 0; i < DCT_SIDE; i++) {
        of_noise[i] = vload8(c * DCT_SIDE + i, variance);
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
            float8 block[DCT_SIDE];
            frequencies_of(region + y * REGION + x, REGION, block);
            float noise = noise_of(frames, frame_columns, frame_rows, scale, left - STEP + x, top - STEP + y);
            float away = shrink_block(block, of_noise, inverse_of_noise, noise, threshold);
            add_windowed(block, window, sum + y * REGION + x, REGION);
            int cell = y / STEP * CELLS + x / STEP;
            away *= noise / (DCT_SIDE * DCT_SIDE * 4);
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
