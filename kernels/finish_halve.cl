/* The next coarser level of a pyramid: 1 4 6 4 1 each way, every second pixel (Burt & Adelson 1983,
   doi:10.1109/TCOM.1983.1095851). Coarse pixel (x, y) is at fine pixel (2x, 2y); edges are repeated, so a
   constant picture is unchanged. */

constant float TAP[5] = {0.0625f, 0.25f, 0.375f, 0.25f, 0.0625f};

__kernel void finish_halve(__global const float4 *fine, __global float4 *coarse, int fine_width, int fine_height,
                           int width, int height)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    float4 sum = 0.0f;
    for (int j = -2; j <= 2; j++) {
        __global const float4 *row = fine + (size_t)clamp(2 * y + j, 0, fine_height - 1) * fine_width;
        float4 line = 0.0f;
        for (int i = -2; i <= 2; i++)
            line += TAP[i + 2] * row[clamp(2 * x + i, 0, fine_width - 1)];
        sum += TAP[j + 2] * line;
    }
    coarse[(size_t)y * width + x] = sum;
}
