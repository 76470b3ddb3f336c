/* The roofline of a blur with count samples: bilinear samples along one line, summed.
   Pixels whose line leaves the picture are skipped. */
__kernel void blur_roofline(FRAME frame, __global float *result, int width, int height, float line_x,
                            float line_y, int count)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x + line_x < 0.0f || y + line_y < 0.0f || x + line_x >= width - 1 || y + line_y >= height - 1)
        return;
    float2 step = (float2)(line_x, line_y) / count;
    float4 sum = 0.0f;
    for (int n = 0; n < count; n++) {
        float2 at = (float2)(x, y) + (n + 0.5f) * step;
        sum += sample_inside(frame, width, at);
    }
    vstore4(sum / count, (size_t)y * width + x, result);
}
