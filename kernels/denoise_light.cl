/* Light of opposed roots (denoise_roots): of shrunk ones (denoise_shrink), but for what is small and stands out.

     d = noisy - shrunk                    what the shrinkage removed
     D = mean of d^2 / (v / frames) over 3 x 3 pixels, weights (1 2 1) (1 2 1) / 16, edges repeated, of lightness
     P = the same of noisy - m, times max(1 - s^2 / (v / frames), 0)
         m, s^2: mean and variance of shrunk at eight pixels around, two or three away
     f = max(1 - (threshold / max(D, P))^2, 0),  z = shrunk + f d in all planes
     r = z0 + z1 - z2, g = z0 + z2, b = z0 - z1 - z2
     t = y^2 + (1 - f) removed of each plane; below the root of the knee, the tangent
     light = to_working (t - offset)

   A point of light has its energy in all frequencies of a block, a little in each: a star of eight deviations would be
   removed as noise, and a brighter one in part. In the difference it is a point of light again; where all is even around
   it, it is one in `noisy` too, however little was removed. Noise alone has D and P near 1; that of colour is too coarse for nine pixels to tell, so
   lightness decides.
   The square of a root's mean is less than the mean of light by the variance of the root: what was removed of that
   is added, so that dark areas do not darken. noisy = shrunk and removed = 0 -> the inverse of denoise_roots.

   A work-item computes RUN pixels of a row. */
#define RUN 8
#define CELL 4 /* pixels of a cell of `removed`, in each direction */

/* Pixels around a point of light. */
#define AROUND 8
constant int ACROSS[AROUND] = {-3, 3, 0, 0, -2, -2, 2, 2};
constant int DOWN[AROUND] = {0, 0, -3, 3, -2, 2, -2, 2};

/* Eight values of a row from x on; columns outside are clamped to the edge. */
inline float8 load_run(__global const float *row, int width, int x)
{
    if (x >= 0 && x + RUN <= width)
        return vload8(0, row + x);
    float value[RUN];
    for (int i = 0; i < RUN; i++)
        value[i] = row[clamp(x + i, 0, width - 1)];
    return vload8(0, value);
}

/* Columns 0 to 7 of 1 / frames; frames has half the resolution, or no columns: 1. */
inline float8 load_noise(__global const float *frames, int columns, int rows, int x, int y)
{
    if (columns == 0)
        return (float8)(1.0f);
    __global const float *row = frames + (size_t)min(y / 2, rows - 1) * columns;
    float4 half_grid = (float4)(row[min(x / 2, columns - 1)], row[min(x / 2 + 1, columns - 1)],
                                row[min(x / 2 + 2, columns - 1)], row[min(x / 2 + 3, columns - 1)]);
    return 1.0f / (float8)(half_grid.s0, half_grid.s0, half_grid.s1, half_grid.s1, half_grid.s2, half_grid.s2,
                           half_grid.s3, half_grid.s3);
}

inline float8 below_black(float8 root, float8 squared, float knee)
{
    return select(knee * (2.0f * root - knee), squared, root > knee);
}

__kernel void denoise_light(__global const float *noisy,   /* 3 H W */
                            __global const float *shrunk,  /* 3 H W */
                            __global const float *removed, /* 3 ceil(H / 4) ceil(W / 4) */
                            __global const float *frames,  /* frames merged; not read where it has no columns */
                            __global float *light,         /* H W 3, working space */
                            int width, int height, int frame_columns, int frame_rows,
                            float variance, /* of the noise of lightness, per pixel */
                            float threshold,
                            float16 roots) /* rows of to_working, each with its colour's offset; sc..: roots of the knees */
{
    int x = RUN * get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t plane = (size_t)width * height, line = (size_t)y * width;
    int columns = (width + CELL - 1) / CELL, rows = (height + CELL - 1) / CELL;
    size_t cell = (size_t)(y / CELL) * columns + x / CELL, cells = (size_t)columns * rows;
    float8 level = variance * load_noise(frames, frame_columns, frame_rows, x, y);
    float8 here = load_run(shrunk + line, width, x), mean = 0.0f, square = 0.0f, away = 0.0f, point = 0.0f;
    for (int k = 0; k < AROUND; k++) {
        size_t row = (size_t)clamp(y + DOWN[k], 0, height - 1) * width;
        float8 other = load_run(shrunk + row, width, x + ACROSS[k]) - here;
        mean += other / AROUND;
        square += other * other / AROUND;
    }
    for (int j = -1; j <= 1; j++) {
        size_t row = (size_t)clamp(y + j, 0, height - 1) * width;
        for (int i = -1; i <= 1; i++) {
            float weight = (i == 0 ? 0.5f : 0.25f) * (j == 0 ? 0.5f : 0.25f);
            float8 value = load_run(noisy + row, width, x + i);
            float8 apart = value - load_run(shrunk + row, width, x + i), above = value - here - mean;
            away += weight * apart * apart;
            point += weight * above * above;
        }
    }
    point *= fmax(1.0f - fmax(square - mean * mean, 0.0f) / level, 0.0f);
    float8 ratio = threshold * level / fmax(fmax(away, point), 1e-20f);
    float8 kept = fmax(1.0f - ratio * ratio, 0.0f), z[3], gone[3];
    for (int c = 0; c < 3; c++) {
        float8 less = load_run(shrunk + c * plane + line, width, x);
        z[c] = less + kept * (load_run(noisy + c * plane + line, width, x) - less);
        float first = removed[c * cells + cell], second = removed[c * cells + min(cell + 1, cells - 1)];
        gone[c] = (1.0f - kept) * (float8)(first, first, first, first, second, second, second, second);
    }
    float8 all = gone[0] + gone[1] + gone[2];
    float8 red = z[0] + z[1] - z[2], green = z[0] + z[2], blue = z[0] - z[1] - z[2];
    red = below_black(red, red * red + all, roots.sc) - roots.s3;
    green = below_black(green, green * green + (gone[0] + gone[2]), roots.sd) - roots.s7;
    blue = below_black(blue, blue * blue + all, roots.se) - roots.sb;
    float out[3][RUN];
    vstore8(red * roots.s0 + green * roots.s1 + blue * roots.s2, 0, out[0]);
    vstore8(red * roots.s4 + green * roots.s5 + blue * roots.s6, 0, out[1]);
    vstore8(red * roots.s8 + green * roots.s9 + blue * roots.sa, 0, out[2]);
    for (int i = 0; i < min(RUN, width - x); i++)
        for (int c = 0; c < 3; c++)
            light[3 * (line + x + i) + c] = out[c][i];
}
