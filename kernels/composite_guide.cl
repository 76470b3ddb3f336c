/* The guide of the mask on a coarser grid: guide = sqrt(max(mean light, 0)).

   The mean is taken over the scale * scale full-resolution pixels of a cell, or those inside the picture.
   Black -> 0, 1 -> 1. */
__kernel void composite_guide(__global const float *light, __global half *guide, int full_width,
                              int full_height, int width, int height, int scale)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    int right = min((x + 1) * scale, full_width), bottom = min((y + 1) * scale, full_height);
    float3 sum = 0.0f;
    for (int j = y * scale; j < bottom; j++)
        for (int i = x * scale; i < right; i++)
            sum += vload3((size_t)j * full_width + i, light);
    float3 mean = sum / ((right - x * scale) * (bottom - y * scale));
    vstore_half4((float4)(sqrt(fmax(mean, 0.0f)), 0.0f), (size_t)y * width + x, guide);
}
