/* One level of exposure fusion (Mertens 2007, equation 6, doi:10.1109/PG.2007.17), coarse to fine.

     out = sum_k weight_k (exposed_k - up(coarser exposed_k)) + up(coarser out)

   up is Burt & Adelson's expansion of the next coarser level: fine pixel 2i takes 1 6 1 (/8) of the coarse
   pixels around i, pixel 2i + 1 the mean of i and i + 1, each way. At the coarsest level
   (coarse_width = 0) up is 0.

   Extremes: four equal exposures give that exposure, to rounding. */

typedef struct { int at[3]; float weight[3]; } taps;

inline taps taps_of(int fine, int coarse_size)
{
    int i = fine / 2;
    taps t = {{max(min(i, coarse_size) - 1, 0), min(i, coarse_size - 1), min(i + 1, coarse_size - 1)},
              {0.125f, 0.75f, 0.125f}};
    if (fine % 2) {
        t.weight[0] = 0.0f;
        t.weight[1] = t.weight[2] = 0.5f;
    }
    return t;
}

__kernel void finish_fuse(__global const float4 *exposed,  /* H W */
                          __global const float4 *weight,   /* H W, summing to 1 */
                          __global const float4 *coarser,  /* H' W': the exposures of the next coarser level */
                          __global const float *fused,     /* H' W': its result */
                          __global float *out,             /* H W */
                          int width, int height, int coarse_width, int coarse_height)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t here = (size_t)y * width + x;
    float4 base = 0.0f;
    float below = 0.0f;
    if (coarse_width > 0) {
        taps across = taps_of(x, coarse_width), down = taps_of(y, coarse_height);
        for (int j = 0; j < 3; j++)
            for (int i = 0; i < 3; i++) {
                size_t at = (size_t)down.at[j] * coarse_width + across.at[i];
                float part = down.weight[j] * across.weight[i];
                base += part * coarser[at];
                below += part * fused[at];
            }
    }
    out[here] = dot(weight[here], exposed[here] - base) + below;
}
