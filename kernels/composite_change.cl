/* How much a frame differs from the reference in every low pixel, on square roots of light, where noise is even.

     d = sqrt(max(F, 0) + black) - sqrt(max(R, 0) + black),   black = offset / scale of the noise variance
     change.xyz = mean d,   change.w = mean of d.x^2 + d.y^2 + d.z^2

   over the cell x cell half pixels, or those inside the picture, that both frames cover (channel 4 is MIN_COVERAGE
   or more). Where these are less than half of them -> 0 0 0 -1. Equal frames -> 0, exactly. */
#define MIN_COVERAGE 0.99f

__kernel void composite_change(__global const half *frame, __global const half *reference, __global float *change,
                               int width, int height, int low_width, int low_height, int cell, float4 black)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= low_width || y >= low_height)
        return;
    int right = min((x + 1) * cell, width), bottom = min((y + 1) * cell, height);
    float4 sum = 0.0f;
    int covered = 0;
    for (int j = y * cell; j < bottom; j++)
        for (int i = x * cell; i < right; i++) {
            float4 f = vload_half4((size_t)j * width + i, frame), r = vload_half4((size_t)j * width + i, reference);
            if (f.w < MIN_COVERAGE || r.w < MIN_COVERAGE)
                continue;
            float4 d = sqrt(fmax(f, 0.0f) + black) - sqrt(fmax(r, 0.0f) + black);
            d.w = d.x * d.x + d.y * d.y + d.z * d.z;
            sum += d;
            covered++;
        }
    bool is_known = 2 * covered >= (right - x * cell) * (bottom - y * cell);
    vstore4(is_known ? sum / covered : (float4)(0.0f, 0.0f, 0.0f, -1.0f), (size_t)y * low_width + x, change);
}
