/* Detail of the reference that displaced frames do not have, added to the mean light.

     d = apart (demosaic_interpolate), in overlapping blocks of 8 x 8 as in denoise_shrink
     v = q variance,   q = mean of others / ((1 + own) (1 + own + others)) over the block,   own, others = counts
     D = sum over blocks of the window times DCT^-1(M F B),   F as in denoise_shrink, 0 for the constant frequency
     M = min((14 - i - j) / 7, 1)         i, j = 0 .. 7: the frequency across and down
     y = even_root(from_working light + offset) + D in each colour,   light = to_working (y^2 - offset)

   Interpolation takes the finest detail of displaced frames, and their displacements err by parts of a pixel. Where the
   reference differs from the mean by more than its noise, at some frequency, it is right and the mean is not: there
   the reference counts alone (the rule of Hasinoff 2016, doi:10.1145/2980179.2980254, section 5, whose frames are
   displaced by whole pixels). Only measured samples are compared, each with the mean of its colour, so no demosaic errs
   in it: they are taken for samples of lightness. Where they are not, in detail of one colour, the difference has the
   pattern of the filter array, which is what M removes. variance is that of a sample's root. apart 0 -> light is
   unchanged.

   Execution: a work-item computes TILE x TILE pixels, all blocks that reach into them. */
#define TILE 32
#define STEP 4
#define REGION (TILE + 2 * STEP)

/* q of a block at (x, y). */
inline float part_of_noise(__global const float *counts, int columns, int rows, int x, int y)
{
    size_t plane = (size_t)columns * rows;
    float sum = 0.0f;
    for (int j = 0; j < DCT_SIDE / 2; j++)
        for (int i = 0; i < DCT_SIDE / 2; i++) {
            size_t at = (size_t)clamp(y / 2 + j, 0, rows - 1) * columns + clamp(x / 2 + i, 0, columns - 1);
            float own = 1.0f + counts[at], others = counts[plane + at];
            sum += others / (own * (own + others));
        }
    return sum / (DCT_SIDE * DCT_SIDE / 4);
}

inline float3 light_of_root(float3 root, float3 knee)
{
    return select(knee * (2.0f * root - knee), root * root, root > knee);
}

__kernel void demosaic_detail(__global const half *apart,   /* H W */
                              __global const float *counts, /* 3 h w: of cells of 2 x 2 pixels, of whole blocks */
                              __global float *light,        /* H W 3, working space */
                              int width, int height, int cell_columns, int cell_rows, float variance,
                              float threshold,
                              float16 roots, /* as of denoise_roots */
                              float16 back)  /* as of denoise_light */
{
    int left = get_global_id(0) * TILE, top = get_global_id(1) * TILE;
    if (left >= width || top >= height)
        return;
    float region[REGION * REGION], sum[REGION * REGION];
    for (int j = 0; j < REGION; j++) {
        size_t row = (size_t)mirror(top - STEP + j, height) * width;
        for (int i = 0; i < REGION; i++) {
            region[j * REGION + i] = vload_half(row + mirror(left - STEP + i, width), apart);
            sum[j * REGION + i] = 0.0f;
        }
    }
    float8 of_noise[DCT_SIDE], inverse_of_noise[DCT_SIDE], part[DCT_SIDE], window = vload8(0, WINDOW);
    for (int i = 0; i < DCT_SIDE; i++) {
        of_noise[i] = variance;
        inverse_of_noise[i] = 1.0f / variance;
        part[i] = fmin(((float8)(14, 13, 12, 11, 10, 9, 8, 7) - i) / 7.0f, 1.0f);
    }
    part[0].s0 = 0.0f;
    for (int y = 0; y <= TILE; y += STEP)
        for (int x = 0; x <= TILE; x += STEP) {
            float noise = part_of_noise(counts, cell_columns, cell_rows, left - STEP + x, top - STEP + y);
            if (noise <= 0.0f)
                continue;
            float8 block[DCT_SIDE];
            frequencies_of(region + y * REGION + x, REGION, block);
            shrink_block(block, of_noise, inverse_of_noise, noise, threshold);
            for (int i = 0; i < DCT_SIDE; i++)
                block[i] *= part[i];
            add_windowed(block, window, sum + y * REGION + x, REGION);
        }
    for (int j = 0; j < min(TILE, height - top); j++)
        for (int i = 0; i < min(TILE, width - left); i++) {
            float detail = sum[(j + STEP) * REGION + i + STEP];
            if (detail == 0.0f)
                continue;
            size_t at = (size_t)(top + j) * width + left + i;
            float3 seen = vload3(at, light);
            float3 t = (float3)(dot(roots.s012, seen), dot(roots.s456, seen), dot(roots.s89a, seen)) + roots.s37b;
            float3 more = light_of_root(even_root(t, roots.scde) + detail, back.scde) - t;
            seen += (float3)(dot(back.s012, more), dot(back.s456, more), dot(back.s89a, more));
            vstore3(seen, at, light);
        }
}
