/* The exposure that fusion gives each cell, and a line through it by which pixels between cells are exposed.

     ev = max(min(unshown(fused) - level, high_ev, max(CEILING - level, 0)), clamp(least(level), low_ev, high_ev))
                                             unshown: log2 of the light printed as fused; least: the least rise
     out = (slope, offset) of the weighted least squares line ev = slope level + offset over 5 x 5 cells,
           weights 1 4 6 4 1 each way; slope = cov / (var + RIDGE), clamped to -1..0

   A pixel's exposure is then a line in its own log light, so that an edge between cells stays as sharp as it is
   and has no halo (He & Sun 2015, "Fast Guided Filter", arXiv:1505.00996; Chen 2016, "Bilateral Guided
   Upsampling", doi:10.1145/2980179.2982423). With a slope in -1..0 a brighter pixel is never printed darker than its
   neighbour, and detail is never exaggerated. Extremes: equal levels give slope 0, the mean ev; low_ev =
   high_ev gives that everywhere. */

constant float TAP[5] = {1.0f, 4.0f, 6.0f, 4.0f, 1.0f};
constant float CEILING = -1.0f;  /* log2 of light: nothing is raised beyond it, lest shadows burn out what is beside */
constant float RIDGE = 0.02f;  /* EV^2: textures of less contrast than 0.14 EV are exposed alike */

/* The entry at 0..1 of a table, interpolated. */
inline float in_table(__global const float *table, int entries, float at)
{
    float place = clamp(at, 0.0f, 1.0f) * (entries - 1);
    int below = min((int)place, entries - 2);
    return table[below] + (place - below) * (table[below + 1] - table[below]);
}

__kernel void finish_fit(__global const float *level,    /* H W: log2 of light */
                         __global const float *fused,    /* H W: display values */
                         __global const float *unshown,  /* entries: log2 of light, by display value 0..1 */
                         __global const float *least,    /* entries: EV, by sqrt(n / top) */
                         __global float2 *out,           /* H W */
                         int width, int height, int entries, float top, float low_ev, float high_ev)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    float centre = level[(size_t)y * width + x];
    float w = 0.0f, sl = 0.0f, se = 0.0f, sll = 0.0f, sle = 0.0f;
    for (int j = -2; j <= 2; j++)
        for (int i = -2; i <= 2; i++) {
            size_t at = (size_t)clamp(y + j, 0, height - 1) * width + clamp(x + i, 0, width - 1);
            float light = in_table(unshown, entries, fused[at]);
            float lowest = clamp(in_table(least, entries, sqrt(exp2(level[at]) / top)), low_ev, high_ev);
            float ev = fmin(light - level[at], fmin(high_ev, fmax(CEILING - level[at], 0.0f)));
            ev = fmax(ev, lowest);
            float l = level[at] - centre;
            float part = TAP[i + 2] * TAP[j + 2];
            w += part;
            sl += part * l;
            se += part * ev;
            sll += part * l * l;
            sle += part * l * ev;
        }
    sl /= w;
    se /= w;
    float slope = clamp((sle / w - sl * se) / (fmax(sll / w - sl * sl, 0.0f) + RIDGE), -1.0f, 0.0f);
    out[(size_t)y * width + x] = (float2)(slope, se - slope * (sl + centre));
}
