/* A 2x2 block of a picture with three colours a pixel to one half-resolution pixel: the mean of linear light.

   curve holds LEVELS raw values, 0..1, for each of the three channels: black, white and the transfer curve in one
   table; values that are raw already (MERGED, float) do not read it. Pixels outside the picture repeat the edge. Channel 4 is 1. */
__kernel void develop_bin_rgb(__global const VALUE *values, __global const float *curve, __global half *frame,
                              int width, int height, float16 colour)
{
    int x = get_global_id(0), y = get_global_id(1);
    int half_width = (width + 1) / 2, half_height = (height + 1) / 2;
    if (x >= half_width || y >= half_height)
        return;
    float3 sum = 0.0f;
    for (int j = 2 * y; j < 2 * y + 2; j++)
        for (int i = 2 * x; i < 2 * x + 2; i++) {
            size_t at = ((size_t)min(j, height - 1) * width + min(i, width - 1)) * 3;
#ifdef MERGED
            float3 raw = (float3)(values[at], values[at + 1], values[at + 2]);
#else
            float3 raw = (float3)(curve[values[at]], curve[LEVELS + values[at + 1]],
                                  curve[2 * LEVELS + values[at + 2]]);
#endif
            sum += working_light(raw, colour);
        }
    vstore_half4((float4)(0.25f * sum, 1.0f), (size_t)y * half_width + x, frame);
}
