/* A 2x2 block of a picture with three colours a pixel to one half-resolution pixel: linear light weighted by
   (1, 3, 3, 1) / 8 in each direction around the block, as develop_bin does; a plain mean of the block would keep grids
   of four pixels, which move when the block moves by a part of a pixel.

   curve holds LEVELS raw values, 0..1, for each of the three channels: black, white and the transfer curve in one
   table; values that are raw already (MERGED, float) do not read it. Pixels outside the picture repeat the edge. Channel 4 is 1. */
inline float3 raw_at(__global const VALUE *values, __global const float *curve, int width, int height, int x, int y)
{
    size_t at = ((size_t)clamp(y, 0, height - 1) * width + clamp(x, 0, width - 1)) * 3;
#ifdef MERGED
    return (float3)(values[at], values[at + 1], values[at + 2]);
#else
    return (float3)(curve[values[at]], curve[LEVELS + values[at + 1]], curve[2 * LEVELS + values[at + 2]]);
#endif
}

/* The weight of a row or column of the block, 0 or 1, or beside it, -1 or 2. */
inline float weight_of(int n)
{
    return n == 0 || n == 1 ? 0.375f : 0.125f;
}

__kernel void develop_bin_rgb(__global const VALUE *values, __global const float *curve, __global half *frame,
                              int width, int height, float16 colour)
{
    int x = get_global_id(0), y = get_global_id(1);
    int half_width = (width + 1) / 2, half_height = (height + 1) / 2;
    if (x >= half_width || y >= half_height)
        return;
    float3 sum = 0.0f, light = 0.0f;
    float largest = 0.0f;
    for (int j = -1; j < 3; j++)
        for (int i = -1; i < 3; i++) {
            float3 raw = raw_at(values, curve, width, height, 2 * x + i, 2 * y + j);
            sum += weight_of(i) * weight_of(j) * raw;
            largest = fmax(largest, fmax(raw.x, fmax(raw.y, raw.z)));
        }
    if (largest <= colour.s3) /* nothing is clipped: light is linear in raw values */
        light = working_light(sum, colour);
    else
        for (int j = -1; j < 3; j++)
            for (int i = -1; i < 3; i++)
                light += weight_of(i) * weight_of(j)
                         * working_light(raw_at(values, curve, width, height, 2 * x + i, 2 * y + j), colour);
    vstore_half4((float4)(light, 1.0f), (size_t)y * half_width + x, frame);
}
