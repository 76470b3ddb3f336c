/* The guide of the mask on a coarser grid: guide = sqrt(max(mean light, 0)).

   The mean is taken over the scale * scale full-resolution pixels of a cell, or those inside the picture. With
   binned = 1 (scale 2) it is filtered as develop_bin does, by (1, 3, 3, 1) / 8 in each direction, edges clamped,
   so that it can be compared with frames. Black -> 0, 1 -> 1. */
__kernel void composite_guide(__global const float *light, __global half *guide, int full_width,
                              int full_height, int width, int height, int scale, int binned)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    int left = x * scale - binned, top = y * scale - binned;
    int right = binned ? left + 4 : min((x + 1) * scale, full_width);
    int bottom = binned ? top + 4 : min((y + 1) * scale, full_height);
    float3 sum = 0.0f;
    float total = 0.0f;
    for (int j = top; j < bottom; j++)
        for (int i = left; i < right; i++) {
            float across = binned && (i == left || i == right - 1) ? 1.0f / 3.0f : 1.0f;
            float w = binned && (j == top || j == bottom - 1) ? across / 3.0f : across;
            sum += w * vload3((size_t)clamp(j, 0, full_height - 1) * full_width + clamp(i, 0, full_width - 1), light);
            total += w;
        }
    vstore_half4((float4)(sqrt(fmax(sum / total, 0.0f)), 0.0f), (size_t)y * width + x, guide);
}
